"""`report.html`: one file that opens without a network, in Chinese and English, light and dark, on screen and paper."""

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dujiang.core.text import Text
from dujiang.reports.charts import plain
from dujiang.reports.data import ReportData
from dujiang.reports.page import page


def _both(text: Text | str) -> Markup:
    """Write a text in both languages; the style sheet shows the reader's. Plain strings are the same in both."""
    if isinstance(text, str):
        return Markup("{}").format(text)
    if text.en == text.zh:
        return Markup("<span>{}</span>").format(text.en)
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(text.en, text.zh)


def _island(value: Any) -> Markup:
    """Write JSON that no string inside it can break out of."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 every character that could end the script is escaped


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dujiang.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"both": _both, "island": _island}
    return environment


def render_report(data: ReportData) -> str:
    """Write the report of one round.

    Pure: the same data give the same text. It names no order and no enterprise.

    Parameters
    ----------
    data : book, outcome and what else is known; what is None is said to be missing, never guessed

    Returns
    -------
    an HTML document with everything inlined, well under 6 MB, most of it the chart library
    """
    template = _environment().get_template("report.html.jinja")
    return template.render(page=page(data), plotly=Markup(get_plotlyjs()))  # noqa: S704 the library's own bundle
