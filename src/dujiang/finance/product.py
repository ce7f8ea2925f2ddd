"""A financial product as a record: what it is, to whom it is open, and what its source says of every term.

The file that people write is read by `parse_product`; `instrument_of` turns a product into an `Instrument` of the
planner. A source often names a product and leaves rate, fee or ceiling to the bank. Such a term has no value; beside it
stands an example, which is an assumption of ours, and a bank puts its own terms in its place (`OwnTerms`). An
instrument names every term that rests on an example (`Instrument.assumed`), so that no output can show it as a fact.

Money is in micro-yuan, shares in ppm, times in months.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

from dujiang.core.money import cny
from dujiang.core.text import Text
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.policy.condition import Outcome, combined, outcome_of
from dujiang.policy.known_facts import words_for
from dujiang.policy.programme import Asked, Clause, Jurisdiction, leaves
from dujiang.policy.rules import percent
from dujiang.registry.book import Fact

TermValue = int | bool | str | tuple[str, ...]
"""Micro-yuan, ppm, months, true or false, a word, or names."""


class TermKind(NamedTuple):
    """How a term is written and what a stated value means."""

    how: str
    """`share` (0..1), `multiple` (above 0), `money`, `months`, `flag`, `name`, `names`, or `repayment`."""
    field: str
    """Field of `Instrument` that holds it; empty: it needs more than a copy."""
    bound: int = 0
    """1: a stated value is the most that the source allows, -1: the least, 0: the term itself."""
    text: Text = Text("", "")


def _t(how: str, field: str, en: str, zh: str, bound: int = 0) -> TermKind:
    return TermKind(how, field, bound, Text(en, zh))


TERMS: Final[Mapping[str, TermKind]] = MappingProxyType(
    {
        "uses": _t("names", "", "kinds of cost that it may pay", "可用于的费用类别"),
        "not_for": _t("names", "", "kinds of cost that it may not pay", "不得用于的费用类别"),
        "least_cny": _t("money", "least_ucny", "least amount", "最低金额"),
        "most_cny": _t("money", "most_ucny", "ceiling", "金额上限", 1),
        "within_months": _t("months", "", "drawn within so many months of the start", "自项目起多少个月内提用", 1),
        "once": _t("flag", "once", "one draw only", "一次性提用"),
        "term_months": _t("months", "term_months", "term", "期限", 1),
        "grace_months": _t("months", "grace_months", "grace", "宽限期", 1),
        "repayment": _t("repayment", "repayment", "repayment", "还款方式"),
        "rate": _t("share", "rate_ppm", "interest a year", "年利率"),
        "fee": _t("share", "fee_ppm", "fee", "费率", 1),
        "fixed_fee_cny": _t("money", "fixed_fee_ucny", "fixed fee", "固定费用"),
        "share_of_costs": _t("share", "share_of_costs_ppm", "share of the costs, at most", "占费用比例上限", 1),
        "collateral": _t("name", "collateral", "pledged asset", "质押物"),
        "ltv": _t("share", "ltv_ppm", "share of the pledge's value, at most", "质押率上限", 1),
        "tied_to": _t("name", "", "tied to an instrument of this kind", "与该类工具联动"),
        "multiple": _t("multiple", "multiple_ppm", "multiple of what it is tied to", "联动倍数", 1),
        "needs": _t("names", "needs", "needs", "须同时使用"),
        "excludes": _t("names", "excludes", "not beside", "不得同时使用"),
        "group": _t("name", "group", "of its group at most one", "同组只用其一"),
        "pre_money_cny": _t("money", "pre_money_ucny", "worth before the money", "投前估值"),
        "required_return": _t("share", "required_return_ppm", "return that the investor asks for", "投资人要求回报率"),
        "rate_of_cost": _t("share", "rate_of_cost_ppm", "share of the cost that it pays", "补助比例", 1),
        "delay_months": _t("months", "delay_months", "months until it arrives", "到账所需月数"),
        "most_per_year_cny": _t("money", "most_per_year_ucny", "ceiling a year", "年度上限", 1),
        "budget_cny": _t("money", "budget_ucny", "what the purse has left", "资金池余额", 1),
        "ahead_months": _t("months", "ahead_months", "months of income ahead", "可预支收入的月数", 1),
        "advance": _t("share", "advance_ppm", "share of that income", "预支比例上限", 1),
        "lead_months": _t("months", "lead_months", "months from application to money", "从申请到放款的月数"),
    }
)
"""Every term of a product, by its name in files."""

NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.LOAN: ("rate", "term_months", "repayment"),
        Kind.LEASE: ("rate", "term_months", "repayment", "uses"),
        Kind.BOND: ("rate", "term_months", "repayment"),
        Kind.EQUITY: ("required_return", "most_cny"),
        Kind.SUBSIDY: ("rate_of_cost", "delay_months", "uses"),
        Kind.GUARANTEE: ("fee",),
        Kind.INSURANCE: (),
        Kind.RECEIVABLES: ("rate", "advance", "ahead_months", "term_months", "repayment"),
    }
)
"""Terms without which an instrument of a kind has no price; each has a value or an example."""


@dataclass(frozen=True, slots=True)
class Term:
    """What is known of one term."""

    value: TermValue | None
    """What the source states; None: nothing."""
    example: TermValue | None
    """What stands in where the source is silent; None where it is not, and where the term is the bank's alone."""
    clause: str | None
    """Key into `Product.clauses`; set wherever there is a value."""
    assumption: Text | None
    """Why this example, or how the clause is read."""


@dataclass(frozen=True, slots=True)
class Product:
    """One version of one product."""

    id: str
    version: date
    """Day on which this file was written."""
    name: Text
    kind: Kind | None
    """None: nothing that a project can draw on (`not_offered` says why)."""
    issuer: str
    document: str | None
    dated: str | None
    """As far as the source says: a day, a month or a year."""
    jurisdiction: Jurisdiction
    facts: tuple[str, ...]
    """Ids of the records of the fact base that it was written from."""
    verified: bool
    confidence: str
    clauses: tuple[Clause, ...]
    conditions: tuple[Asked, ...]
    """Who may use it, asked of the firm's facts in the language of programmes."""
    terms: Mapping[str, Term]
    """By names of `TERMS`, in the order of the file."""
    summary: Text
    assumption: Text | None
    """What every example without an assumption of its own rests on."""
    notes: Text | None
    not_offered: Text | None
    """Why it is no instrument for a project; None: it is one."""

    @property
    def clause(self) -> Clause:
        """The clause that it rests on first."""
        return self.clauses[0]


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """Terms that a bank, a fund or an office filled in for itself; they stand before every example."""

    source: str = ""
    """Whose terms these are."""
    products: Mapping[str, Mapping[str, TermValue]] = field(default_factory=dict)
    """Product id -> name of `TERMS` -> value."""
    delay_months: Mapping[str, int] = field(default_factory=dict)
    """Programme id -> months until its support arrives."""
    budget_left_ucny: Mapping[str, int] = field(default_factory=dict)
    """Programme id -> what its purse has left."""


NO_OWN_TERMS: Final = OwnTerms()


class LeftOut(NamedTuple):
    """Something that was asked for, or could have been, and is no part of the plan."""

    id: str
    name: Text
    reason: Text
    would_pay_ucny: int = 0
    """What it would bring if the reason fell away, where that can be said; else 0."""


def eligibility(product: Product, facts: Mapping[str, Fact]) -> tuple[Outcome, Text]:
    """Ask who may use a product.

    Parameters
    ----------
    product : the product
    facts : what is known of the firm, money in micro-yuan; what is not stated is unknown, never no (design 7)

    Returns
    -------
    the outcome, and in words the first condition that is not met or the facts that are missing
    """
    outcomes = [(asked, outcome_of(asked, facts)) for asked in product.conditions]
    for asked, outcome in outcomes:
        if outcome is Outcome.NOT_MET:
            return outcome, Text(f"not met: {asked.text.en}", f"不符合：{asked.text.zh}")
    if combined([o for _, o in outcomes]) is Outcome.MET:
        return Outcome.MET, Text("open to the firm", "可申请")
    asks = [c for asked, o in outcomes if o is Outcome.UNKNOWN for c in leaves((asked,)) if c.fact not in facts]
    # A fact that is on no list is explained by what is asked of it.
    named = {written(c.fact): c.text if words_for(c.fact).en == c.fact else words_for(c.fact) for c in asks}
    return Outcome.UNKNOWN, Text(
        "not known, to be stated: " + "; ".join(f"{name} ({words.en})" for name, words in named.items()),
        "尚不清楚，须补充：" + "；".join(f"{name}（{words.zh}）" for name, words in named.items()),
    )


def written(stored: str) -> str:
    """Return a fact's name as files write it: money in yuan."""
    return f"{stored.removesuffix('_ucny')}_cny" if stored.endswith("_ucny") else stored


def instrument_of(
    product: Product,
    kinds: Collection[str],
    *,
    own: OwnTerms = NO_OWN_TERMS,
    partner: str | None = None,
) -> Instrument:
    """Turn a product into an instrument of a project.

    Parameters
    ----------
    product : one with a kind
    kinds : kinds of cost of the project
    own : terms that replace examples, and stated bounds from within them
    partner : instrument that a tied product (`tied_to`) is a multiple of

    Returns
    -------
    the instrument; `assumed` names every term that rests on an example
    """
    assert product.kind is not None, product.id
    stated = own.products.get(product.id, {})
    chosen: dict[str, TermValue] = {}
    assumed: list[str] = []
    for name in TERMS:
        term = product.terms.get(name)
        if name in stated:
            chosen[name] = stated[name]
        elif term is not None and term.value is not None:
            chosen[name] = term.value
        elif term is not None and term.example is not None:
            chosen[name] = term.example
            assumed.append(name)
    fields: dict[str, object] = {TERMS[n].field: v for n, v in chosen.items() if TERMS[n].field}
    if isinstance(repayment := chosen.get("repayment"), str):
        fields["repayment"] = Repayment(repayment)
    if isinstance(within := chosen.get("within_months"), int):
        fields["last_month"] = within - 1
    if "tied_to" in chosen:
        fields["multiple_of"] = partner
    return Instrument(
        id=product.id,
        kind=product.kind,
        name=product.name,
        source=own.source if stated else citation(product),
        assumed=tuple(assumed),
        uses=_uses(chosen, kinds),
        clause=quoted(product),
        apply_with=papers(product),
        **fields,  # type: ignore[arg-type]  # the parser has checked each by its kind
    )


def _uses(chosen: Mapping[str, TermValue], kinds: Collection[str]) -> frozenset[str] | None:
    """Return the kinds of cost that may be paid; None: all."""
    uses, barred = chosen.get("uses"), chosen.get("not_for")
    if not isinstance(uses, tuple) and not isinstance(barred, tuple):
        return None
    named = frozenset(uses) if isinstance(uses, tuple) else frozenset(kinds)
    return named - frozenset(barred if isinstance(barred, tuple) else ())


def citation(product: Product) -> str:
    """Return issuer and document."""
    return product.issuer if product.document is None else f"{product.issuer}《{product.document}》"


def quoted(product: Product) -> Text:
    """Return what the product rests on: a summary, and the clause as the source has it."""
    clause = product.clause
    text = f"“{clause.text}”" if clause.verbatim else clause.text
    return Text(f"{product.summary.en} {text} ({clause.source})", f"{text}（{clause.source}）")


_PAPERS: Final[Mapping[Kind, Text]] = MappingProxyType(
    {
        Kind.LOAN: Text("accounts, the project's contracts and this plan", "财务报表、项目合同和本方案"),
        Kind.LEASE: Text("accounts, quotes for the equipment and this plan", "财务报表、设备报价和本方案"),
        Kind.BOND: Text("audited accounts, a prospectus and an underwriter", "经审计的报表、募集说明书和主承销商"),
        Kind.EQUITY: Text("a business plan, the shareholders' consent and this plan", "商业计划书、股东会决议和本方案"),
        Kind.SUBSIDY: Text(
            "contract, invoice, proof of payment and of what was delivered", "合同、发票、付款凭证和交付证明"
        ),
        Kind.GUARANTEE: Text("accounts and the loan that it stands behind", "财务报表和被担保的借款合同"),
        Kind.INSURANCE: Text("a list of what is insured and its value", "投保清单和价值证明"),
        Kind.RECEIVABLES: Text("the customers' contracts and invoices", "客户合同和发票"),
    }
)
"""What is usually handed in; no source of ours lists it, so it is said to be usual and no more."""


def papers(product: Product) -> Text:
    """Return what to hand in: proof of each condition, and what is usual for the kind."""
    assert product.kind is not None
    usual = _PAPERS[product.kind]
    proofs = [asked.text for asked in product.conditions]
    said = Text(f"usually {usual.en}", f"通常为{usual.zh}")
    if not proofs:
        return said
    return Text(
        f"proof of: {'; '.join(t.en for t in proofs)}. Besides, {said.en}",
        f"证明：{'；'.join(t.zh for t in proofs)}。另需，{said.zh}",
    )


def offered(
    products: Iterable[Product],
    facts: Mapping[str, Fact],
    kinds: Collection[str],
    *,
    own: OwnTerms = NO_OWN_TERMS,
    others: Iterable[Instrument] = (),
    assets: Collection[str] = (),
) -> tuple[tuple[Instrument, ...], tuple[LeftOut, ...]]:
    """Turn the products that a firm may use into instruments.

    A product whose conditions are not all known to be met is left out, as a voucher is in a round. A tied product goes
    with the first instrument of the kind that it is tied to; one that needs another goes only with it.

    Parameters
    ----------
    products : asked for, in the order of wish
    facts : of the firm
    kinds : kinds of cost of the project
    own : a bank's own terms
    others : instruments that the project has besides, which a tied product may go with
    assets : names of what the project can pledge

    Returns
    -------
    the instruments in the order of the products, and what is left out and why
    """
    found: list[Instrument] = []
    left: list[LeftOut] = []
    waiting: list[Product] = []
    for product in products:
        reason = _closed(product, facts, kinds, own, assets)
        if reason is not None:
            left.append(LeftOut(product.id, product.name, reason))
        elif _first(product, "tied_to", own) is not None:
            waiting.append(product)
        else:
            found.append(instrument_of(product, kinds, own=own))
    others = tuple(others)
    for product in waiting:
        wanted = str(_first(product, "tied_to", own))
        partner = next((i.id for i in (*found, *others) if i.kind == wanted), None)
        if partner is None:
            reason = Text(f"tied to {wanted}, of which there is none here", f"须与{wanted}联动，本项目没有此类工具")
            left.append(LeftOut(product.id, product.name, reason))
        else:
            found.append(instrument_of(product, kinds, own=own, partner=partner))
    return _with_what_they_need(found, {i.id for i in others}, left)


def _with_what_they_need(
    found: list[Instrument], others: Collection[str], left: list[LeftOut]
) -> tuple[tuple[Instrument, ...], tuple[LeftOut, ...]]:
    """Leave out what needs an instrument that is not there, until nothing does."""
    while True:
        there = {i.id for i in found} | set(others)
        lacking = [i for i in found if not there.issuperset(i.needs)]
        if not lacking:
            return tuple(found), tuple(left)
        for item in lacking:
            named = ", ".join(key for key in item.needs if key not in there)
            reason = Text(f"needs {named}, which is not to be had here", f"须同时使用 {named}，本项目无法取得")
            left.append(LeftOut(item.id, item.name, reason))
        found = [i for i in found if i not in lacking]


def _closed(
    product: Product, facts: Mapping[str, Fact], kinds: Collection[str], own: OwnTerms, assets: Collection[str]
) -> Text | None:
    """Return why a product is not to be had; None: it is."""
    if product.not_offered is not None:
        return product.not_offered
    outcome, reason = eligibility(product, facts)
    if outcome is not Outcome.MET:
        return reason
    terms = {n: value for n in ("uses", "not_for") if (value := _first(product, n, own)) is not None}
    pays = _uses(terms, kinds)
    if pays is not None and not pays & set(kinds):
        return Text("pays for none of the project's kinds of cost", "不能用于本项目的任何费用类别")
    pledge = _first(product, "collateral", own)
    if pledge is not None and pledge not in assets:
        return Text(f"asks for a pledge: {pledge}, with its value", f"须有质押物及其价值：{pledge}")
    return None


def _first(product: Product, name: str, own: OwnTerms) -> TermValue | None:
    """Return a term as it counts: a bank's own, the stated one, else the example."""
    mine = own.products.get(product.id, {}).get(name)
    term = product.terms.get(name)
    if mine is not None or term is None:
        return mine
    return term.value if term.value is not None else term.example


def shown_value(name: str, value: TermValue) -> Text:
    """Write a term for people."""
    how = TERMS[name].how
    if how == "share":
        assert isinstance(value, int)
        return Text(percent(value), percent(value))
    if how == "multiple":
        assert isinstance(value, int)
        return Text(f"{value / 1e6:g} times", f"{value / 1e6:g} 倍")
    if how == "money":
        assert isinstance(value, int)
        return Text(f"{cny(value)} CNY", f"{cny(value)} 元")
    if how == "months":
        return Text(f"{value} months", f"{value} 个月")
    if how == "flag":
        return Text("yes", "是") if value else Text("no", "否")
    listed = ", ".join(value) if isinstance(value, tuple) else str(value)
    return Text(listed, listed)


def readings_of(product: Product, own: OwnTerms = NO_OWN_TERMS) -> tuple[Text, ...]:
    """Return why its examples are what they are, how its clauses are read, and what else is to be known, each once.

    Parameters
    ----------
    product : one with a kind
    own : terms that replace examples; what they replace needs no reason
    """
    mine = own.products.get(product.id, {})
    terms = [term for name, term in product.terms.items() if name not in mine]
    general = [product.assumption] if any(t.example is not None and t.assumption is None for t in terms) else []
    said = [*general, *(t.assumption for t in terms), *(c.basis.assumption for c in leaves(product.conditions))]
    said.append(product.notes)
    return tuple(dict.fromkeys(text for text in said if text is not None))
