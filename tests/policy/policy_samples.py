"""A programme file and small books for the tests of this folder."""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from dujiang.core.marked import read_yaml
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Programme
from dujiang.registry.book import Book
from dujiang.registry.columns import book_columns

DTYPES = {
    **dict.fromkeys(("id", "ref", "name", "text"), pl.String()),
    **dict.fromkeys(("int", "micro", "money"), pl.Int64()),
    "list": pl.List(pl.String()),
    "float": pl.Float64(),
    "instant": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "bool": pl.Boolean(),
}

MADE_UP = """\
id: made-up
version: 2026-01-01
name: {zh: 样例券, en: Sample voucher}
jurisdiction: {level: city, province: 某省, city: 某市}
issuer: 某市
document: 样例办法
document_no: 样例〔2026〕1号
kind: compute_voucher
instrument: voucher
good: compute
verified: false
confidence: low
clauses:
  terms: {text: 样例条款, verbatim: false, source: 测试, quality: low}
valid: {from: 2026-01-01, until: 2026-12-31, clause: terms}
conditions:
  - {id: kind, fact: kind, op: in, value: [enterprise, university], clause: terms, text: {zh: 主体, en: the applicant}}
  - {id: staff, fact: employees, op: at_most, value: 500, clause: terms, text: {zh: 员工, en: few staff}}
  - {id: revenue, fact: revenue_cny, op: less_than, value: 2000000, clause: terms, text: {zh: 收入, en: small}}
  - {id: young, fact: founded, op: after, value: 2020-01-01, clause: terms, text: {zh: 成立, en: founded late}}
  - {id: unrelated, fact: related_party, op: is, value: false, clause: terms, text: {zh: 非关联, en: not related}}
  - {id: place, fact: seller_province, op: is_not, value: 远省, clause: terms, text: {zh: 地点, en: not far}}
base: contract
rate: {share: 0.5, rule: not_above, clause: terms}
special_rates:
  - share: 0.6
    clause: terms
    when:
      - {id: startup, fact: startup, op: is, value: true, clause: terms, text: {zh: 初创, en: a start-up}}
  - share: 0.7
    clause: terms
    when:
      - {id: domestic, fact: domestic_compute, op: is, value: true, clause: terms, text: {zh: 国产, en: domestic}}
      - {id: big, fact: gpus, op: at_least, value: 8, clause: terms, text: {zh: 规模, en: eight or more}}
cap: {amount_cny: 1000, per: enterprise, period: year, clause: terms}
minimum_cny: {amount_cny: 10, clause: terms}
budget: {amount_cny: 5000, period: year, clause: terms}
stacking: {group: compute, rule: higher_counts, assumption: {zh: 假设, en: assumed}}
excluded_costs: {items: [storage], clause: terms}
rounding: fen
notes: {zh: 说明, en: a note}
not_computable: null
"""

EVERYTHING = """\
id: everything
version: 2026-01-01
name: {zh: 全部要素, en: All there is}
jurisdiction: {level: city, province: 某省, city: 某市}
issuer: 某市
document: null
document_no: null
kind: compute_voucher
instrument: voucher
good: [compute, model]
source_status: rule
verified: false
confidence: low
clauses:
  terms: {text: 样例条款, verbatim: false, source: 测试, quality: low}
valid: {from: 2026-01-01, until: null, assumption: {zh: 假设, en: assumed}}
conditions:
  - id: who
    text: {zh: 三者之一, en: one of three}
    any:
      - {id: firm, fact: kind, op: in, value: [enterprise, sme], clause: terms, text: {zh: 企业, en: a firm}}
      - id: lab
        text: {zh: 实验室, en: a laboratory}
        all:
          - {id: place, fact: city, op: is, value: 某市, clause: terms, text: {zh: 本地, en: local}}
          - id: clean
            text: {zh: 无不良记录, en: clean}
            none:
              - {id: fined, fact: fined, op: is, value: true, clause: terms, text: {zh: 受罚, en: fined}}
              - {id: listed, fact: on_list, op: exists, value: true, clause: terms, text: {zh: 列入, en: listed}}
  - {id: trade, fact: trade, op: not_in, value: [gambling, tobacco], clause: terms, text: {zh: 行业, en: the trade}}
base: settled
rate:
  rule: not_above
  clause: terms
  tiers:
    method: marginal
    bands: [{above_cny: 0, share: 0.3}, {above_cny: 1000000, share: 0.2}, {above_cny: 2000000.5, share: 0.1}]
special_rates:
  - share: 0.3
    cap_cny: 900000
    clause: terms
    when:
      - {id: lead, fact: lead_unit, op: is, value: true, clause: terms, text: {zh: 牵头, en: it leads}}
  - share: 0.4
    clause: terms
    when:
      - id: young-or-small
        text: {zh: 新或小, en: young or small}
        any:
          - {id: young, fact: founded, op: after, value: 2024-01-01, clause: terms, text: {zh: 新, en: young}}
          - {id: small, fact: revenue_cny, op: at_most, value: 500000, clause: terms, text: {zh: 小, en: small}}
cap:
  - {amount_cny: 500000, per: enterprise, period: year, clause: terms}
  - {amount_cny: 800000, per: enterprise, period: validity, clause: terms}
  - {amount_cny: 300000, per: contract, period: validity, clause: terms}
minimum_cny: {amount_cny: 1000, clause: terms}
budget: {amount_cny: 5000000, period: year, rule: pro_rata, shared_with: [another, a-third], clause: terms}
pro_rata: {method: days, from: 2026-03-01, until: 2026-12-31, facts: [contract_first, contract_last], clause: terms}
combined_ceiling: {share: 0.5, of: base, with: group, clause: terms}
stacking: {group: compute, rule: higher_counts, clause: terms}
excludes:
  - {programmes: [another], scope: contract, clause: terms}
  - {group: model, scope: enterprise, clause: terms}
  - {level: city, same_place: true, scope: contract, assumption: {zh: 假设, en: assumed}}
priority: [{programmes: [another], clause: terms}]
funded_by: [{level: province, share: 0.5, clause: terms}, {level: city, share: 0.5, clause: terms}]
voucher: {validity_months: 12, transferable: false, settlement: quarterly, clause: terms}
excluded_costs: {items: [storage, network], clause: terms}
rounding: {unit: yuan, base: true}
notes: null
not_computable: null
"""
"""A programme that uses every field of the language."""

FITTING = {
    "good": "compute",
    "kind": "enterprise",
    "employees": 20,
    "revenue_ucny": 1_000_000 * 10**6,
    "founded": date(2024, 5, 1),
    "related_party": False,
    "seller_province": "近省",
}
"""Facts that meet every condition of the made-up programme, and none of its special rates."""


def programme(text: str = MADE_UP) -> Programme:
    """Parse a file that has to be right."""
    marked, problems = read_yaml("made-up.yaml", text)
    assert marked is not None, problems
    parsed, problems = parse_programme(marked)
    assert parsed is not None, [p.say() for p in problems]
    return parsed


def changed(*pairs: tuple[str, str], text: str = MADE_UP) -> str:
    """Replace parts of the file; each has to stand there exactly once."""
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def table(name: str, rows: list[dict[str, object]], further: tuple[str, ...] = ()) -> pl.DataFrame:
    """Build a table of a book with its defaults, and further columns whose type polars finds."""
    columns = {c.stored: c for c in book_columns()[name]}
    schema = {stored: DTYPES[c.type] for stored, c in columns.items()}
    base = pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema)
    more = [pl.Series(name, [row.get(name) for row in rows], strict=False) for name in further]
    return base.with_columns(more)


def small_book(
    *,
    enterprises: list[dict[str, object]],
    orders: list[dict[str, object]],
    pools: list[dict[str, object]],
    claims: list[dict[str, object]] | None = None,
    facts: dict[str, object] | None = None,
    day: date = date(2026, 6, 1),
    further: tuple[str, ...] = (),
) -> Book:
    """Build a book with one centre per pool; a pool's row may carry its centre's province and cluster."""
    centres = [
        {"centre_id": f"c-{p['pool_id']}", "region": p.get("region", "r"), "province": p.get("province"),
         "cluster": p.get("cluster")}
        for p in pools
    ]  # fmt: skip
    rows = [{"accelerator": "a", "gpus": 8, **p, "centre_id": f"c-{p['pool_id']}"} for p in pools]
    wanted = [{"gpus": 1, "hours_micro": 10**6, "release": 0, "deadline": 24, "limit_ucny": 10**8, **o} for o in orders]
    return Book(
        start=datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8),
        slots=24,
        title="test",
        centres=table("centres", centres),
        pools=table("pools", rows),
        capacity=table("capacity", []),
        links=table("links", []),
        enterprises=table("enterprises", enterprises, further),
        orders=table("orders", wanted),
        claims=table("claims", claims or []),
        facts=facts or {},
    )
