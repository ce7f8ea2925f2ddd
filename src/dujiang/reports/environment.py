"""How pages are written: jinja with every value escaped, and texts in both languages."""

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dujiang.core.text import Text


def _both(text: Text | str) -> Markup:
    """Write a text in both languages; the style sheet shows the reader's. Plain strings are the same in both."""
    if isinstance(text, str):
        return Markup("{}").format(text)
    if text.en == text.zh:
        return Markup("<span>{}</span>").format(text.en)
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(text.en, text.zh)


@cache
def environment(**filters: Callable[..., Any]) -> Environment:
    """Return the environment of the templates, with the filter `both` and those of a page's own."""
    made = Environment(
        loader=PackageLoader("dujiang.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"both": _both, **filters}
    return made
