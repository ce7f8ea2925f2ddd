"""Tables of settings and measures, and which settings charts hold."""

from collections.abc import Callable, Sequence
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_document import (
    Point,
    Study,
    mapping,
)
from dujiang.reports.lab_words import (
    Measure,
    titled,
)
from dujiang.reports.layout import Row, Table, table_of
from dujiang.reports.words import NONE

SETTINGS_ABREAST: Final = 6
"""Settings that stand beside each other in a table at most."""
SETTINGS_DRAWN: Final = 40
"""Settings in a chart at most."""
SETTING: Final = Text("Setting", "方案")
NOT_KNOWN: Final = Text("Not known.", "未知。")
NOTHING: Final = Text("", "")


def settings_table(
    study: Study,
    points: Sequence[Point],
    measures: Sequence[Measure],
    write: Callable[[Point, Measure], str],
    name: Callable[[Measure], Text] = titled,
) -> Table:
    """Return a table of measures and settings: a column for each setting where they are few, else a row."""
    if len(points) <= SETTINGS_ABREAST:
        head = [Text("Measure", "指标"), *(study.name(point) for point in points)]
        rows: list[Row] = [[name(m), *(write(point, m) for point in points)] for m in measures]
        return table_of(head, [row for row in rows if any(text != NONE for text in row[1:])])
    by_setting: list[Row] = [[study.name(point), *(write(point, m) for m in measures)] for point in points]
    return table_of([SETTING, *(name(m) for m in measures)], by_setting)


def few(study: Study, most: int = 4) -> tuple[Point, ...]:
    """Return the settings that charts by group hold: all where they are few, else spread over the study."""
    others = study.others
    if mapping(study.document.get("search")):
        return (study.focus,) if study.focus is not None else ()
    if len(others) <= most:
        return others
    return tuple(others[round(place * (len(others) - 1) / (most - 1))] for place in range(most))
