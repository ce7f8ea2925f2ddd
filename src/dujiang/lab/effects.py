"""Effects of a policy: one run against a run of the same jobs without it, job by job.

*Additional* is the work of jobs that run here and do not run there, *displaced* that of jobs that run there and not
here. *Incidence* follows the money: how much of each voucher yuan ended as surplus of firms, how much as surplus of
centres, and how much as neither: spent on compute that is worth less to those who use it than it costs, or, if
negative, gained on top. What centres gain is gross revenue less their ask, which is taken for their cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dujiang.core.money import FEN, MICRO
from dujiang.core.text import Text
from dujiang.lab.measures import (
    MEASURES,
    QUANTILES,
    Measure,
    buyer_surplus,
    centre_surplus,
    rounded,
    unit_of,
    values_of,
    wait_quantiles,
    welfare,
)
from dujiang.lab.sizes import size_names
from dujiang.lab.sums import (
    ASKED,
    HOUR_S,
    SERVED,
    SUPPORTED,
    Float,
    Sums,
    Window,
    by_hour,
    hourly,
    measured,
    ratio,
    total,
    totals_by,
)

SAME = ("job_id", "enterprise_id", "submit_s", "run_s", "gpus", "limit_ucny")
"""What two runs must have in common, row by row, to be compared."""
_THERE = "_there"
_SERVED_THERE = pl.col(f"outcome{_THERE}") == "served"
PAIR_SUMS: dict[str, pl.Expr] = {
    "additional": ASKED * (SERVED & ~_SERVED_THERE),
    "displaced": ASKED * (~SERVED & _SERVED_THERE),
    "supported_additional": ASKED * (SERVED & SUPPORTED & ~_SERVED_THERE),
}
"""GPU-hours at speed 1.0."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect, and how it is said."""

    measure: Measure
    """Its key is dotted where documents nest it; its formula is not used."""
    of: Callable[[Sums, Sums, Sums], Float]
    """Its value from the sums here, there and of the pair."""


def _vouchers(here: Sums, there: Sums) -> Float:
    """Return the voucher money that is paid here and not there; NaN unless there is some."""
    more = here["voucher"] - there["voucher"]
    return np.where(more > 0, more, np.nan)


def _gained(pair: Sums) -> Float:
    """Return the GPU-hours gained; NaN unless there are some."""
    net = pair["additional"] - pair["displaced"]
    return np.where(net > 0, net, np.nan)


def _share(gain: Callable[[Sums], Float], sign: int = 1) -> Callable[[Sums, Sums, Sums], Float]:
    return lambda here, there, _: sign * ratio(gain(here) - gain(there), _vouchers(here, there))


def _price(s: Sums) -> Float:
    return ratio(s["gross"], s["held"])


def _effect(key: str, en: str, zh: str, unit: str, better: str, of: Callable[[Sums, Sums, Sums], Float]) -> Effect:
    return Effect(Measure(key, Text(en, zh), unit, better, None), of)


EFFECTS = (
    _effect(
        "net_additional_gpu_hours",
        "GPU-hours gained by the policy",
        "政策净增卡时",
        "gpu_hours",
        "more",
        lambda h, t, p: p["additional"] - p["displaced"],
    ),
    _effect(
        "additional_gpu_hours",
        "GPU-hours that run only with it",
        "仅在政策下运行的卡时",
        "gpu_hours",
        "more",
        lambda h, t, p: p["additional"],
    ),
    _effect(
        "displaced_gpu_hours",
        "GPU-hours that it displaces",
        "被挤出的卡时",
        "gpu_hours",
        "less",
        lambda h, t, p: p["displaced"],
    ),
    _effect(
        "supported_gpu_hours",
        "GPU-hours with a voucher",
        "获券卡时",
        "gpu_hours",
        "neither",
        lambda h, t, p: h["supported"],
    ),
    _effect(
        "additionality",
        "supported work that would not have run",
        "获券卡时中的新增占比",
        "share",
        "more",
        lambda h, t, p: ratio(p["supported_additional"], h["supported"]),
    ),
    _effect(
        "incidence.buyers",
        "voucher money that ends with firms",
        "券款归企业的比例",
        "share",
        "neither",
        _share(buyer_surplus),
    ),
    _effect(
        "incidence.centres",
        "voucher money that ends with centres",
        "券款归算力中心的比例",
        "share",
        "neither",
        _share(centre_surplus),
    ),
    _effect(
        "incidence.lost", "voucher money that nobody gains", "券款净损失比例", "share", "less", _share(welfare, -1)
    ),
    _effect(
        "leverage.net_per_voucher",
        "paid by supported firms per voucher yuan",
        "每元券款对应的获券企业自付",
        "cny",
        "neither",
        lambda h, t, p: ratio(h["net_supported"], h["voucher"]),
    ),
    _effect(
        "leverage.additional_net_per_voucher",
        "further payments of firms per voucher yuan",
        "每元券款带动的企业新增支付",
        "cny",
        "more",
        lambda h, t, p: ratio(h["net"] - t["net"], _vouchers(h, t)),
    ),
    _effect(
        "cny_per_additional_gpu_hour",
        "voucher money per GPU-hour gained",
        "每净增一卡时的券款",
        "cny_per_gpu_hour",
        "less",
        lambda h, t, p: ratio(_vouchers(h, t), _gained(p)) / MICRO,
    ),
    _effect(
        "price_change_share",
        "change of the price",
        "成交价变化",
        "share",
        "less",
        lambda h, t, p: ratio(_price(h), _price(t)) - 1,
    ),
)
"""In the order in which reports show them."""
FIRMS = (
    Measure("firms_better", Text("firms better off", "受益企业数"), "count", "more", None),
    Measure("firms_worse", Text("firms worse off", "受损企业数"), "count", "less", None),
)
_CHANGES = tuple(
    Measure(f"change.{m.key}", Text(f"change: {m.name.en}", f"变化：{m.name.zh}"), m.unit, m.better, None)
    for m in MEASURES
)
OF_MONEY = frozenset(
    {
        *("incidence.buyers", "incidence.centres", "incidence.lost"),
        *("leverage.additional_net_per_voucher", "cny_per_additional_gpu_hour", "additionality"),
    }
)
"""Effects for each yuan of vouchers: known only if the two runs differ in their programmes and in nothing else, because
what coupling or another allocation brings is no effect of the money."""
ALL_EFFECTS: tuple[Measure, ...] = (*(effect.measure for effect in EFFECTS), *FIRMS, *_CHANGES)
"""Description of every effect, by dotted key."""


def paired(here: pl.DataFrame, there: pl.DataFrame) -> bool:
    """Say whether two replays have the same jobs, row by row."""
    return here.select(SAME).equals(there.select(SAME))


def beside(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """Return the jobs of one replay with the columns of the other's, whose names end in `_there`."""
    return pl.concat([here, there.select(pl.all().name.suffix(_THERE))], how="horizontal")


def pair_sums(here: pl.DataFrame, there: pl.DataFrame, window: Window) -> dict[str, Float]:
    """Return what only the comparison of jobs tells, by hour of submission.

    Parameters
    ----------
    here, there : jobs of two replays that are `paired`
    """
    return by_hour(beside(here, there), window, PAIR_SUMS)


def effect_values(here: Sums, there: Sums, pair: Sums) -> dict[str, Float]:
    """Return every effect that sums tell, by dotted key."""
    values = {effect.measure.key: np.asarray(effect.of(here, there, pair), float) for effect in EFFECTS}
    before, after = values_of(there), values_of(here)
    return {**values, **{f"change.{key}": after[key] - before[key] for key in after}}


_SURPLUS = pl.col("limit_ucny") * SERVED - pl.col("net_ucny")
_SURPLUS_THERE = pl.col(f"limit_ucny{_THERE}") * _SERVED_THERE - pl.col(f"net_ucny{_THERE}")
_WAIT = (pl.col("start_s") - pl.col("submit_s")) / HOUR_S
_WAIT_THERE = (pl.col(f"start_s{_THERE}") - pl.col("submit_s")) / HOUR_S
_GROUP_SUMS: dict[str, pl.Expr] = {
    "surplus": _SURPLUS - _SURPLUS_THERE,
    "done": ASKED * SERVED - ASKED * _SERVED_THERE,
    "voucher": pl.col("voucher_ucny") - pl.col(f"voucher_ucny{_THERE}"),
    "served": SERVED,
    "wait_h": _WAIT * SERVED,
    "served_there": _SERVED_THERE,
    "wait_h_there": _WAIT_THERE * _SERVED_THERE,
}


def _firms(both: pl.DataFrame) -> pl.DataFrame:
    """Return each firm with its change of surplus, micro-yuan; a firm of two regions has a row in each."""
    change = (_SURPLUS - _SURPLUS_THERE).cast(pl.Int64)
    return both.group_by("enterprise_id", "size", "region").agg(change.sum().alias("change"))


def _counts(firms: pl.DataFrame) -> dict[str, int]:
    whole = firms.group_by("enterprise_id").agg(pl.col("change").sum())["change"]
    better, worse = int((whole > FEN).sum()), int((whole < -FEN).sum())
    return {"firms_better": better, "firms_worse": worse, "firms_same": len(whole) - better - worse}


def _group(key: str, name: Text, sums: Mapping[str, Float], firms: pl.DataFrame) -> dict[str, Any]:
    wait = ratio(sums["wait_h"], sums["served"]) - ratio(sums["wait_h_there"], sums["served_there"])
    return {
        "key": key,
        "name": name._asdict(),
        "buyer_surplus_cny": rounded(sums["surplus"] / MICRO, "cny"),
        "gpu_hours_served": rounded(sums["done"], "gpu_hours"),
        "mean_wait_h": rounded(wait, "h"),
        "voucher_cny": rounded(sums["voucher"] / MICRO, "cny"),
        **_counts(firms),
    }


def _groups(both: pl.DataFrame, firms: pl.DataFrame, column: str, names: Mapping[str, Text]) -> list[dict[str, Any]]:
    sums = totals_by(both, column, _GROUP_SUMS)
    keys = [*(key for key in names if key in sums), *(key for key in sums if key not in names)]
    return [_group(key, names.get(key, Text(key, key)), sums[key], firms.filter(pl.col(column) == key)) for key in keys]


def who_gains(here: pl.DataFrame, there: pl.DataFrame, window: Window, regions: Mapping[str, Text]) -> dict[str, Any]:
    """Return who is better and who is worse off: firms, and groups of them by size and by region of origin.

    A firm counts as better or worse off from a change of its surplus of more than a fen. Groups hold changes.

    Parameters
    ----------
    here, there : jobs of two replays that are `paired`, with `size`
    regions : names of regions
    """
    both = measured(beside(here, there), window)
    firms = _firms(both)
    return {
        **_counts(firms),
        "by_size": _groups(both, firms, "size", size_names()),
        "by_region": _groups(both, firms, "region", regions),
    }


def _nested(values: Mapping[str, float | None]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in values.items():
        group, dot, name = key.partition(".")
        if dot:
            document.setdefault(group, {})[name] = value
        else:
            document[key] = value
    return document


def wait_changes(here: pl.DataFrame, there: pl.DataFrame, window: Window) -> dict[str, float | None]:
    """Return the change of each quantile of the wait, by dotted key."""
    after, before = (wait_quantiles(measured(jobs, window)) for jobs in (here, there))
    pairs = {key: (after[key], before[key]) for key in QUANTILES}
    return {f"change.{key}": None if a is None or b is None else a - b for key, (a, b) in pairs.items()}


def effects(
    here: tuple[pl.DataFrame, pl.DataFrame],
    there: tuple[pl.DataFrame, pl.DataFrame],
    window: Window,
    regions: Mapping[str, Text],
    *,
    only_programmes: bool = True,
) -> dict[str, Any] | None:
    """Return the effects of one run against another as a document; None if their jobs are not the same.

    Parameters
    ----------
    here, there : jobs (with `size`) and series of a replay
    window : measured hours
    regions : names of regions
    only_programmes : whether the two differ in nothing but programmes; else `OF_MONEY` is not known
    """
    if not paired(here[0], there[0]):
        return None
    after, before = (total(hourly(*run, window)) for run in (here, there))
    values = effect_values(after, before, total(pair_sums(here[0], there[0], window)))
    said: dict[str, float | None] = {m.key: rounded(values[m.key], m.unit) for m in ALL_EFFECTS if m.key in values}
    changes = wait_changes(here[0], there[0], window)
    if not only_programmes:
        said.update(dict.fromkeys(OF_MONEY))
    said.update({key: rounded(value, unit_of(key.partition(".")[2])) for key, value in changes.items()})
    document = _nested(said)
    for group in ("incidence", "leverage"):
        if all(value is None for value in document[group].values()):
            document[group] = None
    return {**document, **who_gains(here[0], there[0], window, regions)}


__all__ = [
    *(
        "ALL_EFFECTS",
        "EFFECTS",
        "FIRMS",
        "OF_MONEY",
        "PAIR_SUMS",
        "Effect",
        "beside",
        "effect_values",
        "effects",
        "pair_sums",
    ),
    *("paired", "wait_changes", "who_gains"),
]
