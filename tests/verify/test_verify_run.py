"""Metered use and ledger of the hand-made round, worked out by hand, and each way to spoil them.

o1 runs its two hours: 176 to the centre, 60 from the voucher, 116 from a, who had 116.01 reserved (a fen more than its
net: lines are rounded to the fen one by one). o2 fails half way: 12 to the centre, 6 from the voucher, 2 for the
transfer, so 8 from b. o3 runs: 40 from c.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from handmade_round import YUAN, Case

from dujiang.verify.ledger import KINDS

OPEN, AWARD, END = (datetime(2025, 11, 2, hour, tzinfo=UTC) for hour in (15, 16, 20))
ENTRIES: list[tuple[str, str, datetime, str | None, str | None, dict[str, float]]] = [
    ("sz/open", "open", OPEN, None, None,
     {"Assets:Programme:Xsz": 80, "Liabilities:Programme:Xsz:Available": -80}),
    ("Xsz:Xb/cap", "open", OPEN, None, None, {"Equity:Cap:Xsz:Xb:Used": 40, "Equity:Cap:Xsz:Xb:Left": -40}),
    ("o1/reserve", "reserve", AWARD, "o1", None,
     {"Assets:Enterprise:Xa": 116.01, "Liabilities:Enterprise:Xa:Reserved": -116.01,
      "Liabilities:Programme:Xsz:Available": 60, "Liabilities:Programme:Xsz:Reserved": -60}),
    ("o2/reserve", "reserve", AWARD, "o2", None,
     {"Assets:Enterprise:Xb": 14.01, "Liabilities:Enterprise:Xb:Reserved": -14.01,
      "Liabilities:Programme:Xsz:Available": 12, "Liabilities:Programme:Xsz:Reserved": -12,
      "Equity:Cap:Xsz:Xb:Left": 12, "Equity:Cap:Xsz:Xb:Used": -12}),
    ("o3/reserve", "reserve", AWARD, "o3", None,
     {"Assets:Enterprise:Xc": 40, "Liabilities:Enterprise:Xc:Reserved": -40}),
    ("o1/post", "post", END, "o1", "o1/reserve",
     {"Liabilities:Enterprise:Xa:Reserved": 116, "Liabilities:Programme:Xsz:Reserved": 60,
      "Liabilities:Centre:Xeast1:Payable": -176}),
    ("o2/post", "post", END, "o2", "o2/reserve",
     {"Liabilities:Enterprise:Xb:Reserved": 8, "Liabilities:Programme:Xsz:Reserved": 6,
      "Liabilities:Centre:Xwest1:Payable": -12, "Liabilities:Carrier:Payable": -2}),
    ("o3/post", "post", END, "o3", "o3/reserve",
     {"Liabilities:Enterprise:Xc:Reserved": 40, "Liabilities:Centre:Xwest1:Payable": -40}),
    ("o1/void", "void", END, "o1", "o1/reserve",
     {"Assets:Enterprise:Xa": -0.01, "Liabilities:Enterprise:Xa:Reserved": 0.01}),
    ("o2/void", "void", END, "o2", "o2/reserve",
     {"Assets:Enterprise:Xb": -6.01, "Liabilities:Enterprise:Xb:Reserved": 6.01,
      "Liabilities:Programme:Xsz:Available": -6, "Liabilities:Programme:Xsz:Reserved": 6,
      "Equity:Cap:Xsz:Xb:Left": -6, "Equity:Cap:Xsz:Xb:Used": 6}),
]  # fmt: skip
USAGE = [
    {"order_id": "o1", "pool_id": "pe", "outcome": "ended", "run_hours_micro": 2 * YUAN, "gpu_hours_micro": 16 * YUAN},
    {"order_id": "o2", "pool_id": "pw", "outcome": "failed", "run_hours_micro": YUAN // 2, "gpu_hours_micro": 2 * YUAN},
    {"order_id": "o3", "pool_id": "pn", "outcome": "ended", "run_hours_micro": 2 * YUAN, "gpu_hours_micro": 8 * YUAN},
]
# o1 alone has figures of its power: 16 GPU-hours x 500 W = 8 kWh, x 1.25 = 10 kWh, x 0.5 = 5 kg
POWER = {"it_kwh": 8.0, "kwh": 10.0, "kgco2": 5.0, "watts_per_gpu": 500.0, "pue": 1.25, "grid_kgco2_per_kwh": 0.5}

Lines = list[dict[str, Any]]


def ledger_lines() -> Lines:
    return [
        {
            "entry_id": entry_id,
            "kind": kind,
            "instant": instant,
            "order_id": order_id,
            "points_to": points_to,
            "why": "by hand",
            "line": line,
            "account": account,
            "amount_ucny": round(amount * YUAN),
        }
        for entry_id, kind, instant, order_id, points_to, lines in ENTRIES
        for line, (account, amount) in enumerate(lines.items())
    ]


def usage_lines() -> Lines:
    return [dict.fromkeys(POWER) | row | (POWER if row["order_id"] == "o1" else {}) for row in USAGE]


def write(case: Case, usage: Lines, ledger: Lines) -> None:
    floats = dict.fromkeys(POWER, pl.Float64)
    pl.DataFrame(usage, schema_overrides=floats).write_parquet(case.result / "usage.parquet")
    texts = {"order_id": pl.String, "points_to": pl.String, "instant": pl.Datetime("us", "UTC")}
    pl.DataFrame(ledger, schema_overrides=texts).write_parquet(case.result / "ledger.parquet")


def test_the_hand_made_ledger_keeps_every_rule(good: Case) -> None:
    write(good, usage_lines(), ledger_lines())
    verdict = good.verdict()
    assert verdict.findings == []
    assert verdict.checks["ledger"] > 50
    assert verdict.checks["ledger_budget"] > 20
    assert verdict.checks["usage"] > 15


def test_what_is_unseen_stays_reserved(good: Case) -> None:
    usage = usage_lines()
    unseen = {"outcome": "unseen", "run_hours_micro": None, "gpu_hours_micro": None}
    usage[0] = usage[0] | unseen | dict.fromkeys(("it_kwh", "kwh", "kgco2"))
    open_ = [line for line in ledger_lines() if line["entry_id"] not in ("o1/post", "o1/void")]
    write(good, usage, open_)
    assert good.verdict().findings == []


def settled(usage: Lines, ledger: Lines, order_id: str, kind: str, hours: float, **moves: dict[str, float]) -> None:
    """Give an order another reading and other entries of settlement."""
    row = next(row for row in usage if row["order_id"] == order_id)
    gpus = row["gpu_hours_micro"] // row["run_hours_micro"]
    row |= {"outcome": kind, "run_hours_micro": round(hours * YUAN), "gpu_hours_micro": round(gpus * hours * YUAN)}
    old = [line for line in ledger if line["order_id"] == order_id and line["kind"] != "reserve"]
    rest = [line for line in ledger if line not in old]
    new = [
        old[0] | {"entry_id": f"{order_id}/{kind}", "kind": kind, "line": i, "account": account}
        | {"amount_ucny": round(amount * YUAN)}
        for kind, lines in moves.items()
        for i, (account, amount) in enumerate(lines.items())
    ]  # fmt: skip
    ledger[:] = sorted(rest + new, key=lambda line: (line["instant"], KINDS.index(line["kind"])))


def test_what_never_started_costs_nothing(good: Case) -> None:
    usage, ledger = usage_lines(), ledger_lines()
    back = {
        "Assets:Enterprise:Xb": -14.01, "Liabilities:Enterprise:Xb:Reserved": 14.01,
        "Liabilities:Programme:Xsz:Available": -12, "Liabilities:Programme:Xsz:Reserved": 12,
    }  # fmt: skip
    settled(usage, ledger, "o2", "never_started", 0, void=back)
    write(good, usage, ledger)
    assert good.verdict().findings == []


def test_a_centre_gets_its_ask_for_what_ran(good: Case) -> None:
    """With prices of 4 and 7 the first of o3's two hours is 4 / 11 of the 40 that it pays, 14.55; the ask is 16."""
    prices = pl.read_parquet(good.result / "prices.parquet").to_dicts()
    for row in prices:
        if row["pool_id"] == "pn" and row["slot"] in (1, 2):
            row["ucny_per_gpu_hour"] = (4 if row["slot"] == 1 else 7) * YUAN
    pl.DataFrame(prices).write_parquet(good.result / "prices.parquet")
    for centre, fine in ((16, True), (14.55, False)):
        usage, ledger = usage_lines(), ledger_lines()
        reserved, payable = "Liabilities:Enterprise:Xc:Reserved", "Liabilities:Centre:Xwest1:Payable"
        post = {reserved: centre, payable: -centre}
        void = {"Assets:Enterprise:Xc": centre - 40, reserved: 40 - centre}
        settled(usage, ledger, "o3", "failed", 1, post=post, void=void)
        write(good, usage, ledger)
        found = [finding for finding in good.verdict().findings if finding.rule == "ledger"]
        assert (found == []) is fine, found


def test_figures_of_the_run(good: Case) -> None:
    write(good, usage_lines(), ledger_lines())
    figures = {
        "speedup": "1",
        "outcomes": {"ended": 2, "failed": 1},
        "gpu_hours_metered": 26.0,
        "kwh": 10.0,
        "kgco2": 5.0,
        "without_energy_reading": 2,
        "posted_gross_cny": 228.0,
        "posted_transfer_cny": 2.0,
        "posted_voucher_cny": 66.0,
        "posted_net_cny": 164.0,
        "posted_rounding_cny": 0.0,
    }
    path = good.result / "summary.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | {"run": figures}), encoding="utf-8")
    assert good.verdict().findings == []
    for key in set(figures) - {"speedup", "outcomes"}:
        path.write_text(json.dumps(document | {"run": figures | {key: 1.5}}), encoding="utf-8")
        assert [(f.rule, f.where) for f in good.verdict().findings] == [("summary", f"summary.json:run.{key}")]


def amounts(entry_id: str, **changes: float) -> Callable[[Lines, Lines], None]:
    """Add amounts in yuan to lines of an entry, by the beginning of the account without colons."""

    def spoil(usage: Lines, ledger: Lines) -> None:
        for start, amount in changes.items():
            found = [r for r in ledger if r["entry_id"] == entry_id and r["account"].replace(":", "").startswith(start)]
            assert len(found) == 1
            found[0]["amount_ucny"] += round(amount * YUAN)

    return spoil


def every_line(entry_id: str, **changes: Any) -> Callable[[Lines, Lines], None]:
    def spoil(usage: Lines, ledger: Lines) -> None:
        for row in ledger:
            if row["entry_id"] == entry_id:
                row.update(changes)

    return spoil


def drop(entry_id: str) -> Callable[[Lines, Lines], None]:
    def spoil(usage: Lines, ledger: Lines) -> None:
        ledger[:] = [row for row in ledger if row["entry_id"] != entry_id]

    return spoil


def account(entry_id: str, old: str, new: str) -> Callable[[Lines, Lines], None]:
    def spoil(usage: Lines, ledger: Lines) -> None:
        found = [row for row in ledger if row["entry_id"] == entry_id and row["account"] == old]
        assert len(found) == 1
        found[0]["account"] = new

    return spoil


def reading(row: int, **changes: Any) -> Callable[[Lines, Lines], None]:
    return lambda usage, ledger: usage[row].update(changes)


def again(entry_id: str, new_id: str) -> Callable[[Lines, Lines], None]:
    """Write an entry a second time, right after itself, under another id."""

    def spoil(usage: Lines, ledger: Lines) -> None:
        rows = [row | {"entry_id": new_id} for row in ledger if row["entry_id"] == entry_id]
        after = max(i for i, row in enumerate(ledger) if row["entry_id"] == entry_id)
        ledger[after + 1 : after + 1] = rows

    return spoil


CASES: dict[str, tuple[str, Callable[[Lines, Lines], None]]] = {
    "entry that does not balance": ("ledger", amounts("o1/post", LiabilitiesCentre=-1)),
    "line missing": ("ledger", lambda usage, ledger: ledger.pop()),
    "line numbered wrongly": ("ledger", lambda usage, ledger: ledger[0].update(line=1)),
    "account twice": (
        "ledger", account("o1/reserve", "Liabilities:Programme:Xsz:Reserved", "Liabilities:Programme:Xsz:Available")
    ),
    "kind that nobody knows": ("ledger", every_line("o1/post", kind="gift")),
    "entries out of order": ("ledger", every_line("o1/post", instant=OPEN)),
    "points to nothing": ("ledger", every_line("o1/post", points_to="o9/reserve")),
    "points to another order": ("ledger", every_line("o1/post", points_to="o3/reserve")),
    "reserve missing": ("ledger", drop("o3/reserve")),
    "reserve twice": ("ledger", again("o3/reserve", "o3/reserve-2")),
    "post twice": ("ledger", again("o3/post", "o3/post-2")),
    "post missing": ("ledger", drop("o3/post")),
    "rest never voided": ("ledger", drop("o2/void")),
    "enterprise above its limit": (
        "ledger", amounts("o1/reserve", AssetsEnterprise=4, LiabilitiesEnterprise=-4)
    ),
    "voucher above the award": (
        "ledger",
        amounts("o2/reserve", LiabilitiesProgrammeXszAvailable=1, LiabilitiesProgrammeXszReserved=-1),
    ),
    "posted above reserved": (
        "ledger", amounts("o1/post", LiabilitiesEnterprise=1, LiabilitiesCentre=-1)
    ),
    "another enterprise pays": (
        "ledger", account("o1/post", "Liabilities:Enterprise:Xa:Reserved", "Liabilities:Enterprise:Xb:Reserved")
    ),
    "another centre is paid": (
        "ledger", account("o1/post", "Liabilities:Centre:Xeast1:Payable", "Liabilities:Centre:Xwest1:Payable")
    ),
    "carrier paid too much": ("ledger", amounts("o2/post", LiabilitiesCentre=1, LiabilitiesCarrier=-1)),
    "paid without an award": ("ledger", every_line("o3/post", order_id="o4")),
    "order left out": ("ledger", every_line("o3/post", order_id=None)),
    "budget opened too high": ("ledger_budget", amounts("sz/open", AssetsProgramme=1, LiabilitiesProgramme=-1)),
    "budget opened too low": ("ledger_budget", amounts("sz/open", AssetsProgramme=-9, LiabilitiesProgramme=9)),
    "cap overdrawn": ("ledger_budget", amounts("Xsz:Xb/cap", EquityCapXszXbUsed=-29, EquityCapXszXbLeft=29)),
    "budget overdrawn": ("ledger_budget", again("o2/reserve", "o2/reserve-2")),
    "reading missing": ("usage", lambda usage, ledger: usage.pop()),
    "reading of no award": ("usage", reading(2, order_id="o4")),
    "reading in another pool": ("usage", reading(0, pool_id="pw")),
    "more hours than awarded": ("usage", reading(1, run_hours_micro=YUAN + 1, gpu_hours_micro=4 * YUAN + 4)),
    "hours below zero": ("usage", reading(1, run_hours_micro=-1, gpu_hours_micro=-4)),
    "GPU-hours of another size": ("usage", reading(1, gpu_hours_micro=2 * YUAN + 1)),
    "unseen with hours": ("usage", reading(1, outcome="unseen")),
    "energy": ("usage", reading(0, kwh=9.0)),
    "energy out of nothing": ("usage", reading(1, it_kwh=1.0)),
    "carbon": ("usage", reading(0, kgco2=0.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_corruption_is_found_by_its_rule(name: str, good: Case) -> None:
    rule, spoil = CASES[name]
    usage, ledger = usage_lines(), ledger_lines()
    spoil(usage, ledger)
    write(good, usage, ledger)
    assert rule in {finding.rule for finding in good.verdict().findings}


def test_half_a_run_is_a_finding(good: Case) -> None:
    write(good, usage_lines(), ledger_lines())
    (good.result / "usage.parquet").unlink()
    assert {finding.rule for finding in good.verdict().findings} == {"files"}
