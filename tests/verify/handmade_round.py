"""A small book and its result, worked out by hand.

Supply, four slots from 2025-11-03 00:00 in Shanghai, yuan per GPU-hour:

    pool  centre  region  card  speed  gpus             ask               price
    pe    east1   east    H800  1      8 8 8 4          10 10 10 12       11 11 10 12
    pn    west1   west    910B  0.5    4 4 4 4           4  4  4  4        4 5.5 5.5 4
    pw    west1   west    H800  1      8 8 8 8           6  6  6  6        6  6  6  6

pw offers 10 in slots 2 and 3, of which r0, an award of an earlier round, holds 2. East to west costs 0.10 yuan per GB
at 40 ms, and 30 GB may start to cross in a slot; the 12 GB of r0 start in slot 2. The voucher `sz` pays 50 % for
enterprises of 深圳, at least 10, at most 60 yuan a year each, out of a budget of 100; b has used 20 of it this year, so
80 of the budget and 40 of b's cap are left. The multipliers are 0.25 on the budget, 0.1 on a's cap, and 0.05 yuan per
GB on the link in slots 0 and 1; of the bound at the prices 0.2 on the budget and none on caps.

Awards (L = limit - transfer, E = effective limit):

    o1  a, 8 x 2 h in pe from 0: ask 8 x 20 = 160, price 8 x 22 = 176. L = 120 < 160, so only with sz: room
        min(60, 80) = 60, E = min(120 / 0.5, 120 + 60) = 180. Gross 176, voucher min(88, 60) = 60, net 116.
    o2  b, 4 x 1 h in pw from 0: transfer 20 GB x 0.10 = 2, L = 48, ask = price = 24. sz: room min(40, 80) = 40,
        E = min(96, 88) = 88. Gross 24, voucher 12, net 24 + 2 - 12 = 14.
    o3  c, 4 x 1 h in pn, at half speed two slots, from 1: ask 32, price 4 x 11 = 44 > E = 40. Pays 40: paradoxical,
        uplift 4.

Rejections, with the limit and the deadline that would have been enough; free are 8 in pe in slot 2 and 4 in slot 3, 4
in pn in slots 0 and 3, 4 in pw in slot 0 and 8 after it:

    o4  asks for 16 cards, no pool has them                                               no_room
    o5  asks for an A100                                                                  no_compatible_pool
    o6  8 x 1 h in the east, at least 80, limit 70; slot 2 is free: limit 80              limit_below_ask
    o7  8 x 1 h in the east in slots 0 and 1, price 88, limit 85; slot 2 is free at 80:
        deadline 3                                                                        limit_below_price
    o8  b, 8 x 1 h in the east in slot 2 for 80, limit 70: needs a voucher of 40, and of the budget only
        80 - 60 - 12 = 8 are left; without one: limit 80                                  voucher_exhausted
    o9  8 x 1 h in the west on H800 in slot 0 for 48, limit 100: o2 stands in its way; slot 1 is free:
        deadline 2                                                                        paradoxical

Certificate: capacity 1 x 8 + 1 x 8 + 1.5 x 4 + 1.5 x 4 = 28; link 0.05 x 30 + 0.05 x 30 = 3; budget 0.25 x 80 = 20; a's
cap 0.1 x 60 = 6. Best gain of each order: o1 180 - 176 - 0.35 x min(80, 60) < 0: 0; o2 88 - 24 - 0.05 x 20 - 0.25 x 12
= 60 in pw (41 in pe); o3 40 - 38 = 2 from 0 or 2; o4, o5, o6 nothing; o7 85 - 88 < 0: 0; o8 110 - 80 - 0.25 x 40 = 20;
o9 100 - 48 = 52. Bound 28 + 3 + 20 + 6 + 60 + 2 + 20 + 52 = 191. Welfare (180 - 160) + (88 - 24) + (40 - 32) = 92. Gap
99 / 191. At the prices: budget 0.2 x 80 = 16; o1 4 - 0.2 x 60 < 0; o2 64 - 1 - 0.2 x 12 = 60.6; o8 30 - 0.2 x 40 = 22.
Bound 28 + 3 + 16 + 60.6 + 2 + 22 + 52 = 183.6, gap 91.6 / 183.6.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dujiang.verify import Verdict, verify

YUAN = 1_000_000


@dataclass(frozen=True)
class Case:
    """A book and its result, both in folders that a test may spoil."""

    book: Path
    result: Path

    def verdict(self) -> Verdict:
        """Verify the folders as they are now."""
        return verify(self.book, self.result)


BOOK = {
    "book.yaml": """\
start: "2025-11-03T00:00:00+08:00"
slots: 4
title: By hand
""",
    "centres.csv": """\
centre_id,region,province
east1,east,广东
west1,west,贵州
""",
    "pools.csv": """\
pool_id,centre_id,accelerator,gpus,ask_cny_per_gpu_hour,speed,stacks
pe,east1,H800,8,10,1,
pw,west1,H800,8,6,1,cuda;rocm
pn,west1,910B,4,4.0,0.5,cann
""",
    "capacity.csv": """\
pool_id,slot,gpus,ask_cny_per_gpu_hour
pe,3,4,12
pw,2,10,
pw,3,10,
""",
    "links.csv": """\
origin_region,region,cny_per_gb,rtt_ms,gb_per_slot
east,west,0.10,40,30
""",
    "enterprises.csv": """\
enterprise_id,city,employees
a,深圳,20
b,深圳,900
c,广州,
""",
    "orders.csv": """\
order_id,enterprise_id,gpus,hours,release,deadline,limit_cny,accelerators,regions,origin_region,data_gb,contract_id
o1,a,8,2,0,2,120,,east,,,
o2,b,4,1,0,2,50,H800,,east,20,k1
o3,c,4,1,0,4,40,910B,,,,
o4,c,16,1,0,4,1000,,,,,
o5,c,1,1,0,4,100,A100,,,,
o6,c,8,1,0,4,70,,east,,,
o7,c,8,1,0,2,85,,east,,,
o8,b,8,1,2,3,70,,east,,,k2
o9,c,8,1,0,1,100,H800,west,,,
""",
    "running.csv": """\
order_id,pool_id,start,slots,gpus,data_gb,origin_region
r0,pw,2,9,2,12,east
""",
    "claims.csv": """\
enterprise_id,programme_id,period,amount_cny
b,sz,2025,20
b,sz,2024,35
""",
    "programmes/sz.yaml": """\
id: sz
version: 2025-01-01
name: {zh: 测试券, en: test voucher}
jurisdiction: {level: city, province: 广东, city: 深圳}
issuer: nobody
document: made up for a test
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
valid: {from: 2025-01-01, until: 2025-12-31, clause: a}
verified: false
confidence: low
clauses: {a: {text: made up for a test, verbatim: false, source: nobody, quality: low}}
conditions:
- {id: city, fact: city, op: is, value: 深圳, clause: a, text: {zh: 深圳企业, en: of Shenzhen}}
base: contract
rate: {share: 0.5, rule: not_above, clause: a}
cap: {amount_cny: 60, per: enterprise, period: year, clause: a}
minimum_cny: {amount_cny: 10, clause: a}
budget: {amount_cny: 100, period: year, clause: a}
not_computable: null
""",
}

PRICES = {"pe": [11, 11, 10, 12], "pn": [4, 5.5, 5.5, 4], "pw": [6, 6, 6, 6]}
ASKS = {"pe": [10, 10, 10, 12], "pn": [4, 4, 4, 4], "pw": [6, 6, 6, 6]}
OFFERED = {"pe": [8, 8, 8, 4], "pn": [4, 4, 4, 4], "pw": [8, 8, 8, 8]}
USED = {"pe": [8, 8, 0, 0], "pn": [0, 4, 4, 0], "pw": [4, 0, 0, 0]}

_MONEY = ("gross", "transfer", "voucher", "net", "ask_cost", "price_cost", "effective_limit", "room")
_PLACES = ("order_id", "enterprise_id", "pool_id", "centre_id", "start", "slots", "gpus", "hours", "programme_id")
_REST = ("share_ppm", "paradoxical")
# order by order: place, then _MONEY in yuan, then share and flag
AWARDS = [
    ("o1", "a", "pe", "east1", 0, 2, 8, 2, "sz", 176, 0, 60, 116, 160, 176, 180, 60, 500_000, False),
    ("o2", "b", "pw", "west1", 0, 1, 4, 1, "sz", 24, 2, 12, 14, 24, 24, 88, 40, 500_000, False),
    ("o3", "c", "pn", "west1", 1, 2, 4, 2, None, 40, 0, 0, 40, 32, 44, 40, 0, 0, True),
]
VOUCHERS = [("o1", "sz", 500_000, 60, 60), ("o2", "sz", 500_000, 40, 12)]
# order to reason, limit in yuan and deadline that would have been enough
REASONS = {
    "o4": ("no_room", None, None),
    "o5": ("no_compatible_pool", None, None),
    "o6": ("limit_below_ask", 80, None),
    "o7": ("limit_below_price", None, 3),
    "o8": ("voucher_exhausted", 80, None),
    "o9": ("paradoxical", None, 2),
}
SUMMARY = {
    "format": "dujiang.clearing/1",
    "version": "0.1.0",
    "title": "By hand",
    "start": "2025-11-02T16:00:00Z",
    "slots": 4,
    "coupling": "full",
    "orders": 9,
    "awards": 3,
    "rejections": {reason: 1 for reason, _, _ in REASONS.values()},
    "welfare_cny": 92.0,
    "welfare_ucny": 92 * YUAN,
    "dual_bound_cny": 191.0,
    "dual_bound_ucny": 191 * YUAN,
    "gap": 99 / 191,
    "dual_bound_at_prices_cny": 183.6,
    "dual_bound_at_prices_ucny": 183_600_000,
    "gap_at_prices": 91.6 / 183.6,
    "utilisation": 28 / 76,
    "served_share": 3 / 9,
    # asked 16 + 4 + 4 + 16 + 1 + 8 + 8 + 8 + 8 = 73 at speed 1, served 16 + 4 + 4
    "gpu_hours_served_share": 24 / 73,
    "mean_wait_h": 1 / 3,
    "uplift_cny": 4.0,
    "uplift_by_pool": {"pn": 4.0},
    "paradoxical_awards": 1,
    "turnover_cny": 240.0,
    "net_cny": 170.0,
    "voucher_cny": 72.0,
    "transfer_cny": 2.0,
    "vouchers": [
        {
            "programme_id": "sz",
            "budget_left_cny": 80.0,
            "spent_cny": 72.0,
            "awards": 2,
            "multiplier": 0.25,
            "multiplier_paid": 0.2,
        },
    ],
    "by_centre": [
        {"centre_id": "east1", "region": "east", "utilisation": 16 / 28, "gpu_hours": 16.0, "income_cny": 176.0},
        {"centre_id": "west1", "region": "west", "utilisation": 12 / 48, "gpu_hours": 12.0, "income_cny": 64.0},
    ],
    "carbon_kg": None,
    "carbon_term_cny": 0.0,
    "small_firm_term_cny": 0.0,
    "seconds": {"prices": 0.1},
}


def write_book(folder: Path) -> Path:
    """Write the book."""
    for name, text in BOOK.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def awards() -> pl.DataFrame:
    """Return the awards with the columns of the file."""
    rows = []
    for award in AWARDS:
        row = dict(zip((*_PLACES, *_MONEY, *_REST), award, strict=True))
        row |= {f"{name}_ucny": row.pop(name) * YUAN for name in _MONEY}
        rows.append(row | {"hours_micro": row.pop("hours") * YUAN})
    return pl.DataFrame(rows, schema_overrides={"programme_id": pl.String})


def prices() -> pl.DataFrame:
    """Return the prices with the columns of the file."""
    return pl.DataFrame(
        [
            {
                "pool_id": pool,
                "slot": slot,
                "ucny_per_gpu_hour": int(PRICES[pool][slot] * YUAN),
                "gpus_free": OFFERED[pool][slot] - USED[pool][slot],
                "gpus_used": USED[pool][slot],
                "ask_ucny_per_gpu_hour": ASKS[pool][slot] * YUAN,
            }
            for pool in sorted(PRICES)
            for slot in range(4)
        ]
    )


def vouchers() -> pl.DataFrame:
    """Return the vouchers with the columns of the file."""
    names = ("order_id", "programme_id", "share_ppm", "room_ucny", "voucher_ucny")
    rows = [(order, programme, share, room * YUAN, paid * YUAN) for order, programme, share, room, paid in VOUCHERS]
    return pl.DataFrame(rows, schema=names, orient="row")


def link_prices() -> pl.DataFrame:
    """Return the multipliers of the one limited link with the columns of the file."""
    names = ("origin_region", "region", "slot", "gb_per_slot_micro", "gb_used_micro", "ucny_per_gb")
    rows = [(0, 30, 20, 0.05), (1, 30, 0, 0.05), (2, 18, 0, 0), (3, 30, 0, 0)]
    cells = [("east", "west", t, left * YUAN, used * YUAN, int(price * YUAN)) for t, left, used, price in rows]
    return pl.DataFrame(cells, schema=names, orient="row")


def rejections() -> pl.DataFrame:
    """Return the rejections with the columns of the file."""
    rows = [
        {
            "order_id": order,
            "reason": reason,
            "enough_limit_ucny": None if limit is None else limit * YUAN,
            "enough_deadline": deadline,
            "detail": "",
            "detail_zh": "",
        }
        for order, (reason, limit, deadline) in sorted(REASONS.items())
    ]
    return pl.DataFrame(rows, schema_overrides={"enough_limit_ucny": pl.Int64, "enough_deadline": pl.Int64})


def multipliers() -> pl.DataFrame:
    """Return the multipliers with the columns of the file."""
    rows = [
        *(("sz", None, 80, 72, 250_000, 200_000), ("sz", "a", 60, 60, 100_000, 0)),
        *(("sz", "b", 40, 12, 0, 0), ("sz", "c", 60, 0, 0, 0)),
    ]
    return pl.DataFrame(
        [
            {
                "programme_id": programme,
                "enterprise_id": enterprise,
                "left_ucny": left * YUAN,
                "used_ucny": used * YUAN,
                "multiplier_ppm": multiplier,
                "multiplier_paid_ppm": paid,
            }
            for programme, enterprise, left, used, multiplier, paid in rows
        ]
    )


def write_result(folder: Path) -> Path:
    """Write the result."""
    (folder / "programmes").mkdir(parents=True)
    (folder / "programmes" / "sz.yaml").write_text(BOOK["programmes/sz.yaml"], encoding="utf-8")
    awards().write_parquet(folder / "awards.parquet")
    vouchers().write_parquet(folder / "vouchers.parquet")
    prices().write_parquet(folder / "prices.parquet")
    link_prices().write_parquet(folder / "link_prices.parquet")
    rejections().write_parquet(folder / "rejections.parquet")
    multipliers().write_parquet(folder / "multipliers.parquet")
    (folder / "summary.json").write_text(json.dumps(SUMMARY, ensure_ascii=False), encoding="utf-8")
    (folder / "facts.json").write_text('{"domestic": {"910B": true}}', encoding="utf-8")
    return folder
