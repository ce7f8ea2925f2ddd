"""Screening firms by points that everybody can check: rules as data, a reason for every point that is missing.

    gates      what must be so; one that is not met declines, one that is not known asks
    criteria   points for a fact; what a firm lacks to the full points is a reason
    decision   offer from so many points, review from so many; below, decline

A fact that is not known is never held to be bad: a firm that could still reach the line if it were known is asked, not
declined. Two checks run with every screening. *Neutrality*: every fact about ownership is set to each of its values for
all firms in turn, and no decision and no point may change. *Differences*: the share of firms that get on, by size, age
and ownership; a group below four fifths of the best group's share is marked (the rule of 29 CFR 1607.4(D), taken as a
warning sign and not as a law of this country).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl

from dujiang.core.text import Text

Value = str | bool | float | None
OWNERSHIP = ("ownership", "state_owned", "foreign_invested", "private_enterprise", "state_share", "foreign_share")
"""Facts about who owns a firm, whatever else a table may call them."""
_WORDS = ("state", "private", "foreign", "collective", "mixed")
_VALUES: Mapping[type, tuple[Value, ...]] = {bool: (True, False, None), float: (0.0, 0.25, 0.5, 1.0, None)}
"""What an ownership fact that the rules ask is set to; None: not known."""
_GATE = 10**6
"""Weight of a gate among the reasons: above any number of points."""
FOUR_FIFTHS = 0.8
FEWEST = 30
"""A smaller group is too few to say anything of."""
MOST_WORDS = 20
"""Kinds of ownership of a table that are tried beside the usual ones."""
MOST_REASONS = 4
"""Reasons that stand beside a decision, the weightiest first."""
SIZES = ((10, "1-9"), (100, "10-99"), (300, "100-299"))
AGES = ((3, "0-2"), (6, "3-5"), (11, "6-10"))


class Decision(StrEnum):
    """What becomes of a firm."""

    OFFER = "offer"
    REVIEW = "review"
    ASK = "ask"
    """Facts are missing that could still carry it over the line."""
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Gate:
    """Something that must be so."""

    id: str
    fact: str
    text: Text
    wanted: bool


@dataclass(frozen=True, slots=True)
class Criterion:
    """Points for one fact."""

    id: str
    fact: str
    text: Text
    bands: tuple[tuple[float, int], ...]
    """(least value, points), rising in both; empty: yes or no."""
    points: int
    """The most that it gives: the last band's, or that of a yes."""


@dataclass(frozen=True, slots=True)
class ScreeningRules:
    """One set of rules."""

    id: str
    name: Text
    products: tuple[str, ...]
    offer: int
    review: int
    gates: tuple[Gate, ...]
    criteria: tuple[Criterion, ...]
    sources: tuple[str, ...]
    assumptions: tuple[Text, ...]

    @property
    def facts(self) -> dict[str, type]:
        """Return the facts that are asked and what type each has to be of."""
        asked: dict[str, type] = {gate.fact: bool for gate in self.gates}
        return asked | {c.fact: float if c.bands else bool for c in self.criteria}

    @property
    def most(self) -> int:
        """Return the points of a firm that has everything."""
        return sum(c.points for c in self.criteria)


@dataclass(frozen=True, slots=True)
class Flip:
    """What changes when every firm gets one value of an ownership fact."""

    fact: str
    value: Value
    decisions: int
    """Firms whose decision is another one."""
    points: int
    """Firms whose points are others."""


@dataclass(frozen=True, slots=True)
class Group:
    """How firms of one kind fare."""

    by: str
    name: str
    firms: int
    selected: float
    """Share that gets an offer or a review."""
    ratio: float | None
    """Over the share of the best group of at least `FEWEST`; None: there is none, or its share is zero."""
    marked: bool
    """Below four fifths, and enough firms to say so."""


def screen(firms: pl.DataFrame, rules: ScreeningRules) -> pl.DataFrame:
    """Judge every firm.

    Parameters
    ----------
    firms : `enterprise_id` and facts as columns; a fact without a column is known of no firm
    rules : what counts

    Returns
    -------
    `enterprise_id`, `decision`, `points`, `points_if_known` (what is not known taken at its best), `reasons` (codes,
    the weightiest first), in the order of the firms
    """
    known = _known(firms, rules)
    return _judged(known, rules).with_columns(_reasons(known, rules))


def _judged(known: pl.DataFrame, rules: ScreeningRules) -> pl.DataFrame:
    """Return decisions and points without reasons."""
    met = [pl.col(gate.fact) == gate.wanted for gate in rules.gates]
    total = pl.sum_horizontal(pl.lit(0), *map(_points, rules.criteria)).cast(pl.Int64)
    unknown = [pl.when(pl.col(c.fact).is_null()).then(c.points).otherwise(0) for c in rules.criteria]
    best = (total + pl.sum_horizontal(pl.lit(0), *unknown)).cast(pl.Int64)
    failed = pl.any_horizontal(pl.lit(False), *((~m).fill_null(False) for m in met))
    gate_unknown = pl.any_horizontal(pl.lit(False), *(m.is_null() for m in met))
    decision = (
        pl.when(failed)
        .then(pl.lit(Decision.DECLINE.value))
        .when(gate_unknown & (best >= rules.review))
        .then(pl.lit(Decision.ASK.value))
        .when(total >= rules.offer)
        .then(pl.lit(Decision.OFFER.value))
        .when(total >= rules.review)
        .then(pl.lit(Decision.REVIEW.value))
        .when(best >= rules.review)
        .then(pl.lit(Decision.ASK.value))
        .otherwise(pl.lit(Decision.DECLINE.value))
    )
    columns = {"decision": decision, "points": total, "points_if_known": best}
    return known.select("enterprise_id", **columns)


def _known(firms: pl.DataFrame, rules: ScreeningRules) -> pl.DataFrame:
    """Return the facts that are asked, in the types that they are asked in; NaN is not known."""
    columns = [pl.col("enterprise_id")]
    for fact, kind in rules.facts.items():
        dtype = pl.Boolean if kind is bool else pl.Float64
        column = pl.col(fact) if fact in firms.columns else pl.lit(None).alias(fact)
        typed = column.cast(dtype)
        columns.append(typed if kind is bool else pl.when(typed.is_finite()).then(typed).alias(fact))
    return firms.select(columns)


def _points(criterion: Criterion) -> pl.Expr:
    fact = pl.col(criterion.fact)
    if not criterion.bands:
        return pl.when(fact).then(criterion.points).otherwise(0)
    expression = pl.lit(0)
    for least, points in criterion.bands:  # rising, so a later one replaces an earlier one
        expression = pl.when(fact >= least).then(points).otherwise(expression)
    return expression


def _reasons(known: pl.DataFrame, rules: ScreeningRules) -> pl.Series:
    """Return up to `MOST_REASONS` codes of each firm: gates first, then criteria by the points that are missing."""
    facts = [*(gate.fact for gate in rules.gates), *(criterion.fact for criterion in rules.criteria)]
    gates = [
        pl.when(pl.col(gate.fact) == gate.wanted).then(0).otherwise(_GATE).alias(str(k))
        for k, gate in enumerate(rules.gates)
    ]
    criteria = [(c.points - _points(c)).alias(str(k)) for k, c in enumerate(rules.criteria, len(gates))]
    lost = known.select(*gates, *criteria).to_numpy()
    unknown = known.select(pl.col(fact).is_null().alias(str(k)) for k, fact in enumerate(facts)).to_numpy()
    words = [code for gate in rules.gates for code in (f"{gate.id}:not-met", f"{gate.id}:unknown")]
    words += [code for c in rules.criteria for code in (f"{c.id}:low", f"{c.id}:unknown")]
    codes = pl.Series(words, dtype=pl.String)
    order = np.argsort(-lost, axis=1, kind="stable")[:, :MOST_REASONS]
    weights = np.take_along_axis(lost, order, axis=1)
    places = 2 * order + np.take_along_axis(unknown, order, axis=1)
    ranks = {
        str(r): codes.gather(pl.Series(places[:, r])).set(pl.Series(weights[:, r] <= 0), None)
        for r in range(order.shape[1])
    }
    return pl.DataFrame(ranks).select(pl.concat_list(pl.all()).list.drop_nulls().alias("reasons"))["reasons"]


def neutrality(
    firms: pl.DataFrame, rules: ScreeningRules, screened: pl.DataFrame, ownership: Sequence[str] = OWNERSHIP
) -> list[Flip]:
    """Set every ownership fact to each of its values for all firms, and compare with what was decided.

    Parameters
    ----------
    firms : as `screen` takes them
    rules : what counts
    screened : what `screen` said of them
    ownership : facts that are about who owns a firm

    Returns
    -------
    one entry per fact and value; a neutral set of rules has zeros only
    """
    found = []
    for fact in dict.fromkeys(ownership):
        for value in _flips(firms, rules, fact):
            flipped = _judged(_known(firms.with_columns(pl.lit(value).alias(fact)), rules), rules)
            decisions = int((flipped["decision"] != screened["decision"]).sum())
            found.append(Flip(fact, value, decisions, int((flipped["points"] != screened["points"]).sum())))
    return found


def _flips(firms: pl.DataFrame, rules: ScreeningRules, fact: str) -> list[Value]:
    """Return the values that a fact is set to: of the type in which it is asked, else its words."""
    if fact in rules.facts:
        return list(_VALUES[rules.facts[fact]])
    seen = firms[fact].drop_nulls().cast(pl.String).unique().sort().to_list() if fact in firms.columns else []
    return list(dict.fromkeys([*_WORDS, *seen[:MOST_WORDS], None]))


def differences(firms: pl.DataFrame, screened: pl.DataFrame) -> list[Group]:
    """Return how firms fare by size, age and ownership, as far as the table has these facts."""
    selected = screened["decision"].is_in([Decision.OFFER.value, Decision.REVIEW.value])
    found = []
    for by, fact, bands, last in (("size", "employees", SIZES, "300+"), ("age", "age_years", AGES, "11+")):
        if fact in firms.columns:
            names = _banded(firms[fact], bands, last)
            found += _groups(by, names, selected, [*(name for _, name in bands), last, "unknown"])
    if "ownership" in firms.columns:
        names = firms["ownership"].cast(pl.String).fill_null("unknown")
        found += _groups("ownership", names, selected, names.unique().sort().to_list())
    return found


def _banded(values: pl.Series, bands: Sequence[tuple[int, str]], last: str) -> pl.Series:
    number = pl.col("value").cast(pl.Float64)
    expression = pl.lit(last)
    for below, name in reversed(bands):
        expression = pl.when(number < below).then(pl.lit(name)).otherwise(expression)
    named = pl.when(number.is_finite()).then(expression).otherwise(pl.lit("unknown"))
    return pl.DataFrame({"value": values}).select(named.alias("name"))["name"]


def _groups(by: str, names: pl.Series, selected: pl.Series, order: Sequence[str]) -> list[Group]:
    table = (
        pl.DataFrame({"name": names, "selected": selected}).group_by("name").agg(pl.len(), pl.col("selected").mean())
    )
    shares = {str(name): (int(firms), float(share)) for name, firms, share in table.iter_rows()}
    rows = [(name, *shares[name]) for name in order if name in shares]
    best = max((share for _, firms, share in rows if firms >= FEWEST), default=0.0)
    found = []
    for name, firms, share in rows:
        ratio = share / best if best else None
        is_marked = ratio is not None and ratio < FOUR_FIFTHS and firms >= FEWEST
        found.append(Group(by, name, firms, share, ratio, is_marked))
    return found
