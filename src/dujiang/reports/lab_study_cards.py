"""The key figures of a study: of the setting that its story tells of, or of each where they differ in much."""

from dataclasses import replace
from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_document import (
    Estimate,
    Point,
    Study,
)
from dujiang.reports.lab_study_story import paired_difference, yuan_per_additional
from dujiang.reports.lab_study_table import NOTHING
from dujiang.reports.lab_words import (
    EFFECTS,
    Measure,
    amount,
    change,
    ends,
    interval,
    measure_of,
)
from dujiang.reports.layout import Card
from dujiang.reports.words import UNKNOWN

CARDS: Final = 6


def study_cards(study: Study) -> tuple[Card, ...]:
    """Return the key figures of a study."""
    focus = study.focus
    reference = None if focus is None else study.reference_of(focus)
    if focus is None or reference is None:
        point = study.points[-1] if study.points else None
        shown = ("utilisation", "served_share", "mean_wait_h", "price_cny_per_gpu_hour", "voucher_cny", "carbon_kg")
        return tuple(_level_card(study, point, key) for key in shown)
    spent = focus.measure("voucher_cny")
    paying = spent is not None and spent.mean > 0
    if study.mixed and focus is not study.best:
        hours = [_hours_card(study, point) for point in study.others[: CARDS - 2]]
        rest = ("voucher_cny", "cny_per_additional_gpu_hour") if paying else ("utilisation", "mean_wait_h")
        wanted = (*rest, "utilisation", "mean_wait_h", "served_share")[: CARDS - len(hours)]
        return (*hours, *(_card(study, focus, reference, key) for key in dict.fromkeys(wanted)))
    keys = (
        ("net_additional_gpu_hours", "voucher_cny", "cny_per_additional_gpu_hour", "incidence.buyers")
        if paying
        else ("net_additional_gpu_hours", "served_share", "price_cny_per_gpu_hour", "firms_worse")
    )
    return tuple(_card(study, focus, reference, key) for key in (*keys, "utilisation", "mean_wait_h"))


def _hours_card(study: Study, point: Point) -> Card:
    """Return how many GPU-hours more run in one of several settings, under its name."""
    measure, name = measure_of("net_additional_gpu_hours"), study.name(point)
    title = Text(f"{measure.name.en}: {name.en}", f"{measure.name.zh}：{name.zh}")
    value = point.effect(measure.key)
    if value is None:
        return Card(title, UNKNOWN, None, NOTHING)
    if value.sign is None and value.low is not None:
        return replace(_untold_card(study, measure, value), title=title)
    between, percent = ends(measure.unit, value), f"{100 * study.level:.4g}%"
    caption = NOTHING
    if between is not None:
        caption = Text(f"{percent} interval {between.en}", f"{percent} 区间 {between.zh}")
    return Card(title, change(measure.unit, value.mean), None, caption)


def _level_card(study: Study, point: Point | None, key: str) -> Card:
    measure = measure_of(key, study.document)
    value = None if point is None else point.measure(key)
    if value is None or point is None:
        return Card(measure.name, UNKNOWN, None, NOTHING)
    return Card(measure.name, amount(measure.unit, value.mean), None, _caption(study, point, measure, value))


def _card(study: Study, focus: Point, reference: Point, key: str) -> Card:
    measure = measure_of(key, study.document)
    if key in EFFECTS:
        value = focus.effect(key) if key != "cny_per_additional_gpu_hour" else yuan_per_additional(study, focus)
        if value is None:
            return Card(measure.name, UNKNOWN, None, _cannot(study, focus, key))
        if value.sign is None and value.low is not None:
            return _untold_card(study, measure, value)
        return Card(measure.name, _headline(measure, value), None, _caption(study, focus, measure, value))
    here, there, paired = focus.measure(key), reference.measure(key), paired_difference(focus, key)
    if here is None:
        return Card(measure.name, UNKNOWN, None, NOTHING)
    if paired is None or there is None or not there.mean:
        was = None if there is None or not there.mean else _headline(measure, there)
        return Card(measure.name, _headline(measure, here), was, _caption(study, focus, measure, here))
    by, between = change(measure.unit, paired.mean), interval(measure.unit, paired, study.level)
    caption = Text(f"{by.en}{between.en}", f"{by.zh}{between.zh}")
    if paired.sign == 0:
        caption = Text("exactly as in the reference", "与对照方案完全相同")
    elif paired.sign is None:
        caption = Text(f"whether it changes cannot be told: {caption.en}", f"无法判断是否变化：{caption.zh}")
    if study.mixed:
        name = study.name(focus)
        caption = Text(f"{name.en}; {caption.en}", f"{name.zh}；{caption.zh}")
    return Card(measure.name, _headline(measure, here), _headline(measure, there), caption)


def _headline(measure: Measure, value: Estimate) -> Text:
    """Write a figure in large; a price without its unit, which the title names."""
    if measure.key == "net_additional_gpu_hours":
        return change(measure.unit, value.mean)
    found = amount(measure.unit, value.mean)
    return Text(found.en.removesuffix(" per GPU-hour"), found.zh.removesuffix("/卡时"))


def _caption(study: Study, point: Point, measure: Measure, value: Estimate) -> Text:
    """Say of which setting a figure is and between which ends it lies."""
    differs = measure.key == "net_additional_gpu_hours"
    name, between = study.name(point), ends(measure.unit, value, differs)
    if between is None:
        return name
    percent = f"{100 * study.level:.4g}%"
    return Text(f"{name.en}; {percent} interval {between.en}", f"{name.zh}；{percent} 区间 {between.zh}")


def _untold_card(study: Study, measure: Measure, value: Estimate) -> Card:
    """Return a card of an effect whose interval includes zero: what cannot be told is no figure in large."""
    differs = measure.key == "net_additional_gpu_hours"
    mean = (change if differs else amount)(measure.unit, value.mean)
    between = interval(measure.unit, value, study.level, differs)
    return Card(
        measure.name,
        Text("cannot be told", "无法判断"),
        None,
        Text(f"{mean.en}{between.en[:-1]}, which includes zero)", f"{mean.zh}{between.zh[:-1]}，包含零）"),
    )


def _cannot(study: Study, focus: Point, key: str) -> Text:
    if key == "cny_per_additional_gpu_hour" and study.by_vouchers_alone(focus):
        return Text("whether there are additional GPU-hours cannot be told", "无法判断是否有净增卡时")
    return study.name(focus)
