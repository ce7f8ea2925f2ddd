"""Who gains and who loses in each setting of a study, and when budgets were used."""

from collections.abc import Sequence
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_charts import SERIES, Line, gains, over_time
from dujiang.reports.lab_document import (
    Document,
    Estimate,
    Point,
    Study,
    entries,
    estimate,
    group_name,
    mapping,
    numbers,
)
from dujiang.reports.lab_run import budget_panel
from dujiang.reports.lab_study_table import NOTHING, SETTING, few
from dujiang.reports.lab_words import (
    Unit,
    cell_with_interval,
    measure_of,
)
from dujiang.reports.layout import Panel, Row, Section, Table, table_of
from dujiang.reports.words import joined

_GROUP_CHANGES: Final = (
    ("gpu_hours_served", Text("GPU-hours that run, more or fewer", "运行卡时的增减"), Unit.GPU_HOURS),
    ("buyer_surplus_cny", Text("Buyers' gain, more or less", "企业得益的增减"), Unit.YUAN),
    ("mean_wait_h", Text("Mean wait, longer or shorter", "平均等待的增减"), Unit.HOURS),
)


def group_section(study: Study) -> Section | None:
    """Return the changes of each group of firms; None where nothing is compared."""
    points = few(study)
    if not points:
        return None
    panels = []
    for field, head in (("by_size", Text("size of the firm", "企业规模")), ("by_region", Text("region", "区域"))):
        found = [(point, group_changes(study, point, field)) for point in points]
        keys = list(dict.fromkeys(key for _, rows in found for key in rows))
        if len(keys) < (1 if field == "by_size" else 2):
            continue
        table = _group_change_table(study, found, keys, head)
        for place, (key, title, unit) in enumerate(_GROUP_CHANGES):
            series = [(point.label, [_change_of(rows.get(group), key) for group in keys[:20]]) for point, rows in found]
            known = [value.mean for _, values in series for value in values if value is not None]
            if not known:
                continue
            names = [_named(found, group) for group in keys[:20]]
            figure = gains(names, series, unit, _units(unit)) if any(known) else None
            empty = None if figure else Text("No group is touched.", "各组均无变化。")
            by = Text(f"{title.en}, by {head.en}", f"{title.zh}（按{head.zh}）")
            panels.append(Panel(f"{field}-{key}", by, NOTHING, figure, empty, table if place == 0 else None, "half"))
        panels += _losers_panel(found, keys[:20], field, head)
    if not panels:
        return None
    told = (
        Text("", "")
        if len(points) == len(study.others)
        else Text(
            f"Drawn for {len(points)} of {len(study.others)} settings.",
            f"图中为 {len(study.others)} 种方案中的 {len(points)} 种。",
        )
    )
    return Section(
        "groups",
        Text("Who gains and who loses", "谁受益，谁受损"),
        joined(
            part
            for part in (
                Text(
                    "Change of each group against the reference: right of zero more, left of it less.",
                    "各组相对对照方案的变化：零的右侧为增，左侧为减。",
                ),
                told,
            )
            if part.en
        ),
        tuple(panels),
    )


def _losers_panel(
    found: Sequence[tuple[Point, dict[str, Document]]], keys: Sequence[str], field: str, head: Text
) -> list[Panel]:
    """Firms that are worse off, by group; nothing where a study does not count them."""
    series = [(point.label, [_change_of(rows.get(group), "firms_worse") for group in keys]) for point, rows in found]
    if not any(value is not None for _, values in series for value in values):
        return []
    title = Text(f"Firms worse off, by {head.en}", f"受损企业数（按{head.zh}）")
    if not any(value.mean for _, values in series for value in values if value is not None):
        return [
            Panel(f"{field}-worse", title, NOTHING, None, Text("No firm is worse off.", "没有企业受损。"), None, "half")
        ]
    figure = gains([_named(found, group) for group in keys], series, Unit.COUNT, Text("firms", "家"))
    return [Panel(f"{field}-worse", title, NOTHING, figure, None, None, "half")]


def group_changes(study: Study, point: Point, field: str) -> dict[str, Document]:
    """Return each group's changes against the reference: as the study has them, else the difference of the means."""
    own = entries(mapping(point.entry.get("who")).get(field))
    if own:
        return {str(row.get("key")): row for row in own}
    reference = study.reference_of(point)
    if reference is None:
        return {}
    there = {str(row.get("key")): row for row in entries(reference.entry.get(field))}
    changes: dict[str, Document] = {}
    for row in entries(point.entry.get(field)):
        key = str(row.get("key"))
        if key in there:
            changes[key] = {"key": key, "name": row.get("name")} | {
                name: _minus(row.get(name), there[key].get(name)) for name, _, _ in _GROUP_CHANGES
            }
    return changes


def _minus(here: object, there: object) -> float | None:
    after, before = estimate(here), estimate(there)
    return None if after is None or before is None else after.mean - before.mean


def _change_of(row: Document | None, key: str) -> Estimate | None:
    return None if row is None else estimate(row.get(key))


def _named(found: Sequence[tuple[Point, dict[str, Document]]], key: str) -> Text:
    return next(group_name(rows[key]) for _, rows in found if key in rows)


def _units(unit: Unit) -> Text:
    return {Unit.GPU_HOURS: Text("GPU-hours", "卡时"), Unit.YUAN: Text("CNY", "元")}.get(unit, Text("hours", "小时"))


def _group_change_table(
    study: Study, found: Sequence[tuple[Point, dict[str, Document]]], keys: Sequence[str], head: Text
) -> Table:
    firms = ("firms_better", "firms_worse")
    with_firms = any(_change_of(row, name) for _, rows in found for row in rows.values() for name in firms)
    columns: list[Text] = [
        SETTING,
        Text(head.en.capitalize(), head.zh),
        *(
            Text(f"{title.en}, {_units(unit).en}", f"{title.zh}（{_units(unit).zh}）")
            for _, title, unit in _GROUP_CHANGES
        ),
        *([measure_of(name).name for name in firms] if with_firms else []),
    ]
    rows: list[Row] = []
    for point, groups in found:
        for key in keys:
            if key not in groups:
                continue
            changes = [
                cell_with_interval(unit, _change_of(groups[key], name), True) for name, _, unit in _GROUP_CHANGES
            ]
            counts = [cell_with_interval(Unit.COUNT, _change_of(groups[key], name)) for name in firms]
            rows.append([study.name(point), group_name(groups[key]), *changes, *(counts if with_firms else [])])
    return table_of(columns, rows, 2)


def budget_section(study: Study) -> Section | None:
    """Return how fast budgets were used; None where nothing is known of them."""
    points = few(study, SERIES)
    panels: list[Panel] = []
    programmes: dict[str, Text] = {}
    for point in study.points:
        for row in entries(point.entry.get("programmes")):
            programmes.setdefault(str(row.get("id")), group_name(row))
    for key, name in programmes.items():
        rows = []
        for point in points:
            rows += [(point, row) for row in entries(point.entry.get("programmes")) if str(row.get("id")) == key]
        if not rows:
            continue
        panel = budget_panel(
            f"budget-{len(panels)}", [row for _, row in rows], [study.name(point) for point, _ in rows]
        )
        panels.append(Panel(panel.key, name, panel.read, panel.figure, panel.empty, _budget_table(study, rows)))
    spent = None if panels else _spent_panel(study, points)
    if spent is not None:
        panels.append(spent)
    if not panels:
        return None
    return Section(
        "budgets",
        Text("When the money was spent", "资金的使用进度"),
        Text(
            "A budget that runs out early serves who comes first, not who needs it most.",
            "预算若很早用完，得到的是先来者，而不是最需要者。",
        ),
        tuple(panels),
    )


def _spent_panel(study: Study, points: Sequence[Point]) -> Panel | None:
    """Voucher money over time of each setting, where programmes are not told apart."""
    known = [(point, numbers(point.entry.get("spent_by_day_cny"))) for point in points]
    known = [(point, spent) for point, spent in known if any(spent)]
    if not known:
        return None
    length = max(len(spent) for _, spent in known)
    lines = []
    for point, spent in known[:SERIES]:
        padded: list[float | None] = [0.0, *spent]
        lines.append(Line(study.name(point), [*padded, *[padded[-1]] * (length + 1 - len(padded))]))
    figure = over_time([float(day) for day in range(length + 1)], lines, Unit.YUAN)
    title = Text("Voucher money spent, day by day", "算力券资金逐日累计支出")
    return Panel("budget-0", title, Text("Added up from the start.", "自开始累计。"), figure)


def _budget_table(study: Study, rows: Sequence[tuple[Point, Document]]) -> Table:
    def figure(row: Document, key: str, unit: Unit) -> str:
        return cell_with_interval(unit, estimate(row.get(key)))

    return table_of(
        [
            SETTING,
            Text("Budget, CNY", "预算（元）"),
            Text("Spent, CNY", "已用（元）"),
            Text("Firms", "企业数"),
            Text("Jobs", "作业数"),
            Text("Half spent after, hours", "用去一半时（小时）"),
            Text("Used up after, hours", "用完时（小时）"),
        ],
        [
            [
                study.name(point),
                Text("none stated", "未规定")
                if row.get("budget_cny") is None
                else figure(row, "budget_cny", Unit.YUAN),
                figure(row, "spent_cny", Unit.YUAN),
                figure(row, "firms", Unit.COUNT),
                figure(row, "jobs", Unit.COUNT),
                figure(row, "half_spent_h", Unit.HOURS),
                figure(row, "exhausted_h", Unit.HOURS),
            ]
            for point, row in rows
        ],
    )
