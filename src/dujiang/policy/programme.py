"""A support programme as a record: what it pays, to whom, for what, and the clause behind every number (design 5.1).

The file that people write, its limits and its published schema are in `shape` and `schema`; `parse` turns it into these
records. Money is in micro-yuan, shares in ppm, days are civil days in Asia/Shanghai.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from dujiang.core.money import FEN, MICRO
from dujiang.core.text import Text
from dujiang.registry.book import Fact


class Level(StrEnum):
    """Who stands behind a programme."""

    NATION = "nation"
    PROVINCE = "province"
    CITY = "city"


class Quality(StrEnum):
    """What kind of publication a clause was taken from, best first."""

    OFFICIAL = "official"
    PRESS = "press"
    AGGREGATOR = "aggregator"
    COMMUNITY = "community"
    LOW = "low"


class SourceStatus(StrEnum):
    """What the source is. Only a rule can be computed; the others are listed so that nobody takes them for one."""

    RULE = "rule"
    """It says who gets what."""
    PLAN = "plan"
    """It announces or sets a direction."""
    RECOMMENDATION = "recommendation"
    """Somebody asks for it (a commentary, an author's advice)."""
    DESCRIBED = "described"
    """Somebody tells that there is one, or what became of it, without its rule."""
    GAP = "gap"
    """Looked for and not found."""


class Op(StrEnum):
    """How a condition compares a fact with its value."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    NOT_IN = "not_in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    MORE_THAN = "more_than"
    LESS_THAN = "less_than"
    BEFORE = "before"
    """Dates only: earlier than the value's day."""
    AFTER = "after"
    """Dates only: later than the value's day."""
    EXISTS = "exists"
    """Whether anybody stated the fact (value true) or nobody did (false); the one comparison that is never unknown."""


class How(StrEnum):
    """How the conditions of a group count together; what is unknown stays unknown unless the rest decides."""

    ANY = "any"
    """At least one is met."""
    ALL = "all"
    """Every one is met."""
    NONE = "none"
    """Not one is met."""


class RateRule(StrEnum):
    """How binding a rate is. Both are paid alike: the share is what the issuer pays at most (design 5.4)."""

    NOT_ABOVE = "not_above"
    """The issuer may pay less (按不超过)."""
    OF = "of"
    """The issuer states the share itself."""


class Base(StrEnum):
    """The amount that a rate is applied to; the fact `<base>_cny` of a purchase."""

    CONTRACT = "contract"
    """What the contract says (合同金额)."""
    ACTUAL = "actual"
    """What was really used and invoiced (实际服务额). Stands in for the contract where that is not known, and back."""
    INVESTMENT = "investment"
    """What the builder of a project invests (投资额)."""
    PREMIUM = "premium"
    """An insurance premium (保费)."""
    PURCHASE = "purchase"
    """What a purchase costs (采购费用)."""
    SETTLED = "settled"
    """What was settled and paid over a contract (结算费用)."""

    @property
    def facts(self) -> tuple[str, ...]:
        """Names of the facts that can state it, best first, as records hold them (`_ucny`)."""
        if self is Base.CONTRACT:
            return ("contract_ucny", "actual_ucny")
        return ("actual_ucny", "contract_ucny") if self is Base.ACTUAL else (f"{self.value}_ucny",)


class Method(StrEnum):
    """How tiers are applied."""

    STEP = "step"
    """The whole base at the share of the band that it falls in."""
    MARGINAL = "marginal"
    """Each slice of the base at the share of its own band."""


class Per(StrEnum):
    """Whose claims a cap adds up."""

    ENTERPRISE = "enterprise"
    CONTRACT = "contract"
    PROJECT = "project"


class Period(StrEnum):
    """Over which time claims add up."""

    YEAR = "year"
    """The civil year in Asia/Shanghai."""
    VALIDITY = "validity"
    """The whole life of the programme."""


class BudgetRule(StrEnum):
    """Who is served when claims exceed a budget (design 5.4)."""

    FIRST_COME = "first_come"
    """In the order of the claims' time stamps, until it is used up (额满为止)."""
    PRO_RATA = "pro_rata"
    """All alike, cut by the same factor."""
    CLEARING = "clearing"
    """Whoever the round's clearing serves."""


class StackingRule(StrEnum):
    """What happens when several programmes of one group could pay for the same purchase."""

    HIGHER_COUNTS = "higher_counts"
    """Only the highest is paid, once (就高不重复)."""


class With(StrEnum):
    """Which other support a combined ceiling counts in."""

    ALL = "all"
    """All fiscal support for the same base."""
    GROUP = "group"
    """Support of the same stacking group."""


class Scope(StrEnum):
    """Over what an exclusion reaches."""

    CONTRACT = "contract"
    """The two are not held for the same contract."""
    ENTERPRISE = "enterprise"
    """The two are not held by the same enterprise at all."""


class Rounding(StrEnum):
    """Unit to which a payable amount is cut down."""

    FEN = "fen"
    YUAN = "yuan"

    @property
    def unit_ucny(self) -> int:
        """Size of the unit, micro-yuan."""
        return FEN if self is Rounding.FEN else MICRO

    def cut(self, ucny: int) -> int:
        """Return an amount cut down to whole units."""
        return ucny // self.unit_ucny * self.unit_ucny


class Settlement(StrEnum):
    """When and how a voucher is turned into money."""

    QUARTERLY = "quarterly"
    """The supplier deducts it and is paid every quarter (按季兑付)."""
    AFTER_PAYMENT = "after_payment"
    """The buyer pays the supplier in full and redeems with invoice and delivery evidence (先付后兑)."""
    AFTER_USE = "after_use"
    """Paid to the user directly after use, without a claim before it (使用后直补)."""
    EX_POST = "ex_post"
    """Awarded after the fact (事后奖补)."""
    SELECTION = "selection"
    """Paid to those selected from all applicants (评选)."""
    TARGET_AGREEMENT = "target_agreement"
    """Paid when the targets of a signed agreement are found met (目标责任书)."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of the source on which rules and numbers rest."""

    key: str
    text: str
    verbatim: bool
    """True: an exact quote; false: a summary of what the source says."""
    source: str
    """Who published it."""
    quality: Quality


@dataclass(frozen=True, slots=True)
class Basis:
    """On what a rule rests: a clause, or where the source is silent an assumption, or a clause read by one."""

    clause: str | None
    """Key into `Programme.clauses`."""
    assumption: Text | None
    """The stricter reading that was chosen because the source is silent; always shown."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One question to one fact."""

    id: str
    fact: str
    """Name in the exchange's records; money facts are in micro-yuan and end in `_ucny`."""
    op: Op
    value: Fact | tuple[Fact, ...]
    """A tuple for `in` and `not_in`, a bool for `exists`, one value otherwise; micro-yuan for money."""
    text: Text
    """The condition in words."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class ConditionGroup:
    """Several conditions that count as one; each of them carries its own basis."""

    id: str
    how: How
    members: "tuple[Condition | ConditionGroup, ...]"
    """At least one; groups in groups are at most four deep."""
    text: Text
    """The group in words."""


Asked = Condition | ConditionGroup
"""What stands in a list of conditions."""


def leaves(asked: "tuple[Asked, ...]") -> Iterator[Condition]:
    """Yield the single conditions of a list, those of its groups in their places."""
    for item in asked:
        if isinstance(item, ConditionGroup):
            yield from leaves(item.members)
        else:
            yield item


@dataclass(frozen=True, slots=True)
class Band:
    """One band of a tiered rate: bases above a bound, up to the bound of the next band inclusive."""

    above_ucny: int
    """0 for the first band, which also holds a base of 0; strictly ascending from there."""
    share_ppm: int
    """0..1 000 000."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """Shares that depend on the size of the base."""

    method: Method
    bands: tuple[Band, ...]
    """At least two, ascending from 0."""

    def band(self, base_ucny: int) -> Band:
        """Return the band that a whole base falls in."""
        return next((b for b in reversed(self.bands) if base_ucny > b.above_ucny), self.bands[0])

    def step_share_ppm(self, base_ucny: int) -> int | None:
        """Return the share of the whole base; None where each slice has its own."""
        return self.band(base_ucny).share_ppm if self.method is Method.STEP else None

    def amount_micro(self, base_ucny: int) -> int:
        """Return the part of a base that is paid, exactly, in millionths of a micro-yuan."""
        if self.method is Method.STEP:
            return base_ucny * self.band(base_ucny).share_ppm
        tops = (*(b.above_ucny for b in self.bands[1:]), base_ucny)
        return sum(
            max(0, min(base_ucny, top) - band.above_ucny) * band.share_ppm
            for band, top in zip(self.bands, tops, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """The share of the base that is paid: one share, or tiers."""

    share_ppm: int | None
    """1..1 000 000; None: tiers."""
    tiers: Tiers | None
    """None: one share."""
    rule: RateRule
    basis: Basis


@dataclass(frozen=True, slots=True)
class SpecialRate:
    """A share that replaces the rate when all of `when` is met; of those that apply the highest counts."""

    share_ppm: int
    when: tuple[Asked, ...]
    cap_ucny: int | None
    """Replaces every cap while this case applies; None: the caps stay."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class FixedAmount:
    """A reward of a fixed amount instead of a rate."""

    amount_ucny: int
    rule: RateRule
    """Only `of` can be computed: where the issuer pays up to an amount, the amount is open."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that one beneficiary, one contract or one project gets."""

    amount_ucny: int
    per: Per
    period: Period
    """Of no meaning where `per` is a contract."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class Minimum:
    """A claim below this is not accepted."""

    amount_ucny: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that all beneficiaries get together."""

    amount_ucny: int
    period: Period
    rule: BudgetRule | None
    """None: the source is silent; first come is then assumed, and said."""
    shared_with: tuple[str, ...]
    """Ids of the programmes that draw on the same purse; each of them names all the others."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class ProRata:
    """Only the part of the base that falls in a period counts, by days from first to last (last minus first)."""

    first: date
    last: date
    facts: tuple[str, str]
    """Facts that hold the contract's first and last day."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class CombinedCeiling:
    """Fiscal support for the same base, this one included, is never above a share of it."""

    share_ppm: int
    counts: With
    basis: Basis


@dataclass(frozen=True, slots=True)
class Stacking:
    """With which other programmes this one does not add up."""

    group: str
    rule: StackingRule
    basis: Basis


@dataclass(frozen=True, slots=True)
class Exclude:
    """Programmes that may not be held together with this one. Exactly one of `programmes`, `group`, `level` is set."""

    programmes: tuple[str, ...]
    """Ids; empty: not by id."""
    group: str | None
    """A stacking group; a programme's own group means the others in it."""
    level: Level | None
    """All programmes of a level."""
    same_place: bool
    """With `level`: only those of the same province, or the same city."""
    scope: Scope
    basis: Basis


@dataclass(frozen=True, slots=True)
class Priority:
    """Programmes whose winners come first here. Information: it changes no amount."""

    programmes: tuple[str, ...]
    basis: Basis


@dataclass(frozen=True, slots=True)
class FundedBy:
    """The share of the support that one level pays; the shares of a programme add up to one."""

    level: Level
    share_ppm: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class VoucherTermsOfLife:
    """What the source says about the life of a voucher (design 5.6); at least one of the three."""

    validity_months: int | None
    """Months from approval in which it can be redeemed."""
    transferable: bool | None
    settlement: Settlement | None
    basis: Basis


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Parts of an invoice that are no part of the base; a round's gross payment holds none of them."""

    items: tuple[str, ...]
    basis: Basis


@dataclass(frozen=True, slots=True)
class Validity:
    """The days on which the programme can be used."""

    first: date | None
    """None: the source states no first day."""
    last: date | None
    """Last day, inclusive; None: the source states no last day."""
    basis: Basis

    def overlaps(self, other: "Validity") -> bool:
        """Return whether some day belongs to both."""
        return (self.first or date.min) <= (other.last or date.max) and (other.first or date.min) <= (
            self.last or date.max
        )


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """Where the issuer governs; names without the administrative suffix (广东, 深圳)."""

    level: Level
    province: str | None
    """Set unless the level is the nation."""
    city: str | None
    """Set only where the level is the city."""


SILENT_BUDGET = Text(
    "The source does not say who is served when the budget runs out; first come, first served is assumed.",
    "来源未写明预算不足时如何安排；按先到先得处理。",
)
"""The reading that stands in for a budget's missing rule."""


@dataclass(frozen=True, slots=True)
class Programme:
    """One version of one programme."""

    id: str
    version: date
    """Day on which this file was written; not the day of the document."""
    name: Text
    jurisdiction: Jurisdiction
    issuer: str
    document: str | None
    """Name of the document; None: the source does not give it."""
    document_no: str | None
    kind: str
    """What it supports, such as `compute_voucher`."""
    instrument: str
    """How it pays, such as `voucher`."""
    goods: tuple[str, ...]
    """The goods that it pays for: compute, corpus, model, application, project, standard; at least one."""
    source_status: SourceStatus
    valid: Validity
    verified: bool
    """True: somebody published it, as the clauses say; false: general knowledge, never to be shown as a fact."""
    confidence: str
    clauses: tuple[Clause, ...]
    conditions: tuple[Asked, ...]
    base: Base | None
    """None: not stated (only where `not_computable` is set), or a fixed amount that needs none."""
    rate: Rate | None
    """None: a fixed amount, special cases only, or not stated (only where `not_computable` is set)."""
    amount: FixedAmount | None
    """Set only without a rate and special rates."""
    special_rates: tuple[SpecialRate, ...]
    """Rows by share, lowest first; each above the rate, or at it with a cap of its own."""
    caps: tuple[Cap, ...]
    """All hold together; at most one of each `per` and `period`."""
    minimum: Minimum | None
    budget: Budget | None
    """None: the source states none; not the same as zero."""
    pro_rata: ProRata | None
    combined_ceiling: CombinedCeiling | None
    stacking: Stacking | None
    excludes: tuple[Exclude, ...]
    priority: tuple[Priority, ...]
    funded_by: tuple[FundedBy, ...]
    """Empty: the source does not say who pays."""
    voucher: VoucherTermsOfLife | None
    exclusion: Exclusion | None
    rounding: Rounding
    cut_base: bool
    """True: the base, too, is cut down to the unit of `rounding` before the rate is applied."""
    notes: Text | None
    not_computable: Text | None
    """Why no amount can be worked out from what the source states; None: it can."""

    def caps_in(self, special: SpecialRate | None) -> tuple[Cap, ...]:
        """Return the caps that hold while a special case applies, or none does.

        A special cap stands in for the amount of every cap; where there is none, it counts per enterprise over the
        whole validity, the strictest way.
        """
        if special is None or special.cap_ucny is None:
            return self.caps
        if not self.caps:
            return (Cap(special.cap_ucny, Per.ENTERPRISE, Period.VALIDITY, special.basis),)
        return tuple(Cap(special.cap_ucny, cap.per, cap.period, special.basis) for cap in self.caps)

    def clause(self, key: str) -> Clause:
        """Return the clause with a key that this programme's rules name."""
        return next(c for c in self.clauses if c.key == key)

    def asked(self) -> tuple[Condition, ...]:
        """Return every single condition, of the programme and of its special rates, in the order of the file."""
        return (*leaves(self.conditions), *(c for s in self.special_rates for c in leaves(s.when)))

    def bases(self) -> tuple[Basis, ...]:
        """Return what every rule of the programme rests on, in the order of the file."""
        rules = (
            *(self.rate, self.amount, *self.special_rates, *self.caps, self.minimum, self.budget, self.pro_rata),
            *(self.combined_ceiling, self.stacking, *self.excludes, *self.priority, *self.funded_by),
            *(self.voucher, self.exclusion),
        )
        return (self.valid.basis, *(c.basis for c in self.asked()), *(r.basis for r in rules if r is not None))

    def assumptions(self) -> tuple[Text, ...]:
        """Return every reading that was chosen because the source is silent, each once, in the order of the file."""
        said = [basis.assumption for basis in self.bases() if basis.assumption is not None]
        if self.budget is not None and self.budget.rule is None and self.not_computable is None:
            said.append(SILENT_BUDGET)
        return tuple(dict.fromkeys(said))
