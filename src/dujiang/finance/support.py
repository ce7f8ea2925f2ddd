"""From programmes to subsidies: what support a project's spending brings, as instruments that the planner can weigh.

The bridge asks the programmes themselves (`policy.evaluate`), once for each kind of cost and calendar year, and takes
over share, caps, budget and minimum. Where the months of a plan and the wording of a programme do not meet, the
stricter reading is taken, never the laxer:

* the spend of one kind of cost in one calendar year is one purchase; all of it counts as one contract and one project;
* a month counts if the programme holds on all of its days;
* of several shares, because kinds of cost or years differ, the least is taken;
* a cap that holds for a contract, a project or the whole validity is one ceiling over the whole plan;
* programmes that rule each other out for a kind of cost do so for the whole plan;
* under a combined ceiling only programmes are used together whose shares can never pass it;
* support arrives months after the spend. No source says how many, so the number is an assumption (`DELAY_MONTHS`),
  which an office or a firm replaces by its own (`OwnTerms.delay_months`).

A programme that leaves a condition unknown brings nothing, as in a round, and says which fact is missing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import combinations
from types import MappingProxyType
from typing import Final, NamedTuple

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.finance.instrument import Instrument, Kind
from dujiang.finance.product import NO_OWN_TERMS, LeftOut, OwnTerms
from dujiang.policy.evaluate import Evaluation, Status, evaluate
from dujiang.policy.programme import (
    Base,
    Level,
    Per,
    Period,
    Programme,
    Settlement,
    SourceStatus,
    SpecialRate,
    With,
)
from dujiang.policy.quote import DEFAULTS
from dujiang.policy.together import bar_between
from dujiang.registry.book import Fact

GOODS: Final[Mapping[str, str]] = MappingProxyType({"compute": "compute", "data": "corpus", "model": "model"})
"""Which good a kind of cost is, where the project does not say."""

DELAY_MONTHS: Final[Mapping[Settlement | None, int]] = MappingProxyType(
    {
        Settlement.QUARTERLY: 0,
        Settlement.AFTER_USE: 3,
        Settlement.AFTER_PAYMENT: 3,
        Settlement.EX_POST: 12,
        Settlement.SELECTION: 12,
        Settlement.TARGET_AGREEMENT: 12,
        None: 6,
    }
)
"""Months from the spend until its support arrives, by how the programme settles; assumptions of ours.

Where the supplier deducts a voucher and is paid every quarter, the buyer has it at once."""

PAPERS: Final = Text("contract, invoice, proof of payment and of what was used", "合同、发票、付款凭证和使用证明")
"""What proves a spend; usual, and not listed by every programme."""


_NOT_BOUGHT: Final = Text("the project buys nothing that it supports", "项目没有购买其支持的标的")


@dataclass(frozen=True, slots=True)
class Support:
    """What programmes bring a project."""

    instruments: tuple[Instrument, ...]
    """Of kind subsidy, in the order of programme ids."""
    left_out: tuple[LeftOut, ...]
    """Programmes for what the project buys that bring it nothing, and why; the largest loss first."""
    readings: Mapping[str, tuple[Text, ...]]
    """Programme id -> every reading that its amount rests on, those of the programme file and those of the bridge."""


class _Asked(NamedTuple):
    """One programme's answer for one kind of cost in one calendar year."""

    kind: str
    year: int
    evaluation: Evaluation

    @property
    def pays(self) -> bool:
        """Whether it brings money."""
        return self.evaluation.status is Status.OK


def subsidies_for(
    programmes: Iterable[Programme],
    firm: Mapping[str, Fact],
    costs: Mapping[str, Sequence[int]],
    start: date,
    *,
    spending: Mapping[str, Mapping[str, Fact]] | None = None,
    own: OwnTerms = NO_OWN_TERMS,
    named: Collection[str] = (),
) -> Support:
    """Ask every programme about a project's spending.

    Parameters
    ----------
    programmes : one version of each
    firm : what is known of the enterprise, money in micro-yuan
    costs : kind of cost -> [M], micro-yuan, paid in the month
    start : first day of month 0
    spending : kind of cost -> what is known of its purchases (`good`, `purpose`, `via_platform`, …); a kind that is
        none of `GOODS` and states no good is asked of no programme
    own : months of delay and what is left of budgets, by programme
    named : ids that somebody asked for: if such a one brings nothing, it says why, wherever it is

    Returns
    -------
    the subsidies, what is left out, and what the amounts rest on
    """
    stated = {kind: {**DEFAULTS, **firm, **_purchase(kind, (spending or {}).get(kind, {}))} for kind in costs}
    goods = {kind: facts["good"] for kind, facts in stated.items() if "good" in facts}
    found: dict[str, tuple[Programme, Instrument]] = {}
    left: list[LeftOut] = []
    readings: dict[str, tuple[Text, ...]] = {}
    for programme in sorted(programmes, key=lambda p: p.id):
        kinds = [kind for kind, good in goods.items() if good in programme.goods and any(costs[kind])]
        if not kinds:
            if programme.id in named:
                left.append(LeftOut(programme.id, programme.name, _NOT_BOUGHT))
            continue
        months = _months(programme, start, max(len(costs[kind]) for kind in kinds))
        answers = [a for kind in kinds for a in _answers(programme, kind, costs[kind], months, start, stated[kind])]
        reason = _closed(programme, months, answers)
        if reason is not None:
            if programme.id in named or _concerns(programme, firm):
                left.append(LeftOut(programme.id, programme.name, reason, _would_pay(programme, answers)))
            continue
        answers, months = _counted(answers, months, start)
        found[programme.id] = programme, _instrument(programme, answers, months, own)
        readings[programme.id] = (*programme.assumptions(), *_readings(programme, answers, months, start))
    instruments = _barred(found)
    left.sort(key=lambda item: (-item.would_pay_ucny, item.id))
    return Support(instruments, tuple(left), readings)


def _purchase(kind: str, facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {"good": GOODS[kind], **facts} if kind in GOODS else dict(facts)


def month_start(start: date, month: int) -> date:
    """Return the first day of a month, counted from the month of `start`."""
    years, rest = divmod(start.month - 1 + month, 12)
    return date(start.year + years, rest + 1, 1)


def _months(programme: Programme, start: date, count: int) -> tuple[int, ...]:
    """Return the months on all days of which a programme holds; a source without a last day names none here either."""
    first, last = programme.valid.first or date.min, programme.valid.last or date.max
    return tuple(
        m
        for m in range(count)
        if first <= month_start(start, m) and month_start(start, m + 1) - timedelta(days=1) <= last
    )


def _answers(
    programme: Programme,
    kind: str,
    costs: Sequence[int],
    months: tuple[int, ...],
    start: date,
    facts: Mapping[str, Fact],
) -> list[_Asked]:
    """Ask a programme about one kind of cost, once for each calendar year of its months."""
    years: dict[int, list[int]] = {}
    for month in months:
        if month < len(costs) and costs[month]:
            years.setdefault(month_start(start, month).year, []).append(month)
    found = []
    for of_year in years.values():
        base = sum(costs[m] for m in of_year)
        on = month_start(start, of_year[0])
        of_purchase: dict[str, Fact] = {f"{b.value}_ucny": base for b in Base}
        evaluation = evaluate(programme, {**facts, **of_purchase, "date": on}, base if programme.base else None, on=on)
        found.append(_Asked(kind, on.year, evaluation))
    return found


def _closed(programme: Programme, months: tuple[int, ...], answers: Sequence[_Asked]) -> Text | None:
    """Return why a programme brings nothing; None: it does."""
    if programme.not_computable is not None:
        return programme.not_computable
    if not programme.verified:
        return Text("nobody is known to have published it", "未见公开发布")
    if not answers:
        valid = programme.valid
        said = f"{valid.first or '…'} - {valid.last or '…'}"
        return Text(f"the project spends nothing while it holds ({said})", f"有效期（{said}）内项目没有相应支出")
    paying = [a for a in answers if a.pays]
    if not paying:
        return max(answers, key=lambda a: a.evaluation.status is Status.UNKNOWN).evaluation.reason
    if any(a.evaluation.share_ppm is None for a in paying) or programme.pro_rata is not None:
        return Text(
            "a fixed amount, shares of slices or a part by days, which a monthly plan cannot hold",
            "固定金额、分段比例或按天折算，月度方案无法表示",
        )
    return None


def _would_pay(programme: Programme, answers: Sequence[_Asked]) -> int:
    """Return what a programme would bring if what is unknown were as it asks, within the caps over all years."""
    caps = [c.amount_ucny for c in programme.caps if c.period is not Period.YEAR or c.per is Per.CONTRACT]
    return min([sum(a.evaluation.would_pay_ucny for a in answers), *caps])


def _counted(answers: Sequence[_Asked], months: tuple[int, ...], start: date) -> tuple[list[_Asked], tuple[int, ...]]:
    """Return the answers and months that count: years without a gap, and kinds of cost that it pays in each of them."""
    first = min(a.year for a in answers if a.pays)
    years = {first}
    while any(a.pays and a.year == first + len(years) for a in answers):
        years.add(first + len(years))
    inside = [a for a in answers if a.year in years]
    broken = {a.kind for a in inside if not a.pays}
    if all(a.kind in broken for a in inside):  # no kind is paid in every year: the first year alone
        years = {first}
        inside = [a for a in inside if a.year == first and a.pays]
        broken = set()
    counted = tuple(m for m in months if month_start(start, m).year in years)
    return [a for a in inside if a.kind not in broken], counted


def _concerns(programme: Programme, firm: Mapping[str, Fact]) -> bool:
    """Return whether a programme is a rule of the firm's place, or of the nation: others need no explanation."""
    place = programme.jurisdiction
    if programme.source_status is not SourceStatus.RULE:
        return False
    if place.level is Level.NATION:
        return True
    province, city = (str(firm.get(name) or "") for name in ("province", "city"))
    in_province = province.startswith(place.province or "-")
    return in_province and (place.level is Level.PROVINCE or city.startswith(place.city or "-"))


def _special(programme: Programme, evaluation: Evaluation) -> SpecialRate | None:
    """Return the special case that applies."""
    applying = (s for s, a in zip(programme.special_rates, evaluation.special, strict=True) if a.applies)
    return next(applying, None)


def _instrument(programme: Programme, answers: Sequence[_Asked], months: tuple[int, ...], own: OwnTerms) -> Instrument:
    """Turn the answers of one programme into a subsidy."""
    paying = [a.evaluation for a in answers]
    least = min(paying, key=lambda e: e.share_ppm or 0)
    caps = [cap for e in paying for cap in programme.caps_in(_special(programme, e))]
    a_year = [c.amount_ucny for c in caps if c.per is not Per.CONTRACT and c.period is Period.YEAR]
    in_all = [c.amount_ucny for c in caps if c.per is Per.CONTRACT or c.period is not Period.YEAR]
    settlement = None if programme.voucher is None else programme.voucher.settlement
    delay = own.delay_months.get(programme.id)
    budget = None if programme.budget is None else programme.budget.amount_ucny
    rate_clause = least.clauses[0] if least.clauses else programme.clauses[0]
    text = f"“{rate_clause.text}”" if rate_clause.verbatim else rate_clause.text
    return Instrument(
        id=programme.id,
        kind=Kind.SUBSIDY,
        name=programme.name,
        source=_citation(programme),
        assumed=() if delay is not None else ("delay_months",),
        uses=frozenset(a.kind for a in answers),
        least_ucny=0 if programme.minimum is None else programme.minimum.amount_ucny,
        most_ucny=min(in_all, default=None),
        most_per_year_ucny=min(a_year, default=None),
        first_month=months[0],
        last_month=months[-1],
        rate_of_cost_ppm=least.share_ppm,
        delay_months=DELAY_MONTHS[settlement] if delay is None else delay,
        budget_ucny=own.budget_left_ucny.get(programme.id, budget),
        clause=Text(f"{programme.name.en}: {text} ({rate_clause.source})", f"{text}（{rate_clause.source}）"),
        apply_with=_papers(programme),
    )


def _citation(programme: Programme) -> str:
    document = "" if programme.document is None else f"《{programme.document}》"
    number = "" if programme.document_no is None else f"（{programme.document_no}）"
    return f"{programme.issuer}{document}{number}"


def _papers(programme: Programme) -> Text:
    """Return proof of each condition, and of the spend."""
    texts = [asked.text for asked in programme.conditions]
    if not texts:
        return PAPERS
    return Text(
        f"{PAPERS.en}; and proof of: {'; '.join(t.en for t in texts)}",
        f"{PAPERS.zh}；以及证明：{'；'.join(t.zh for t in texts)}",
    )


def _readings(programme: Programme, answers: Sequence[_Asked], months: tuple[int, ...], start: date) -> list[Text]:
    """Return the readings of the bridge that changed something."""
    said = []
    if len({a.evaluation.share_ppm for a in answers}) > 1:
        said.append(Text("shares differ between kinds or years: the least is taken", "各类或各年比例不同：取最低比例"))
    last = programme.valid.last
    after = month_start(start, months[-1] + 1)
    if last is not None and (after.year, after.month) == (last.year, last.month):
        said.append(
            Text(
                f"it ends on {last}, within {after:%Y-%m}; that month is not counted",
                f"{last} 到期，{after:%Y-%m} 不足整月，不计入",
            )
        )
    if any(c.per in (Per.CONTRACT, Per.PROJECT) for c in programme.caps):
        said.append(Text("all spend counts as one contract and one project", "全部支出按同一合同、同一项目计算上限"))
    return said


def _barred(found: Mapping[str, tuple[Programme, Instrument]]) -> tuple[Instrument, ...]:
    """Let programmes that may not be held together exclude each other."""
    excludes: dict[str, set[str]] = {key: set() for key in found}
    for (one, (p, a)), (other, (q, b)) in combinations(found.items(), 2):
        shared = bool((a.uses or frozenset()) & (b.uses or frozenset()))
        bar = bar_between(p, q, same_contract=shared)
        if bar is not None or (shared and _passes_ceiling(p, a, q, b)) or _passes_purse(p, a, q, b):
            excludes[one].add(other)
            excludes[other].add(one)
    for key, (p, a) in found.items():
        # What is left beside a combined ceiling must fit under it all together, not only one by one.
        if p.combined_ceiling is None:
            continue
        beside = [o for o, (_, b) in found.items() if o != key and o not in excludes[key] and _share_a_kind(a, b)]
        counted = [o for o in beside if p.combined_ceiling.counts is With.ALL or _same_group(p, found[o][0])]
        together = (a.rate_of_cost_ppm or 0) + sum(found[o][1].rate_of_cost_ppm or 0 for o in counted)
        if together > p.combined_ceiling.share_ppm:
            for other in counted:
                excludes[key].add(other)
                excludes[other].add(key)
    return tuple(replace(a, excludes=tuple(sorted(excludes[key]))) for key, (_, a) in found.items())


def _share_a_kind(a: Instrument, b: Instrument) -> bool:
    return bool((a.uses or frozenset()) & (b.uses or frozenset()))


def _same_group(p: Programme, q: Programme) -> bool:
    return p.stacking is not None and q.stacking is not None and p.stacking.group == q.stacking.group


def _passes_ceiling(p: Programme, a: Instrument, q: Programme, b: Instrument) -> bool:
    """Return whether two shares of one cost together pass a ceiling that one of them sets, or the cost itself."""
    both = (a.rate_of_cost_ppm or 0) + (b.rate_of_cost_ppm or 0)
    ceilings = [
        r.combined_ceiling.share_ppm
        for r in (p, q)
        if r.combined_ceiling is not None and (r.combined_ceiling.counts is With.ALL or _same_group(p, q))
    ]
    return both > min(ceilings, default=2 * MICRO)


def _passes_purse(p: Programme, a: Instrument, q: Programme, b: Instrument) -> bool:
    """Return whether two programmes that draw on one purse could together take more than is in it."""
    if p.budget is None or q.id not in p.budget.shared_with:
        return False
    left = [i.budget_ucny for i in (a, b) if i.budget_ucny is not None]
    most = [i.most_ucny for i in (a, b)]
    return None in most or sum(m or 0 for m in most) > min(left, default=0)
