"""From a centre's plan file to `CentrePlan`: strict, and with all problems at once."""

import re
from collections.abc import Mapping
from datetime import date

from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY, MICRO, share_floor
from dujiang.core.problem import Problem, did_you_mean, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.centre import Amortisation, CentrePlan, Cover, Debt, Form, Pool
from dujiang.policy.reader import AMOUNT, MAPPING, Fields, Reader, as_micro, one_of
from dujiang.policy.shape import Shape

MAX_MONTHS = 360
MAX_PARTS = 50
MAX_GPUS = 10_000_000
MAX_PRICE_UCNY = 10_000 * MICRO
STEP_UCNY = 10_000 * MICRO
"""Debt in multiples of ten thousand yuan where the file says nothing; then an assumption."""
LEAST_STEP_UCNY = 1_000 * MICRO
"""Smaller ones would drown in the rounding of the parts to the fen."""

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
FILE = Shape(
    (
        *("title", "start", "months", "pools", "pue", "power_cny_per_kwh"),
        *("running_cny_per_month", "investment_cny", "debts", "cover"),
    ),
    ("cover_months", "insurance", "step_cny", "sources", "assumptions"),
)
POOL = Shape(
    ("id", "accelerator", "gpus", "price_cny_per_gpu_hour", "utilisation", "watts_per_gpu"), ("from", "idle_share")
)
DEBT = Shape(
    ("id", "name", "form", "rate", "term_months", "repayment", "of", "share"),
    ("grace_months", "residual_share", "source"),
)
COVER = Shape(("id", "name", "of", "rate"), ("source",))

_ID = Text("lower-case letters, digits and single hyphens", "小写字母、数字与单个连字符")
_MONTH_WORDS = Text("a month such as 2026-03", "月份，如 2026-03")


def parse_centre(doc: Marked) -> tuple[CentrePlan | None, list[Problem]]:
    """Parse a marked YAML document; None if it has problems."""
    reader = Reader(doc)
    file = reader.fields(doc.value, "", FILE)
    assumptions: list[Text] = []
    title, start, months = file.bilingual("title"), _month(file, "start"), _number(file, "months", 1, MAX_MONTHS)
    pools = file.parts("pools", POOL, lambda f: _pool(f, start, assumptions))
    _unlike(file, "pools", [pool.id for pool in pools])
    if file.raw("pools") == []:
        file.note("bad-value", "pools", Text("at least one pool", "至少一个资源池"))
    pue = _ratio(file, "pue", MICRO, 5 * MICRO)
    power = _price(file, "power_cny_per_kwh")
    running, investment = _amounts(file, "running_cny_per_month"), _amounts(file, "investment_cny")
    debts = file.parts("debts", DEBT, lambda f: _debt(f, investment))
    _unlike(file, "debts", [debt.id for debt in debts])
    if file.raw("debts") == []:
        file.note("bad-value", "debts", Text("at least one loan or lease", "至少一笔贷款或租赁"))
    insurance = file.parts("insurance", COVER, lambda f: _cover(f, investment))
    _unlike(file, "insurance", [cover.id for cover in insurance])
    target = _ratio(file, "cover", MICRO, 10 * MICRO)
    window = _number(file, "cover_months", 1, 60) if file.given("cover_months") else 1
    step = file.amount_ucny("step_cny") if file.given("step_cny") else STEP_UCNY
    if step is not None and step < LEAST_STEP_UCNY:
        file.note("bad-amount", "step_cny", Text("at least 1,000 yuan", "不少于一千元"))
    if not file.given("step_cny"):
        assumptions.append(Text("debt in multiples of 10,000 CNY", "债务金额按一万元的整数倍"))
    sources = file.names("sources")
    said = file.parts("assumptions", Shape(("en", "zh")), _sentence)
    if months is not None:
        _inside(file, pools, debts, months)
    if reader.problems:
        return None, sorted_problems(reader.problems)
    assert title is not None
    assert start is not None
    assert months is not None
    assert pue is not None
    assert power is not None
    assert target is not None
    assert window is not None
    assert step is not None
    plan = CentrePlan(
        *(title, start, months, pools, pue, power, dict(running), dict(investment), insurance, debts),
        *(target, window, step, sources, (*said, *dict.fromkeys(assumptions))),
    )
    return plan, []


def _sentence(fields: Fields) -> Text | None:
    en, zh = fields.text("en"), fields.text("zh")
    return None if en is None or zh is None else Text(en, zh)


def _unlike(file: Fields, name: str, ids: list[str]) -> None:
    for id_ in {i for i in ids if ids.count(i) > 1}:
        file.reader.note("duplicate-id", file.at(name), id_, Text("each id once", "每个 id 只出现一次"))


def _inside(file: Fields, pools: tuple[Pool, ...], debts: tuple[Debt, ...], months: int) -> None:
    """Note what lies outside the months of the plan."""
    for pool in pools:
        if not 0 <= pool.first_month < months:
            expected = Text("a start of every pool within the months of the plan", "资源池启用月份在计划期内")
            file.reader.note("out-of-range", file.at("pools"), pool.id, expected)
    for debt in debts:
        if debt.term_months > months:
            expected = Text(f"a term within the {months} months of the plan", f"期限不超过计划的 {months} 个月")
            fix = Text("plan for more months", "请延长计划月数")
            file.reader.note("out-of-range", file.at("debts"), f"{debt.id}: {debt.term_months}", expected, fix)


def _month(fields: Fields, name: str) -> date | None:
    value = fields.raw(name)
    match = _MONTH.fullmatch(value) if isinstance(value, str) else None
    if match is not None and 1 <= int(match[2]) <= 12 and 2000 <= int(match[1]) <= 2100:
        return date(int(match[1]), int(match[2]), 1)
    if fields.has(name):
        fields.note("bad-date", name, _MONTH_WORDS)
    return None


def _number(fields: Fields, name: str, least: int, most: int) -> int | None:
    """Take a whole number that may not be null."""
    value = fields.whole(name, least, most)
    if value is None and fields.has(name) and not fields.given(name):
        fields.note("bad-number", name, Text(f"a whole number from {least} to {most}", f"{least} 至 {most} 的整数"))
    return value


def _ratio(fields: Fields, name: str, least: int, most: int) -> int | None:
    ppm = as_micro(fields.raw(name))
    if ppm is not None and least <= ppm <= most:
        return ppm
    if fields.has(name):
        low, high = f"{least / MICRO:g}", f"{most / MICRO:g}"
        fields.note("bad-number", name, Text(f"a number from {low} to {high}", f"{low} 至 {high} 的数"))
    return None


def _price(fields: Fields, name: str) -> int | None:
    return _ratio(fields, name, 0, MAX_PRICE_UCNY)


def _by_year(fields: Fields, name: str, most: int) -> tuple[int, ...]:
    """Take one number, or one for each year."""
    value = fields.raw(name)
    values = value if isinstance(value, list) else [value]
    found = [as_micro(v) for v in values]
    good = [m for m in found if m is not None and 0 <= m <= most]
    if values and len(good) == len(values) <= MAX_PARTS:
        return tuple(good)
    if fields.has(name):
        high = f"{most / MICRO:g}"
        expected = Text(f"a number from 0 to {high}, or a list with one per year", f"0 至 {high} 的数，或按年列出")
        fields.note("bad-number", name, expected)
    return ()


def _id(fields: Fields) -> str | None:
    return fields.key("id", ID, 64, _ID, "bad-id")


def _pool(fields: Fields, start: date | None, assumptions: list[Text]) -> Pool | None:
    id_, accelerator = _id(fields), fields.text("accelerator")
    gpus, watts = _number(fields, "gpus", 1, MAX_GPUS), _number(fields, "watts_per_gpu", 0, 100_000)
    first = _month(fields, "from") if fields.given("from") else start
    prices, shares = _by_year(fields, "price_cny_per_gpu_hour", MAX_PRICE_UCNY), _by_year(fields, "utilisation", MICRO)
    idle = _ratio(fields, "idle_share", 0, MICRO) if fields.given("idle_share") else MICRO
    if not fields.given("idle_share"):
        assumptions.append(Text("an idle card takes as much power as a busy one", "空闲卡按满载功率计电"))
    if id_ is None or accelerator is None or gpus is None or watts is None or first is None or idle is None:
        return None
    if not prices or not shares or start is None:
        return None
    begins = (first.year - start.year) * 12 + first.month - start.month
    return Pool(id_, accelerator, gpus, begins, prices, shares, watts, idle)


def _amounts(file: Fields, name: str) -> Mapping[str, int]:
    """Take amounts by kind."""
    value, found = file.raw(name), {}
    if not isinstance(value, dict) or len(value) > MAX_PARTS:
        if file.has(name):
            file.note("bad-type", name, MAPPING)
        return {}
    kinds = Shape((), tuple(str(key) for key in value))
    fields = file.reader.fields({str(key): amount for key, amount in value.items()}, file.at(name), kinds)
    for kind in kinds.optional:
        amount = fields.amount_ucny(kind, zero=True)
        if amount is not None:
            found[kind] = amount
    if sum(found.values()) > MAX_UCNY:
        file.note("bad-amount", name, AMOUNT)
    return found


def _of(fields: Fields, investment: Mapping[str, int]) -> int | None:
    """Take kinds of investment as their sum."""
    names = fields.names("of")
    wrong = [n for n in names if n not in investment]
    for name in wrong:
        fields.reader.note("no-such-kind", fields.at("of"), name, one_of(investment), did_you_mean(name, investment))
    if fields.has("of") and not fields.given("of"):
        fields.note("bad-value", "of", one_of(investment))
    return None if wrong or not names else sum(investment[n] for n in names)


def _debt(fields: Fields, investment: Mapping[str, int]) -> Debt | None:
    id_, name, form = _id(fields), fields.bilingual("name"), fields.choice("form", Form)
    rate, term = _ratio(fields, "rate", 0, MICRO), _number(fields, "term_months", 1, MAX_MONTHS)
    grace = _number(fields, "grace_months", 0, MAX_MONTHS) if fields.given("grace_months") else 0
    repayment, of, share = fields.choice("repayment", Amortisation), _of(fields, investment), fields.share_ppm("share")
    residual = _ratio(fields, "residual_share", 0, MICRO - 1) if fields.given("residual_share") else 0
    source = fields.text("source") if fields.given("source") else None
    if term is not None and grace is not None and grace >= term:
        fields.note("bad-number", "grace_months", Text("fewer months than the term", "少于期限的月数"))
    if None in (id_, name, form, rate, term, grace, repayment, of, share, residual):
        return None
    assert id_ is not None
    assert name is not None
    assert form is not None
    assert rate is not None
    assert term is not None
    assert grace is not None
    assert repayment is not None
    assert of is not None
    assert share is not None
    assert residual is not None
    return Debt(id_, name, form, rate, term, grace, repayment, share_floor(of, share), residual, source)


def _cover(fields: Fields, investment: Mapping[str, int]) -> Cover | None:
    id_, name, of = _id(fields), fields.bilingual("name"), _of(fields, investment)
    rate = _ratio(fields, "rate", 0, MICRO)
    source = fields.text("source") if fields.given("source") else None
    if id_ is None or name is None or of is None or rate is None:
        return None
    return Cover(id_, name, of, rate, source)
