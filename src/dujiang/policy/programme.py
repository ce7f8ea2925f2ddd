"""A support programme as a record: what it pays, to whom, for what, and the clause behind every number (design 5.1)."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

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


class Op(StrEnum):
    """How a condition compares a fact with its value."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    MORE_THAN = "more_than"
    LESS_THAN = "less_than"
    BEFORE = "before"
    """Dates only: earlier than the value's day."""
    AFTER = "after"
    """Dates only: later than the value's day."""


class RateRule(StrEnum):
    """How binding a rate is. Both are paid alike: the share is what the issuer pays at most (design 5.4)."""

    NOT_ABOVE = "not_above"
    """The issuer may pay less (按不超过)."""
    OF = "of"
    """The issuer states the share itself."""


class Base(StrEnum):
    """The amount that a rate is applied to."""

    CONTRACT = "contract"
    """What the contract says (合同金额)."""
    ACTUAL = "actual"
    """What was really used and invoiced (实际服务额)."""


class Per(StrEnum):
    """Whose claims a cap adds up."""

    ENTERPRISE = "enterprise"
    CONTRACT = "contract"


class Period(StrEnum):
    """Over which time claims add up."""

    YEAR = "year"
    """The civil year in Asia/Shanghai."""
    VALIDITY = "validity"
    """The whole life of the programme."""


class StackingRule(StrEnum):
    """What happens when several programmes of one group could pay for the same purchase."""

    HIGHER_COUNTS = "higher_counts"
    """Only the highest is paid, once (就高不重复)."""


class Rounding(StrEnum):
    """Unit to which a payable amount is cut down."""

    FEN = "fen"
    YUAN = "yuan"


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
    """A tuple for `in`, one value otherwise; micro-yuan for money."""
    text: Text
    """The condition in words."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class Rate:
    """The share of the base that is paid."""

    share_ppm: int
    """1..1 000 000."""
    rule: RateRule
    basis: Basis


@dataclass(frozen=True, slots=True)
class SpecialRate:
    """A higher share that replaces the rate when all of `when` is met; the highest that applies counts."""

    share_ppm: int
    when: tuple[Condition, ...]
    basis: Basis


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that one beneficiary, or one contract, gets."""

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
    basis: Basis


@dataclass(frozen=True, slots=True)
class Stacking:
    """With which other programmes this one does not add up."""

    group: str
    rule: StackingRule
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


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """Where the issuer governs; names without the administrative suffix (广东, 深圳)."""

    level: Level
    province: str | None
    """Set unless the level is the nation."""
    city: str | None
    """Set only where the level is the city."""


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
    good: str
    """The good of the exchange that it pays for: compute, corpus, model, application, project, standard."""
    valid: Validity
    verified: bool
    """True: somebody published it, as the clauses say; false: general knowledge, never to be shown as a fact."""
    confidence: str
    clauses: tuple[Clause, ...]
    conditions: tuple[Condition, ...]
    base: Base | None
    """None: not stated; only where `not_computable` is set."""
    rate: Rate | None
    """None: not stated; only where `not_computable` is set."""
    special_rates: tuple[SpecialRate, ...]
    """Rows by share, lowest first; each above the rate."""
    cap: Cap | None
    minimum: Minimum | None
    budget: Budget | None
    """None: the source states none; not the same as zero."""
    stacking: Stacking | None
    exclusion: Exclusion | None
    rounding: Rounding
    notes: Text | None
    not_computable: Text | None
    """Why no amount can be worked out from what the source states; None: it can."""

    def clause(self, key: str) -> Clause:
        """Return the clause with a key that this programme's rules name."""
        return next(c for c in self.clauses if c.key == key)

    def bases(self) -> tuple[Basis, ...]:
        """Return what every rule of the programme rests on, in the order of the file."""
        rules = (self.rate, *self.special_rates, self.cap, self.minimum, self.budget, self.stacking, self.exclusion)
        asked = (*self.conditions, *(c for s in self.special_rates for c in s.when))
        return (self.valid.basis, *(c.basis for c in asked), *(r.basis for r in rules if r is not None))

    def assumptions(self) -> tuple[Text, ...]:
        """Return every reading that was chosen because the source is silent, each once, in the order of the file."""
        return tuple(dict.fromkeys(b.assumption for b in self.bases() if b.assumption is not None))
