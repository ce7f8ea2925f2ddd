"""The whole report, ready for the template."""

from collections.abc import Mapping
from dataclasses import dataclass

from dujiang.core.text import Text
from dujiang.reports.charts import (
    Figure,
)
from dujiang.reports.data import ReportData
from dujiang.reports.demand import served
from dujiang.reports.findings import (
    local_time,
)
from dujiang.reports.footprint import energy_section
from dujiang.reports.layout import Card, Section, Table
from dujiang.reports.proof import TERMS, certificate
from dujiang.reports.story import cards, story
from dujiang.reports.supply import prices, utilisation
from dujiang.reports.support import vouchers
from dujiang.reports.words import at_least


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that the source of a book does not say."""

    name: str
    sentence: Text | None
    value: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template shows."""

    title: Text
    when: Text
    story: tuple[Text, ...]
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]
    gauge: float | None
    """Welfare reached over the bound, 0..1; None where there is no bound."""
    gauge_floor: str
    """The same in percent, rounded down: a proof must not look better than it is."""
    gauge_words: Text
    figures: Mapping[str, Figure]
    terms: tuple[tuple[str, Text, Text], ...]
    assumptions: tuple[Assumption, ...] = ()
    sources: tuple[tuple[Text, str], ...] = ()
    checks: Table | None = None


def _assumed(prefix: str, value: object) -> list[Assumption]:
    """List assumptions: entries of the form {value, en, zh} as a sentence with its value, all else name by name."""
    if isinstance(value, Mapping):
        en, zh = value.get("en"), value.get("zh")
        if isinstance(en, str) and isinstance(zh, str):
            return [Assumption(prefix, Text(en, zh), _brief(value.get("value")))]
        return [row for key, item in value.items() for row in _assumed(f"{prefix}.{key}" if prefix else str(key), item)]
    if isinstance(value, Text):
        return [Assumption(prefix, value, "")]
    return [Assumption(prefix, None, _brief(value))]


def _brief(value: object, most: int = 240) -> str:
    """Write a value on one line, cut where it is long: `book.yaml` holds all of it."""
    if isinstance(value, Mapping):
        text = "; ".join(f"{key}: {_brief(item)}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = "; ".join(_brief(item) for item in value)
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def page(data: ReportData) -> Page:
    """Put the whole report together."""
    sections = (utilisation(data), prices(data), served(data), vouchers(data), energy_section(data))
    checks, gauge, words = certificate(data)
    start, end = local_time(data.book, 0), local_time(data.book, data.book.slots)
    book_title = data.book.title
    return Page(
        title=data.title or (book_title if book_title.en else Text("Round of the exchange", "撮合轮次")),
        when=Text(f"{start} to {end}, Beijing time", f"{start} 至 {end}（北京时间）"),
        story=story(data),
        cards=cards(data),
        sections=sections,
        gauge=gauge,
        gauge_floor=at_least(gauge or 0.0),
        gauge_words=words,
        figures={panel.key: panel.figure for section in sections for panel in section.panels if panel.figure},
        terms=TERMS,
        assumptions=tuple(_assumed("", {**data.book.assumptions, **data.assumptions})),
        sources=tuple((source.what, source.citation) for source in data.sources),
        checks=checks,
    )
