"""Reading what a programme pays: rate, tiers, special rates, fixed amount, caps, budget and what goes with them.

What contradicts itself is a problem here, too: a number that can never matter is more often a slip than a rule.
"""

from collections.abc import Iterable
from itertools import pairwise

from dujiang.core.money import MICRO, cny
from dujiang.core.text import Text
from dujiang.policy.parse_conditions import fact_name, note_repeated_ids, parse_conditions, questions
from dujiang.policy.programme import (
    Band,
    Budget,
    BudgetRule,
    Cap,
    Exclusion,
    FixedAmount,
    Method,
    Minimum,
    Per,
    Period,
    ProRata,
    Rate,
    RateRule,
    Rounding,
    Settlement,
    SpecialRate,
    Tiers,
    VoucherTermsOfLife,
)
from dujiang.policy.reader import LIST, Fields, one_of
from dujiang.policy.shape import BAND, CAP, MAX_MONTHS, ROUNDING, SPECIAL_RATE, TIERS


def parse_rate(r: Fields) -> Rate | None:
    """Read the share that is paid, or the tiers of shares."""
    rule, basis = r.choice("rule", RateRule), r.basis(clause_needed=True)
    if r.given("tiers") and r.given("share"):
        r.note("contradictory-rate", "share", Text("a share or tiers, not both", "share 与 tiers 只写其一"))
    elif not r.given("tiers") and not r.given("share"):
        r.note("missing-field", "share", Text("a share, or tiers", "share 或 tiers"))
    tiers = r.part("tiers", TIERS, _tiers)
    share = r.share_ppm("share") if r.given("share") else None
    if rule is None or basis is None or (share is None) == (tiers is None):
        return None
    return Rate(share, tiers, rule, basis)


def _tiers(t: Fields) -> Tiers | None:
    method = t.choice("method", Method)
    if not t.needed("bands", LIST):
        return None
    bands = t.parts("bands", BAND, _band)
    if isinstance(t.raw("bands"), list) and len(bands) == len(t.raw("bands")):
        _check_bands(t, bands)
    return None if method is None or not bands else Tiers(method, bands)


def _band(b: Fields) -> Band | None:
    above, share = b.amount_ucny("above_cny", zero=True), b.share_ppm("share", zero=True)
    return None if above is None or share is None else Band(above, share)


def _check_bands(t: Fields, bands: tuple[Band, ...]) -> None:
    """Note bands that leave a gap below, do not ascend, say nothing new, or pay nothing at all."""

    def contradicts(name: str, found: object, expected: Text) -> None:
        t.reader.note("contradictory-tiers", f"{t.at('bands')}{name}", found, expected)

    if len(bands) < 2:
        contradicts("", len(bands), Text("at least two bands; one is a share", "至少两档；一档请直接写 share"))
        return
    if bands[0].above_ucny != 0:
        contradicts(".0.above_cny", cny(bands[0].above_ucny), Text("0: the first band starts there", "首档应从 0 开始"))
    for i, (lower, upper) in enumerate(pairwise(bands), 1):
        if upper.above_ucny <= lower.above_ucny:
            bound = cny(lower.above_ucny)
            contradicts(f".{i}.above_cny", cny(upper.above_ucny), Text(f"more than {bound}", f"大于 {bound}"))
        if upper.share_ppm == lower.share_ppm:
            other = Text("a share other than that of the band below", "与下一档不同的比例")
            contradicts(f".{i}.share", _share(upper.share_ppm), other)


def parse_special_rates(f: Fields, rate: Rate | None) -> tuple[SpecialRate, ...]:
    """Read the special cases, lowest share first, and that they raise something and do not contradict each other."""
    read: list[tuple[str, SpecialRate]] = []
    for path, item in f.items("special_rates"):
        special = _special_rate(f.reader.fields(item, path, SPECIAL_RATE))
        if special is None:
            continue
        _check_raises(f, path, special, rate)
        if any(questions(special.when) == questions(other.when) for _, other in read):
            once = Text("conditions that no other special rate has", "与其他特别比例不同的条件")
            f.reader.note("contradictory-rate", f"{path}.when", "the same conditions", once)
        read.append((path, special))
    return tuple(sorted((special for _, special in read), key=lambda s: s.share_ppm))


def _special_rate(s: Fields) -> SpecialRate | None:
    share, basis = s.share_ppm("share"), s.basis(clause_needed=True)
    cap = s.amount_ucny("cap_cny", nullable=True)
    when = parse_conditions(s, "when")
    note_repeated_ids(s.reader, s.items("when") if isinstance(s.raw("when"), list) else ())
    if s.raw("when") == []:
        s.note("bad-value", "when", Text("at least one condition", "至少一个条件"))
    if share is None or basis is None or not when or (cap is None and s.given("cap_cny")):
        return None
    return SpecialRate(share, when, cap, basis)


def _check_raises(f: Fields, path: str, special: SpecialRate, rate: Rate | None) -> None:
    """Note a special share that is not above the rate; at the rate it needs a cap of its own to say anything."""
    if rate is None:
        return
    usual = highest_share(rate, ())
    if special.share_ppm < usual or (special.share_ppm == usual and special.cap_ucny is None):
        above = Text(
            f"a share above the rate of {_share(usual)}, or at it with a cap_cny of its own",
            f"高于基本比例 {_share(usual)}；等于时须另有 cap_cny",
        )
        f.reader.note("contradictory-rate", f"{path}.share", special.share_ppm / MICRO, above)


def highest_share(rate: Rate | None, special: Iterable[SpecialRate]) -> int:
    """Return the highest share that a programme can pay, ppm; 0 without any."""
    shares = [s.share_ppm for s in special]
    if rate is not None and rate.tiers is not None:
        shares += [band.share_ppm for band in rate.tiers.bands]
    elif rate is not None and rate.share_ppm is not None:
        shares.append(rate.share_ppm)
    return max(shares, default=0)


def parse_amount(a: Fields) -> FixedAmount | None:
    """Read a fixed reward."""
    amount, rule, basis = a.amount_ucny("amount_cny"), a.choice("rule", RateRule), a.basis(clause_needed=True)
    return None if amount is None or rule is None or basis is None else FixedAmount(amount, rule, basis)


def parse_caps(f: Fields) -> tuple[Cap, ...]:
    """Read the caps of a beneficiary, a contract or a project: one mapping, or a list of them."""
    if not isinstance(f.raw("cap"), list):
        cap = f.part("cap", CAP, _cap)
        return () if cap is None else (cap,)
    caps: dict[tuple[Per, Period | None], Cap] = {}
    for path, item in f.items("cap"):
        cap = _cap(f.reader.fields(item, path, CAP))
        if cap is None:
            continue
        # A contract has no year of its own, so its period says nothing.
        key = (cap.per, None if cap.per is Per.CONTRACT else cap.period)
        if key in caps:
            once = Text("one cap of each kind and period", "同一对象和周期只有一个上限")
            f.reader.note("contradictory-cap", path, f"a second cap per {cap.per}", once)
        caps.setdefault(key, cap)
    if f.raw("cap") == []:
        f.note("bad-value", "cap", Text("at least one cap, or null", "至少一个上限，或 null"))
    return tuple(caps.values())


def _cap(c: Fields) -> Cap | None:
    amount, per, period = c.amount_ucny("amount_cny"), c.choice("per", Per), c.choice("period", Period)
    basis = c.basis(clause_needed=True)
    if amount is None or per is None or period is None or basis is None:
        return None
    return Cap(amount, per, period, basis)


def parse_minimum(m: Fields) -> Minimum | None:
    """Read the least claim."""
    amount, basis = m.amount_ucny("amount_cny"), m.basis(clause_needed=True)
    return None if amount is None or basis is None else Minimum(amount, basis)


def check_minimum(
    f: Fields,
    minimum: Minimum | None,
    caps: tuple[Cap, ...],
    budget: Budget | None,
    special: tuple[SpecialRate, ...],
    amount: FixedAmount | None,
) -> None:
    """Note a minimum that no claim can reach."""
    if minimum is None:
        return
    limits = [
        *((cap.amount_ucny, Text("the cap", "上限")) for cap in caps),
        *((s.cap_ucny, Text("the cap of a special rate", "特别比例的上限")) for s in special if s.cap_ucny is not None),
        *(() if budget is None else ((budget.amount_ucny, Text("the budget", "预算")),)),
        *(() if amount is None else ((amount.amount_ucny, Text("the amount", "金额")),)),
    ]
    for limit, what in limits:
        if minimum.amount_ucny > limit:
            say = Text(f"not above {what.en} of {cny(limit)}", f"不高于{what.zh} {cny(limit)}")
            f.note("contradictory-minimum", "minimum_cny", say)
            return


def parse_budget(b: Fields) -> Budget | None:
    """Read the budget of all beneficiaries."""
    amount, period = b.amount_ucny("amount_cny"), b.choice("period", Period)
    rule = b.choice("rule", BudgetRule) if b.given("rule") else None
    shared_with = b.names("shared_with")
    basis = b.basis(clause_needed=True)
    return (
        None if amount is None or period is None or basis is None else Budget(amount, period, rule, shared_with, basis)
    )


def parse_pro_rata(p: Fields) -> ProRata | None:
    """Read the period of which a contract's part counts."""
    p.word("method", ("days",))
    first, last, basis = p.day("from"), p.day("until"), p.basis(clause_needed=True)
    if first is not None and last is not None and last <= first:
        later = Text(f"a day after {first}: days are counted from first to last", f"晚于 {first} 的日期")
        p.note("bad-window", "until", later)
        return None
    facts = _two_facts(p)
    return (
        None if first is None or last is None or basis is None or facts is None else ProRata(first, last, facts, basis)
    )


def _two_facts(p: Fields) -> tuple[str, str] | None:
    """Read the names of the facts that hold a contract's first and last day."""
    if not p.needed("facts", LIST):
        return None
    items = p.items("facts")
    names = {str(i): item for i, (_, item) in enumerate(items)}
    inner = Fields(p.reader, p.at("facts"), names)
    found = [fact_name(inner, name) for name in names]
    if len(found) != 2 or found[0] == found[1]:
        two = Text("two facts: the contract's first day and its last", "两个字段：合同首日与末日")
        if isinstance(p.raw("facts"), list):
            p.note("bad-value", "facts", two)
        return None
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def parse_voucher(v: Fields) -> VoucherTermsOfLife | None:
    """Read what the source says about the life of a voucher."""
    months = v.whole("validity_months", 1, MAX_MONTHS)
    transferable = v.flag("transferable", nullable=True)
    settlement = v.choice("settlement", Settlement, nullable=True)
    basis = v.basis(clause_needed=months is not None and v.has("clause"))
    if months is not None and not v.has("clause"):
        v.note("missing-clause", "clause", Text("the field clause", "字段 clause"))
    named = ("validity_months", "transferable", "settlement")
    if not any(v.given(name) for name in named):
        v.note("missing-field", named[0], one_of(named))
        return None
    return None if basis is None else VoucherTermsOfLife(months, transferable, settlement, basis)


def parse_exclusion(e: Fields) -> Exclusion | None:
    """Read the parts of an invoice that do not count."""
    basis = e.basis()
    items = e.names("items") if e.needed("items", LIST) else ()
    return None if basis is None or not items else Exclusion(items, basis)


def parse_rounding(f: Fields) -> tuple[Rounding, bool] | None:
    """Read the unit to which amounts are cut down, and whether the base is, too."""
    if not isinstance(f.raw("rounding"), dict):
        unit = f.choice("rounding", Rounding, default=Rounding.FEN)
        return None if unit is None else (unit, False)
    r = f.inner("rounding", ROUNDING)
    unit, base = r.choice("unit", Rounding), r.flag("base", nullable=True)
    return None if unit is None else (unit, bool(base))


def _share(ppm: int) -> str:
    return f"{ppm / MICRO:g}"
