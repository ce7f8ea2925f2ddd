"""Who is related to whom: holdings of 25 % or more, directly, through chains, and through a common holder (design 5.5).

The rule, after 国家税务总局公告2016年第42号, article 2 (the voucher rules name no definition of their own):

* One party *reaches* another if it holds 25 % or more of it, directly and indirectly together.
* Where it reaches an intermediary, what the intermediary holds counts as its own, in full: the shares are not
  multiplied. So the group of a party p is the least set that contains p and every party of which the members of the
  set together hold 25 % or more, and the share of p in c is what the members of its group hold of c, added up.
* An intermediary that p does not reach passes nothing on: the announcement is silent there, and design 5.5 speaks of
  chains of holdings of 25 % or more.
* A row with `control` counts as reaching whatever its share: who controls a party decides for it.
* Two parties are related if they are one, if one of them reaches the other, or if some third party reaches both.

Shares are exact, in ppm, and the bound is met at exactly 250 000. A set only grows, so circles of holdings end.

Method
------
One group costs the holdings of its members. Two parties can only meet in the group of somebody from whom both can be
arrived at through holdings of any size; what lies above the one party and above the other is found first, and
everything happens inside. Of the candidates there, those that another candidate holds 25 % or more of are left out
(their group is part of their holder's), and the rest are asked together: if the group of all of them does not hold both
parties, none does; else each half is asked. So a query costs the holdings above the two parties, times the logarithm of
the candidates in ordinary tables.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.core.money import MICRO, parse_micro
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.registry.raw import RawTable

THRESHOLD_PPM = 250_000
"""Share from which a holding counts: 25 % (国家税务总局公告2016年第42号, article 2)."""
COLUMNS = ("holder", "held", "share")
CONTROL = "control"
"""Optional column."""
_ROUNDED_PPM = 2
"""How far one share may be off because it was written with few decimals; so often the sum of a party may pass 100 %."""
_SHARE = Text("a share from 0 to 1 with at most six decimals, such as 0.25", "0 到 1 之间、最多六位小数的比例，如 0.25")
_ID = Text("an id", "编号")
_FLAG = Text("true or false", "true 或 false（是/否）")
_TRUE, _FALSE = frozenset(("true", "yes", "1", "是")), frozenset(("", "false", "no", "0", "否"))


@dataclass(frozen=True, slots=True)
class Holding:
    """One row of the table."""

    holder: str
    held: str
    share_ppm: int
    """0..1 000 000."""
    control: bool = False
    """The holder decides for the other, whatever its share."""


@dataclass(frozen=True, slots=True)
class Link:
    """How one party came into a group."""

    held: str
    holdings: tuple[Holding, ...]
    """The holdings of members that together reach it, largest first, no more than are needed."""

    @property
    def share_ppm(self) -> int:
        """What they come to."""
        return sum(h.share_ppm for h in self.holdings)


class Tie(StrEnum):
    """How two parties are related."""

    SAME = "same"
    """They are one party."""
    HOLDS = "holds"
    """The first reaches the second."""
    HELD = "held"
    """The second reaches the first."""
    COMMON = "common"
    """A third party reaches both."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Why two parties are related."""

    tie: Tie
    top: str
    """The party that reaches the other, or both."""
    links: tuple[Link, ...]
    """From the top down: each holding is of the top or of a party of an earlier link."""

    @property
    def text(self) -> Text:
        """Say the chain in one sentence."""
        if self.tie is Tie.SAME:
            return Text(f"{self.top} is both buyer and seller", f"买卖双方同为 {self.top}")
        parts = [_said(link) for link in self.links]
        tail = Text("", "")
        if self.tie is Tie.COMMON:
            tail = Text(f": {self.top} stands above both", f"：双方同受 {self.top} 持股")
        return Text("; ".join(p.en for p in parts) + tail.en, "；".join(p.zh for p in parts) + tail.zh)


def _said(link: Link) -> Text:
    en, zh = [], []
    for holding in link.holdings:
        share = f"{holding.share_ppm / 10_000:g} %"
        controlled = holding.control and holding.share_ppm < THRESHOLD_PPM
        en.append(f"{holding.holder} {'controls' if controlled else f'holds {share} of'}")
        zh.append(f"{holding.holder} {'控制' if controlled else f'持有 {share}'}")
    total = f" ({link.share_ppm / 10_000:g} % together)" if len(link.holdings) > 1 else ""
    total_zh = f"（合计 {link.share_ppm / 10_000:g} %）" if len(link.holdings) > 1 else ""
    return Text(f"{' and '.join(en)} {link.held}{total}", f"{'、'.join(zh)}，对象 {link.held}{total_zh}")


class Ownership:
    """Who holds what of whom.

    Parameters
    ----------
    holdings : each pair of holder and held at most once, nobody of itself, shares of 0..1 000 000 ppm; what breaks that
        is a mistake of the caller. Tables that people write go through `parse_ownership`
    """

    def __init__(self, holdings: Iterable[Holding]) -> None:
        rows = list(holdings)
        frame = pl.DataFrame(
            {
                "holder": [h.holder for h in rows],
                "held": [h.held for h in rows],
                "share": [h.share_ppm for h in rows],
                "control": [h.control for h in rows],
            },
            schema={"holder": pl.String(), "held": pl.String(), "share": pl.Int64(), "control": pl.Boolean()},
        )
        self._load(frame)

    @classmethod
    def _of(cls, frame: pl.DataFrame) -> "Ownership":
        ownership = cls.__new__(cls)
        ownership._load(frame)
        return ownership

    def _load(self, frame: pl.DataFrame) -> None:
        names = pl.concat([frame["holder"], frame["held"].alias("holder")]).unique().sort()
        self._names: list[str] = names.to_list()
        self._index = {name: i for i, name in enumerate(self._names)}
        codes = pl.DataFrame({"name": names, "code": np.arange(len(self._names), dtype=np.int64)})
        holder, held = (
            frame.select(pl.col(side).alias("name")).join(codes, on="name", how="left", maintain_order="left")["code"]
            for side in ("holder", "held")
        )
        sides = (holder.to_numpy(), held.to_numpy())
        shares, control = frame["share"].to_numpy(), frame["control"].to_numpy()
        self._down = _Rows(sides, shares, control, len(self._names))
        self._up = _Rows((sides[1], sides[0]), shares, control, len(self._names))

    def __len__(self) -> int:
        """Return the number of holdings."""
        return self._down.other.size

    def __contains__(self, party: object) -> bool:
        """Return whether the table knows a party, as holder or as held."""
        return party in self._index

    def related(self, one: str, other: str) -> Relation | None:
        """Return why two parties are related; None: nothing in the table relates them.

        A party that is not in the table holds nothing and is held by nobody that is known.
        """
        if one == other:
            return Relation(Tie.SAME, one, ())
        if one not in self._index or other not in self._index:
            return None
        pair = (self._index[one], self._index[other])
        above = [self._above(party) for party in pair]
        top = self._common_top(pair, above[0], above[1])
        if top is None:
            return None
        tie = Tie.HOLDS if top == pair[0] else Tie.HELD if top == pair[1] else Tie.COMMON
        # The group as found from its top alone, inside what lies above the two.
        joined = self._group([top], above[0] | above[1], pair)
        targets = [party for party in pair if party != top]
        return Relation(tie, self._names[top], self._links(top, joined, targets))

    def related_pairs(self, pairs: Iterable[tuple[str, str]]) -> list[Relation | None]:
        """Answer `related` for many pairs, each distinct pair once."""
        known: dict[tuple[str, str], Relation | None] = {}
        answers = []
        for pair in pairs:
            if pair not in known:
                known[pair] = self.related(*pair)
            answers.append(known[pair])
        return answers

    def share_ppm(self, holder: str, held: str) -> int:
        """Return what a party holds of another, directly and through those that it reaches, added up; ppm."""
        if holder not in self._index or held not in self._index or holder == held:
            return 0
        target = self._index[held]
        group = self._group([self._index[holder]], self._above(target))
        return sum(share for other, share, _ in self._up.row(target) if other in group and other != target)

    # Inside: parties are their places in the list of names.

    def _above(self, party: int) -> set[int]:
        """Return a party and all from whom it can be arrived at through holdings of any size, or control."""
        found, fresh = {party}, [party]
        while fresh:
            for other, share, control in self._up.row(fresh.pop()):
                if (share or control) and other not in found:
                    found.add(other)
                    fresh.append(other)
        return found

    def _group(self, tops: Sequence[int], inside: set[int], wanted: Collection[int] = ()) -> dict[int, list[int]]:
        """Return the group of some parties taken as one: each member with those members that brought it in.

        Only members of `inside` are looked at; a group that is cut to what lies above a party decides about that party
        as the whole group does. The search ends once everybody who is wanted, if anybody is, has joined.
        """
        missing = set(wanted) - set(tops)
        joined: dict[int, list[int]] = {top: [] for top in tops}
        shares: dict[int, int] = {}
        holders: dict[int, list[int]] = {}
        fresh = list(tops)
        for holder in fresh:  # grows while it is walked: nearest first, so that chains come out short
            for held, share, control in self._down.row(holder):
                if held in joined or held not in inside:
                    continue
                shares[held] = shares.get(held, 0) + (THRESHOLD_PPM if control else share)
                holders.setdefault(held, []).append(holder)
                if shares[held] >= THRESHOLD_PPM:
                    joined[held] = holders[held]
                    fresh.append(held)
                    missing.discard(held)
            if wanted and not missing:
                break
        return joined

    def _common_top(self, pair: tuple[int, int], above_one: set[int], above_other: set[int]) -> int | None:
        """Return a party whose group holds both; one of the two themselves if there is such a one."""
        inside = above_one | above_other
        for top in pair:
            if top in above_one & above_other and self._reaches([top], pair, inside):
                return top
        candidates = sorted(above_one & above_other - set(pair))
        return self._first_reaching(pair, self._highest(candidates), inside)

    def _reaches(self, tops: Sequence[int], pair: tuple[int, int], inside: set[int]) -> bool:
        return set(pair) <= self._group(tops, inside, pair).keys()

    def _first_reaching(self, pair: tuple[int, int], candidates: list[int], inside: set[int]) -> int | None:
        waiting = [candidates] if candidates else []
        while waiting:
            several = waiting.pop()
            # More tops reach no less: what all of them do not reach together, none reaches.
            if not self._reaches(several, pair, inside):
                continue
            if len(several) == 1:
                return several[0]
            middle = len(several) // 2
            waiting += [several[middle:], several[:middle]]
        return None

    def _highest(self, candidates: list[int]) -> list[int]:
        """Leave out candidates in whom another candidate holds 25 % or more: that one's group contains theirs.

        Of a circle of such holdings the first stays.
        """
        among = set(candidates)
        kept: list[int] = []
        covered: set[int] = set()
        held = {c for c in candidates if any(h in among for h in self._strong_holders(c))}
        for top in [*(c for c in candidates if c not in held), *(c for c in candidates if c in held)]:
            if top in covered:
                continue
            kept.append(top)
            fresh = [top]
            covered.add(top)
            while fresh:
                for other, share, control in self._down.row(fresh.pop()):
                    if (share >= THRESHOLD_PPM or control) and other in among and other not in covered:
                        covered.add(other)
                        fresh.append(other)
        return kept

    def _strong_holders(self, party: int) -> Iterator[int]:
        for other, share, control in self._up.row(party):
            if share >= THRESHOLD_PPM or control:
                yield other

    def _links(self, top: int, joined: Mapping[int, list[int]], targets: Sequence[int]) -> tuple[Link, ...]:
        """Return how the targets were reached, without what was not needed for them; from the top down."""
        needed: dict[int, Link] = {}
        fresh = list(targets)
        while fresh:
            party = fresh.pop()
            if party == top or party in needed:
                continue
            link = self._link(party, set(joined[party]))
            needed[party] = link
            fresh += [self._index[h.holder] for h in link.holdings]
        place = {party: i for i, party in enumerate(joined)}
        return tuple(needed[party] for party in sorted(needed, key=place.__getitem__))

    def _link(self, party: int, holders: set[int]) -> Link:
        """Return the fewest holdings of some holders that reach a party."""
        rows = [(share, control, h) for h, share, control in self._up.row(party) if h in holders]
        rows.sort(key=lambda row: (not row[1], -row[0], row[2]))
        taken, total = [], 0
        for share, control, holder in rows:
            taken.append(Holding(self._names[holder], self._names[party], share, control))
            total += THRESHOLD_PPM if control else share
            if total >= THRESHOLD_PPM:
                break
        return Link(self._names[party], tuple(taken))


class _Rows:
    """Holdings by one of their two sides."""

    def __init__(
        self,
        sides: tuple[NDArray[np.int64], NDArray[np.int64]],
        shares: NDArray[np.int64],
        control: NDArray[np.bool_],
        parties: int,
    ) -> None:
        side, other = sides
        order = np.lexsort((other, side))
        self.other, self._shares, self._control = other[order], shares[order], control[order]
        self._begin = np.searchsorted(side[order], np.arange(parties + 1))

    def row(self, party: int) -> Iterator[tuple[int, int, bool]]:
        """Yield the other side, share and control of a party's holdings, by the other side's name."""
        part = slice(self._begin[party], self._begin[party + 1])
        return zip(self.other[part].tolist(), self._shares[part].tolist(), self._control[part].tolist(), strict=True)


def parse_ownership(table: RawTable, problems: ProblemList) -> Ownership:
    """Check a table of holdings.

    Parameters
    ----------
    table : columns `holder`, `held`, `share` (0 to 1, at most six decimals) and, if it is there, `control`
    problems : takes every problem: unknown or missing columns, bad cells, a pair that stands twice, a party that holds
        itself, a party of which more than all is held

    Returns
    -------
    the holdings without the rows that have a problem
    """
    frame = table.frame
    known = (*COLUMNS, CONTROL)
    for name in frame.columns:
        if name not in known:
            expected = Text(f"one of {', '.join(known)}", f"以下之一：{', '.join(known)}")
            problems.add(Problem("unknown-column", table.file, 1, name, shown(name), expected))
    missing = [name for name in COLUMNS if name not in frame.columns]
    for name in missing:
        expected = Text(f"a column {name}", f"列 {name}")
        problems.add(Problem("missing-column", table.file, 1, name, "no such column", expected))
    if missing:
        return Ownership(())
    parsed = pl.DataFrame(
        {
            "holder": _ids(table, "holder", problems),
            "held": _ids(table, "held", problems),
            "share": _mapped(table, "share", _share, pl.Int64(), _SHARE, problems),
            "control": _controls(table, problems),
        }
    ).with_row_index("row")
    fine = parsed.drop_nulls()
    fine = _without(fine, pl.col("holder") == pl.col("held"), table, "own-holding", "held", _OTHER, problems)
    again = pl.struct("holder", "held").is_duplicated() & ~pl.struct("holder", "held").is_first_distinct()
    fine = _without(fine, again, table, "duplicate", "held", _TWICE, problems)
    _check_sums(fine, table, problems)
    return Ownership._of(fine.drop("row"))


_OTHER = Text("a party other than the holder", "与持有方不同的主体")
_TWICE = Text("each pair of holder and held once", "同一持有方与被持有方只出现一次")


def _without(
    frame: pl.DataFrame, wrong: pl.Expr, table: RawTable, code: str, field: str, expected: Text, problems: ProblemList
) -> pl.DataFrame:
    """Report rows and leave them out."""
    for row, found in frame.filter(wrong).select("row", field).iter_rows():
        problems.add(Problem(code, table.file, table.row(row), field, shown(found), expected))
    return frame.filter(~wrong)


def _check_sums(frame: pl.DataFrame, table: RawTable, problems: ProblemList) -> None:
    """Report parties of which more than all is held, beyond what rounding of the single shares explains."""
    sums = frame.group_by("held", maintain_order=True).agg(
        pl.col("share").sum(), pl.len().alias("rows"), pl.col("row").last()
    )
    over = sums.filter(pl.col("share") > MICRO + _ROUNDED_PPM * pl.col("rows").cast(pl.Int64))
    for held, share, _, row in over.iter_rows():
        found = f"{share / MICRO:g} of {shown(held)} in all"
        expected = Text("shares of one party that add up to at most 1", "同一主体的持股比例合计不超过 1")
        problems.add(Problem("too-much-held", table.file, table.row(row), "share", found, expected))


def _texts(table: RawTable, name: str) -> pl.Series:
    """Return a column as stripped text, empty where it says nothing; a parquet file may hold numbers."""
    cells = table.frame[name]
    text = cells if cells.dtype == pl.String else cells.cast(pl.String, strict=False)
    return text.fill_null("").str.strip_chars()


def _ids(table: RawTable, name: str, problems: ProblemList) -> pl.Series:
    text = _texts(table, name)
    fine = text.str.contains(r"^[^\p{C}]{1,200}$")
    for row in (~fine).arg_true():
        problems.add(Problem("bad-type", table.file, table.row(row), name, shown(text[row]), _ID))
    return pl.select(pl.when(fine).then(text)).to_series()


def _mapped(
    table: RawTable,
    name: str,
    parse: Callable[[str], object],
    dtype: pl.DataType,
    expected: Text,
    problems: ProblemList,
) -> pl.Series:
    """Parse a column, each distinct text once: tables of a million holdings have few different shares."""
    text = _texts(table, name)
    distinct = text.unique()
    values = {cell: parse(cell) for cell in distinct}
    parsed = text.replace_strict(list(values), list(values.values()), return_dtype=dtype, default=None)
    for row in parsed.is_null().arg_true():
        fix = None
        if name == "share" and text[row].endswith(("%", "％")):
            fix = Text("write 0.25 for 25 %", "25% 请写作 0.25")
        problems.add(Problem("bad-share", table.file, table.row(row), name, shown(text[row]), expected, fix))
    return parsed


def _share(text: str) -> int | None:
    ppm = parse_micro(text)
    return ppm if ppm is not None and 0 <= ppm <= MICRO else None


def _controls(table: RawTable, problems: ProblemList) -> pl.Series:
    if CONTROL not in table.frame.columns:
        return pl.Series([False] * table.frame.height, dtype=pl.Boolean())
    return _mapped(table, CONTROL, _control, pl.Boolean(), _FLAG, problems)


def _control(text: str) -> bool | None:
    lower = text.lower()
    return True if lower in _TRUE else False if lower in _FALSE else None
