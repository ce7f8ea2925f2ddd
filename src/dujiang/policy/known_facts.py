"""The facts that a firm, a purchase or a seller may state, in words: one list for files, questions and the manual."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast, get_args

from dujiang.core.text import Text

Side = Literal["firm", "spend", "seller"]
"""Which file states it: `firm.yaml`, or `spend.yaml` for the purchase and for who sells."""
FactType = Literal["bool", "int", "number", "share", "money", "date", "word", "text"]
"""`share`: 0..1, 0.05 is 5 %; `money`: decimal yuan in files, micro-yuan in records; `word`: one of a list, which a
city's own programmes may lengthen."""


@dataclass(frozen=True, slots=True)
class KnownFact:
    """One fact that a condition may ask."""

    fact: str
    """Name in files; money ends in `_cny`."""
    side: Side
    type: FactType
    unit: str
    """Empty: no quantity; `1`: a ratio."""
    values: tuple[str, ...]
    """Usual words; empty unless the type is `word`."""
    text: Text

    @property
    def stored(self) -> str:
        """Name in records, where money is in micro-yuan and ends in `_ucny`."""
        return f"{self.fact.removesuffix('_cny')}_ucny" if self.type == "money" else self.fact


@cache
def known_facts() -> Mapping[str, KnownFact]:
    """Return the facts by their name in files, in the order of the manual.

    A programme may ask others: a fact that is not listed here is asked by its bare name.
    """
    text = files("dujiang.catalog").joinpath("data/facts.csv").read_text(encoding="utf-8")
    found: dict[str, KnownFact] = {}
    for row in csv.DictReader(text.splitlines()):
        assert row["side"] in get_args(Side), row
        assert row["type"] in get_args(FactType), row
        found[row["fact"]] = KnownFact(
            fact=row["fact"],
            side=cast(Side, row["side"]),
            type=cast(FactType, row["type"]),
            unit=row["unit"],
            values=tuple(row["values"].split(";")) if row["values"] else (),
            text=Text(row["en"], row["zh"]),
        )
    return MappingProxyType(found)


def words_for(stored: str) -> Text:
    """Return what a fact means, given its name in records; an unlisted one is its own explanation.

    Parameters
    ----------
    stored : name in records, as in `Evaluation.needs_facts`
    """
    fact = known_facts().get(f"{stored.removesuffix('_ucny')}_cny" if stored.endswith("_ucny") else stored)
    return Text(stored, stored) if fact is None else fact.text
