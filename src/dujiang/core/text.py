"""A sentence in the two languages that people read here."""

from typing import Literal, NamedTuple

Lang = Literal["en", "zh"]


class Text(NamedTuple):
    """The same sentence in English and Chinese."""

    en: str
    zh: str

    def say(self, lang: Lang) -> str:
        """Return the sentence in the language asked for."""
        return self.zh if lang == "zh" else self.en
