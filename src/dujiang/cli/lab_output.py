"""What the commands of the policy lab print: the key measures as a table, and the story in three sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from dujiang.cli.output import Output
from dujiang.core.text import Text
from dujiang.lab.effects import ALL_EFFECTS
from dujiang.lab.measures import MEASURES
from dujiang.reports.lab_story import story

_NAME = {measure.key: measure.name for measure in (*MEASURES, *ALL_EFFECTS)}
_UNIT = {measure.key: measure.unit for measure in (*MEASURES, *ALL_EFFECTS)}
_OF_RUN = (
    *("utilisation", "served_share", "gpu_hours_served", "mean_wait_h", "p95_wait_h", "price_cny_per_gpu_hour"),
    *("cost_per_useful_gpu_hour_cny", "net_cny", "voucher_cny", "welfare_cny", "carbon_kg"),
)
_OF_STUDY = (
    *("utilisation", "served_share", "mean_wait_h", "price_cny_per_gpu_hour", "voucher_cny"),
    *("net_additional_gpu_hours", "additionality", "incidence.buyers", "incidence.centres", "incidence.lost"),
    *("leverage.additional_net_per_voucher", "firms_better", "firms_worse"),
)


def figure(value: float | None, unit: str) -> str:
    """Write a value with its unit, as a table holds it."""
    if value is None:
        return "-"
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:,.0f}" if unit in ("gpu_hours", "kg", "count") or abs(value) >= 1000 else f"{value:,.2f}"


def _estimate(found: Mapping[str, Any] | None, unit: str) -> str:
    if not found or found.get("mean") is None:
        return "-"
    mean = figure(found["mean"], unit)
    if found.get("low") is None or found["low"] == found["high"]:
        return mean
    return f"{mean} ({figure(found['low'], unit)} … {figure(found['high'], unit)})"


def _say(output: Output, text: Any) -> str:
    return str(text[output.lang])


def _story(output: Output, document: Mapping[str, Any]) -> None:
    for sentence in story(document):
        output.line(sentence)


def show_run(output: Output, summary: Mapping[str, Any]) -> None:
    """Print one run."""
    rows = [[output.say(_NAME[key]), figure(summary[key], _UNIT[key])] for key in _OF_RUN]
    output.table(_titled(summary), [(Text("", ""), False), (Text("", ""), True)], rows)
    _story(output, summary)


def _titled(document: Mapping[str, Any]) -> Text:
    return Text(**document["title"])


def show_study(output: Output, document: Mapping[str, Any]) -> None:
    """Print a study: a column for each point, the best of a search only."""
    points = document["points"]
    search = document["search"]
    if search is not None:
        points = [points[index] for index in search["frontier"]]
    keys = [key for key in _OF_STUDY if any(_found(point, key) for point in points)]
    if len(points) <= 6:
        columns = [(Text("", ""), False), *((Text(**point["label"]), True) for point in points)]
        rows = [
            [output.say(_NAME[key]), *(_estimate(_found(point, key), _UNIT[key]) for point in points)] for key in keys
        ]
    else:
        shown = keys[:7]
        columns = [(Text("", ""), False), *((_NAME[key], True) for key in shown)]
        rows = [
            [_say(output, point["label"]), *(_mean(_found(point, key), _UNIT[key]) for key in shown)]
            for point in points
        ]
    output.table(_titled(document), columns, rows)
    _story(output, document)


def _mean(found: Mapping[str, Any] | None, unit: str) -> str:
    return "-" if not found else figure(found.get("mean"), unit)


def _found(point: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = point["measures"].get(key) or point["effects"].get(key)
    return None if found is None or found.get("mean") is None else found


def show_comparison(output: Output, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print runs side by side."""
    columns = [(Text("", ""), False), *((_titled(document), True) for document in documents)]
    rows = [[output.say(_NAME[key]), *(figure(d[key], _UNIT[key]) for d in documents)] for key in _OF_RUN]
    output.table(Text("comparison", "对比"), columns, rows)


__all__ = ["figure", "show_comparison", "show_run", "show_study"]
