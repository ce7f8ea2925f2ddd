"""Each way to spoil a good result, and the rule that has to see it."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from handmade_round import YUAN, Case

Spoil = Callable[[Case], None]


def test_the_hand_made_result_keeps_every_rule(good: Case) -> None:
    verdict = good.verdict()
    assert verdict.findings == []
    assert verdict.clean
    assert verdict.figures["dual_bound_ucny"] == 191 * YUAN
    assert verdict.figures["dual_bound_at_prices_ucny"] == 183_600_000
    assert verdict.figures["welfare_ucny"] == 92 * YUAN
    assert verdict.checks["once"] == 9
    assert verdict.checks["capacity"] == 12
    assert verdict.checks["enough"] == 2 * 6
    assert verdict.checks["vouchers"] > 5
    assert verdict.checks["links"] > 10


def award(order_id: str, **changes: Any) -> Spoil:
    """Change cells of one award; a callable gets the old value."""

    def spoil(case: Case) -> None:
        path = case.result / "awards.parquet"
        frame = pl.read_parquet(path)
        rows = frame.to_dicts()
        row = next(row for row in rows if row["order_id"] == order_id)
        row.update({k: v(row[k]) if callable(v) else v for k, v in changes.items()})
        pl.DataFrame(rows, schema=frame.schema).write_parquet(path)

    return spoil


def table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    """Change a whole table of the result."""

    def spoil(case: Case) -> None:
        path = case.result / f"{name}.parquet"
        change(pl.read_parquet(path)).write_parquet(path)

    return spoil


def cell(name: str, row: int, column: str, value: Any) -> Spoil:
    """Set one cell of a table of the result."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        rows = frame.to_dicts()
        rows[row][column] = value
        return pl.DataFrame(rows, schema=frame.schema)

    return table(name, change)


def summary(*path: str | int, value: Any) -> Spoil:
    """Set one figure of summary.json."""

    def spoil(case: Case) -> None:
        file = case.result / "summary.json"
        document = json.loads(file.read_text(encoding="utf-8"))
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        file.write_text(json.dumps(document), encoding="utf-8")

    return spoil


def text(name: str, old: str, new: str, folder: str = "book") -> Spoil:
    """Replace text in a file of the book or of the result."""

    def spoil(case: Case) -> None:
        path: Path = getattr(case, folder) / name
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")

    return spoil


def orders_with(column: str, **cells: str) -> Spoil:
    """Add a column to the orders of the book, or write into one that is there, by order."""

    def spoil(case: Case) -> None:
        path = case.book / "orders.csv"
        orders = list(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))))
        for order in orders:
            order[column] = cells.get(order["order_id"], order.get(column, ""))
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(orders[0]))
            writer.writeheader()
            writer.writerows(orders)

    return spoil


def voucher(of: str, /, **changes: Any) -> Spoil:
    """Change cells of one voucher; a callable gets the old value."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        rows = frame.to_dicts()
        row = next(row for row in rows if row["order_id"] == of)
        row.update({k: v(row[k]) if callable(v) else v for k, v in changes.items()})
        return pl.DataFrame(rows, schema=frame.schema)

    return table("vouchers", change)


def both(*spoils: Spoil) -> Spoil:
    def spoil(case: Case) -> None:
        for one in spoils:
            one(case)

    return spoil


def programme(old: str, new: str) -> Spoil:
    """Change the programme in the book and in the copy alike."""
    return both(text("programmes/sz.yaml", old, new), text("programmes/sz.yaml", old, new, "result"))


def remove(name: str) -> Spoil:
    return lambda case: (case.result / name).unlink()


def truncate(name: str) -> Spoil:
    def spoil(case: Case) -> None:
        path = case.result / name
        path.write_bytes(path.read_bytes()[:-40])

    return spoil


def without(name: str, order_id: str) -> Spoil:
    return table(name, lambda frame: frame.filter(pl.col("order_id") != order_id))


def twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame[:1]]).sort("order_id")


def added_rejection(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame[:1].with_columns(order_id=pl.lit("o1"))]).sort("order_id")


CASES: dict[str, tuple[str, Spoil]] = {
    # awards: place and time
    "start moved past the deadline": ("window", award("o1", start=1)),
    "start before the release": ("window", award("o3", start=-1)),
    "start past the round": ("window", award("o3", start=3)),
    "more slots than needed": ("window", award("o2", slots=2)),
    "fewer gpus": ("window", award("o3", gpus=3)),
    "run time": ("window", award("o3", hours_micro=YUAN)),
    "pool of another region": ("compatible", award("o1", pool_id="pw", centre_id="west1")),
    "pool of another accelerator": ("compatible", award("o3", pool_id="pw")),
    "unknown pool": ("known", award("o1", pool_id="nowhere")),
    "centre of another pool": ("known", award("o1", centre_id="west1")),
    "another enterprise": ("known", award("o1", enterprise_id="b")),
    "capacity overfull": ("capacity", award("o2", pool_id="pe", centre_id="east1")),
    # awards: money
    "gross up by a micro-yuan": ("payment", award("o1", gross_ucny=lambda v: v + 1, net_ucny=lambda v: v + 1)),
    "vouchers up by a micro-yuan": ("payment", award("o2", voucher_ucny=lambda v: v + 1, net_ucny=lambda v: v - 1)),
    "voucher up by a micro-yuan": ("payment", voucher("o2", voucher_ucny=lambda v: v + 1)),
    "all of it up by a micro-yuan": ("payment", both(
        voucher("o2", voucher_ucny=lambda v: v + 1),
        award("o2", voucher_ucny=lambda v: v + 1, net_ucny=lambda v: v - 1),
    )),
    "net down": ("payment", award("o2", net_ucny=lambda v: v - 1)),
    "net above the limit": ("limit", award("o1", gross_ucny=lambda v: v + 5 * YUAN, net_ucny=lambda v: v + 5 * YUAN)),
    "gross below the ask": ("limit", award("o3", gross_ucny=31 * YUAN, net_ucny=31 * YUAN)),
    "transfer left out": ("costs", award("o2", transfer_ucny=0, net_ucny=12 * YUAN)),
    "ask cost": ("costs", award("o1", ask_cost_ucny=lambda v: v - 1)),
    "price cost": ("costs", award("o1", price_cost_ucny=lambda v: v - 1)),
    "effective limit": ("costs", award("o1", effective_limit_ucny=lambda v: v + 1)),
    "share": ("costs", both(award("o1", share_ppm=500_001), voucher("o1", share_ppm=500_001))),
    "room": ("costs", both(award("o1", room_ucny=61 * YUAN), voucher("o1", room_ucny=61 * YUAN))),
    "share unlike the voucher's": ("vouchers", award("o1", share_ppm=500_001)),
    "share left out": ("vouchers", award("o1", share_ppm=None)),
    "room unlike the voucher's": ("vouchers", award("o1", room_ucny=lambda v: v + 1)),
    "share without a voucher": ("vouchers", award("o3", share_ppm=1)),
    "flag set": ("paradoxical", award("o1", paradoxical=True)),
    "flag left out": ("paradoxical", award("o3", paradoxical=False)),
    # awards: programmes
    "programme that nobody knows": ("known", both(award("o1", programme_id="xx"), voucher("o1", programme_id="xx"))),
    "programme unlike the voucher's": ("vouchers", award("o1", programme_id="xx")),
    "programme for an ineligible enterprise": ("programme", table(
        "vouchers", lambda f: pl.concat([f, f[1:].with_columns(order_id=pl.lit("o3"))])
    )),
    "programme taken away": ("vouchers", award("o2", programme_id=None)),
    "voucher without an award": ("vouchers", voucher("o2", order_id="o8")),
    "voucher missing": ("vouchers", table("vouchers", lambda f: f[:1])),
    "voucher twice": ("programme", table("vouchers", lambda f: f[[0, 0, 1]])),
    "voucher taken from award and file": ("costs", both(
        table("vouchers", lambda f: f[:1]),
        award("o2", programme_id=None, share_ppm=0, room_ucny=0, voucher_ucny=0, net_ucny=26 * YUAN),
    )),
    "programme for who may have none": ("programme", orders_with("max_vouchers", o2="0")),
    "programme twice in a contract": (
        "programme", both(orders_with("enterprise_id", o1="b"), orders_with("contract_id", o1="k1"))
    ),
    "programme that has expired": ("programme", programme("until: 2025-12-31", "until: 2025-11-02")),
    "programme not yet in force": ("programme", programme("from: 2025-01-01", "from: 2025-11-04")),
    "programme of another good": ("programme", programme("good: compute", "good: corpus")),
    "programme not computable": ("programme", programme("not_computable: null", "not_computable: {en: x, zh: 某}")),
    "condition on an unknown fact": ("programme", programme("fact: city", "fact: district")),
    "claim below the minimum": ("programme", programme("{amount_cny: 10,", "{amount_cny: 12.000001,")),
    "programme file unlike the book's": (
        "programme", text("programmes/sz.yaml", "source: nobody", "source: somebody", "result")
    ),
    "programme of no book": ("programme", lambda case: (case.book / "programmes" / "sz.yaml").unlink()),
    "cap exceeded": ("budget", programme("cap: {amount_cny: 60,", "cap: {amount_cny: 59,")),
    "budget exceeded": ("budget", programme("budget: {amount_cny: 100,", "budget: {amount_cny: 91,")),
    "budget exceeded through claims": ("budget", text("claims.csv", "b,sz,2025,20", "b,sz,2025,29")),
    "budget lowered by the round": ("budget", text("book.yaml", "title:", "use: [{id: sz, budget_cny: 71}]\ntitle:")),
    # once
    "award missing": ("once", without("awards", "o3")),
    "award twice": ("once", table("awards", twice)),
    "rejection missing": ("once", without("rejections", "o5")),
    "awarded and rejected": ("once", table("rejections", added_rejection)),
    "order that nobody placed": ("known", cell("rejections", 5, "order_id", "p9")),
    # prices
    "price below the ask": ("prices", cell("prices", 2, "ucny_per_gpu_hour", 9 * YUAN)),
    "price changed in one slot": ("costs", cell("prices", 0, "ucny_per_gpu_hour", 11 * YUAN + 1)),
    "price changed where nobody runs": ("certificate", cell("prices", 3, "ucny_per_gpu_hour", 13 * YUAN)),
    "ask changed": ("prices", cell("prices", 0, "ask_ucny_per_gpu_hour", 9 * YUAN)),
    "used changed": ("prices", cell("prices", 0, "gpus_used", 7)),
    "free changed": ("prices", cell("prices", 0, "gpus_free", 1)),
    "price missing": ("prices", table("prices", lambda f: f[:-1])),
    "price twice": ("prices", table("prices", lambda f: pl.concat([f[:1], f]))),
    # limited links
    "link multiplier negative": ("links", cell("link_prices", 0, "ucny_per_gb", -1)),
    "link multiplier changed": ("certificate", cell("link_prices", 1, "ucny_per_gb", 50_001)),
    "link of another capacity": ("links", cell("link_prices", 3, "gb_per_slot_micro", 31 * YUAN)),
    "link with a running award left out": ("links", cell("link_prices", 2, "gb_per_slot_micro", 30 * YUAN)),
    "link used": ("links", cell("link_prices", 0, "gb_used_micro", 0)),
    "link slot missing": ("links", table("link_prices", lambda f: f[:3])),
    "link slot twice": ("links", table("link_prices", lambda f: f[[0, 0, 1, 2, 3]])),
    "link that has no limit": ("links", cell("link_prices", 0, "region", "north")),
    "link overfull": ("links", orders_with("data_gb", o2="31")),
    # running awards
    "running award larger": ("prices", text("running.csv", "r0,pw,2,9,2", "r0,pw,2,9,3")),
    "running award over earlier": ("prices", text("running.csv", "r0,pw,2,9,2", "r0,pw,2,1,2")),
    "running award in the way": ("capacity", text("running.csv", "r0,pw,2,9,2", "r0,pw,0,9,5")),
    # rejections
    "limit that would be enough": ("enough", cell("rejections", 2, "enough_limit_ucny", 80 * YUAN - 1)),
    "limit that would be enough left out": ("enough", cell("rejections", 4, "enough_limit_ucny", None)),
    "limit where none is enough": ("enough", cell("rejections", 0, "enough_limit_ucny", 80 * YUAN)),
    "deadline that would be enough": ("enough", cell("rejections", 3, "enough_deadline", 2)),
    "deadline that would be enough left out": ("enough", cell("rejections", 5, "enough_deadline", None)),
    "deadline where none is enough": ("enough", cell("rejections", 2, "enough_deadline", 4)),
    "reason changed": ("reason", cell("rejections", 0, "reason", "paradoxical")),
    "reason that nobody knows": ("reason", cell("rejections", 5, "reason", "bad_luck")),
    # certificate
    "multiplier changed": ("certificate", cell("multipliers", 0, "multiplier_ppm", 250_001)),
    "multiplier of a cap changed": ("certificate", cell("multipliers", 1, "multiplier_ppm", 99_999)),
    "multiplier of the second bound changed": (
        "certificate", cell("multipliers", 0, "multiplier_paid_ppm", 200_001)
    ),
    "multiplier of the second bound negative": ("multipliers", cell("multipliers", 1, "multiplier_paid_ppm", -1)),
    "multiplier negative": ("multipliers", cell("multipliers", 0, "multiplier_ppm", -1)),
    "left changed": ("multipliers", cell("multipliers", 0, "left_ucny", 81 * YUAN)),
    "used of a budget changed": ("multipliers", cell("multipliers", 0, "used_ucny", 71 * YUAN)),
    "used of a cap missing": ("multipliers", table("multipliers", lambda f: f[[0, 1, 3]])),
    "budget missing": ("multipliers", table("multipliers", lambda f: f[1:])),
    "cap of nobody": ("multipliers", cell("multipliers", 3, "programme_id", "xx")),
    "welfare": ("certificate", summary("welfare_ucny", value=92 * YUAN + 1)),
    "welfare in yuan": ("certificate", summary("welfare_cny", value=92.01)),
    "bound": ("certificate", summary("dual_bound_ucny", value=191 * YUAN - 1)),
    "gap": ("certificate", summary("gap", value=0.0)),
    "bound at the prices": ("certificate", summary("dual_bound_at_prices_ucny", value=183_600_001)),
    "bound at the prices in yuan": ("certificate", summary("dual_bound_at_prices_cny", value=183.7)),
    "gap at the prices": ("certificate", summary("gap_at_prices", value=0.0)),
    # summary
    "utilisation": ("summary", summary("utilisation", value=0.5)),
    "served share": ("summary", summary("served_share", value=0.5)),
    "served GPU-hours": ("summary", summary("gpu_hours_served_share", value=0.5)),
    "mean wait": ("summary", summary("mean_wait_h", value=0.0)),
    "uplift": ("summary", summary("uplift_cny", value=0.0)),
    "uplift of a pool": ("summary", summary("uplift_by_pool", "pe", value=4.0)),
    "turnover": ("summary", summary("turnover_cny", value=241.0)),
    "transfer": ("summary", summary("transfer_cny", value=0)),
    "orders": ("summary", summary("orders", value=10)),
    "awards": ("summary", summary("awards", value=4)),
    "count of a reason": ("summary", summary("rejections", "no_room", value=0)),
    "reason without orders": ("summary", summary("rejections", "bad_luck", value=1)),
    "start": ("summary", summary("start", value="2025-11-02T17:00:00Z")),
    "slots": ("summary", summary("slots", value=5)),
    "format": ("summary", summary("format", value="dujiang.clearing/2")),
    "coupling unknown": ("summary", summary("coupling", value="half")),
    "coupling": ("compatible", summary("coupling", value="isolated")),
    "spent of a programme": ("summary", summary("vouchers", 0, "spent_cny", value=71.0)),
    "left of a programme": ("summary", summary("vouchers", 0, "budget_left_cny", value=None)),
    "awards of a programme": ("summary", summary("vouchers", 0, "awards", value=1)),
    "multiplier of a programme": ("summary", summary("vouchers", 0, "multiplier", value=0.2)),
    "second multiplier of a programme": ("summary", summary("vouchers", 0, "multiplier_paid", value=0.25)),
    "income of a centre": ("summary", summary("by_centre", 0, "income_cny", value=175.0)),
    "use of a centre": ("summary", summary("by_centre", 1, "utilisation", value=0.3)),
    "centre missing": ("summary", summary("by_centre", value=[])),
    "figure that is no number": ("summary", summary("uplift_cny", value="4")),
    "book digest": ("summary", summary("book_sha256", value="0" * 64)),
    # files
    "awards missing": ("files", remove("awards.parquet")),
    "vouchers missing": ("files", remove("vouchers.parquet")),
    "link prices missing": ("files", remove("link_prices.parquet")),
    "prices missing": ("files", remove("prices.parquet")),
    "rejections missing": ("files", remove("rejections.parquet")),
    "multipliers missing": ("files", remove("multipliers.parquet")),
    "summary missing": ("files", remove("summary.json")),
    "programme copy missing": ("files", remove("programmes/sz.yaml")),
    "awards truncated": ("files", truncate("awards.parquet")),
    "summary truncated": ("files", truncate("summary.json")),
    "facts broken": ("files", lambda case: (case.result / "facts.json").write_text("[]")),
    "programme copy broken": ("files", lambda case: (case.result / "programmes" / "sz.yaml").write_text("{")),
    "book missing": ("files", lambda case: (case.book / "book.yaml").unlink()),
    "orders missing": ("files", lambda case: (case.book / "orders.csv").unlink()),
    "orders broken": ("files", orders_with("gpus", o2="four")),
    "column missing": ("schema", table("awards", lambda f: f.drop("net_ucny"))),
    "column of another type": ("schema", table("awards", lambda f: f.with_columns(pl.col("start").cast(pl.Int32)))),
    "nulls": ("schema", cell("prices", 0, "gpus_free", None)),
    "rows in another order": ("schema", table("awards", lambda f: f.reverse())),
    # the book afterwards
    "capacity of the book lowered": ("capacity", text("pools.csv", "pe,east1,H800,8", "pe,east1,H800,7")),
    "limit of the book lowered": ("limit", orders_with("limit_cny", o2="13")),
    "deadline of the book moved": ("window", orders_with("deadline", o1="1")),
    "release of the book moved": ("window", orders_with("release", o2="1")),
    "link of the book removed": ("compatible", text("links.csv", "east,west", "east,north")),
    "round-trip time of the book": ("compatible", orders_with("rtt_ms_max", o2="39.9")),
    "stack of the book": ("compatible", orders_with("stacks", o2="cann")),
    "speed of the book": ("window", text("pools.csv", "4.0,0.5", "4.0,1")),
    "ask of the book raised": ("prices", text("pools.csv", "H800,8,6,1", "H800,8,7,1")),
    "order added to the book": ("once", text("orders.csv", "o9,c", "p1,c,1,1,0,4,9,,,,,\no9,c")),
    "carbon asked for": ("certificate", both(
        text("book.yaml", "title:", "objective: {carbon_cny_per_kg: 1}\ntitle:"),
        text("pools.csv", "stacks\n", "stacks,watts_per_gpu\n"),
        text("pools.csv", ",1,\n", ",1,,1000\n"),
        text("pools.csv", "cuda;rocm", "cuda;rocm,1000"),
        text("pools.csv", "cann", "cann,1000"),
        text("centres.csv", "province\n", "pue,grid_kgco2_per_kwh\n"),
        text("centres.csv", "广东", "1.5,0.5"),
        text("centres.csv", "贵州", "1,0.5"),
    )),
    "small firms preferred": ("certificate", text(
        "book.yaml", "title:", "objective: {small_firm_cny_per_gpu_hour: 1, small_firm_employees_max: 20}\ntitle:"
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_corruption_is_found_by_its_rule(name: str, good: Case) -> None:
    rule, spoil = CASES[name]
    spoil(good)
    verdict = good.verdict()
    said = [finding.say() for finding in verdict.findings]
    assert rule in {finding.rule for finding in verdict.findings}, said
    if rule == "summary":  # a figure of the summary spoils nothing else
        assert {finding.rule for finding in verdict.findings} == {rule}, said
    assert not verdict.clean
