"""The YAML cases beside a programme: one firm, one purchase, one day, and what is expected of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from dujiang.core.marked import Marked
from dujiang.core.money import cny
from dujiang.core.problem import Problem, did_you_mean, sorted_problems
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Binding, Claimed, Evaluation, GroupAnswer, Status, evaluate
from dujiang.policy.parse import stored_fact
from dujiang.policy.programme import Programme
from dujiang.policy.quote import spend_of
from dujiang.policy.reader import LIST, TEXT, Fields, Reader, as_micro, one_of
from dujiang.policy.rules import percent
from dujiang.policy.shape import Shape
from dujiang.policy.stack import Held, Offer, best_stack
from dujiang.policy.stated import stored_value
from dujiang.registry.book import Fact

_FILE = Shape(("programme", "cases"), ("defaults",))
_DEFAULTS = Shape((), ("on", "firm", "spend", "claims"))
_CASE = Shape(("name", "expect"), ("on", "firm", "spend", "claims", "held", "together"))
_CLAIMS = Shape((), ("cap_used_cny", "budget_used_cny"))
_EXPECT = Shape(("status",), ("amount_cny", "binding", "share", "unmet", "needs", "raises", "stack"))
_LISTS = ("unmet", "needs", "raises")
MAX_CASES = 1000
"""Cases of one file."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case names; only that is compared."""

    status: Status
    amount_ucny: int | None
    binding: Binding | None
    share_ppm: int | None
    unmet: frozenset[str] | None
    """Ids of exactly the conditions that are not met, groups as one."""
    needs: frozenset[str] | None
    """Names as in records."""
    raises: frozenset[str] | None
    stack: Mapping[str, int] | None
    """Micro-yuan by id."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case, with the defaults of its file laid under it."""

    name: str
    line: int | None
    on: date
    facts: Mapping[str, Fact]
    cap_used_ucny: int
    """Counts towards every cap of the programme, whatever its period."""
    budget_used_ucny: int
    held: tuple[str, ...]
    """Ids that the firm holds already for the same contract."""
    together: tuple[str, ...]
    """Ids that are asked as well."""
    expect: Expected


class Difference(NamedTuple):
    """One thing that a case expects and does not get."""

    field: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case went."""

    case: Case
    differences: tuple[Difference, ...]
    """Empty: it holds."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one programme."""

    file: str
    programme: str
    cases: tuple[Case, ...]


def parse_cases(marked: Marked, known: Mapping[str, object]) -> tuple[CaseFile | None, list[Problem]]:
    """Read a file of cases.

    Parameters
    ----------
    marked : the document
    known : programmes by id

    Returns
    -------
    the cases, or None and every problem
    """
    parser = _Parser(marked, known)
    cases = parser.cases()
    problems = sorted_problems(parser.reader.problems)
    programme = marked.value.get("programme") if isinstance(marked.value, dict) else None
    if problems or not isinstance(programme, str):
        return None, problems
    return CaseFile(marked.file, programme, cases), []


def run_case(case: Case, programme: Programme, programmes: Mapping[str, Programme]) -> Verdict:
    """Ask what a case asks, and compare.

    Parameters
    ----------
    programme : the one whose cases these are
    programmes : all by id, for those that are held or asked together with it
    """
    found = _evaluate(case, programme, own=True)
    differences = list(_compared(case.expect, found))
    if case.expect.stack is not None:
        offers = [Offer(programme, found, _budget_left(case, programme))]
        offers += [Offer(programmes[key], _evaluate(case, programmes[key], own=False)) for key in case.together]
        stack = best_stack(offers, spend_of(case.facts), [Held(key, programmes[key]) for key in case.held])
        chosen = {c.programme_id: c.amount_ucny for c in stack.chosen}
        if chosen != dict(case.expect.stack):
            differences.append(Difference("stack", _amounts(case.expect.stack), _amounts(chosen)))
    return Verdict(case, tuple(differences))


def _evaluate(case: Case, programme: Programme, *, own: bool) -> Evaluation:
    """Evaluate one programme; what was claimed before concerns the case's own programme alone."""
    used = case.cap_used_ucny if own else 0
    claimed = Claimed(used, used, used, used, used)
    left = _budget_left(case, programme) if own else None
    return evaluate(programme, case.facts, on=case.on, claimed=claimed, budget_left_ucny=left)


def _budget_left(case: Case, programme: Programme) -> int | None:
    return None if programme.budget is None else max(0, programme.budget.amount_ucny - case.budget_used_ucny)


def _compared(expect: Expected, found: Evaluation) -> Iterator[Difference]:
    if expect.status is not found.status:
        yield Difference("status", expect.status, found.status)
    if expect.amount_ucny is not None and expect.amount_ucny != found.amount_ucny:
        yield Difference("amount_cny", cny(expect.amount_ucny), cny(found.amount_ucny))
    if expect.binding is not None and expect.binding is not found.binding:
        yield Difference("binding", expect.binding, found.binding)
    if expect.share_ppm is not None and expect.share_ppm != found.share_ppm:
        got = "none" if found.share_ppm is None else percent(found.share_ppm)
        yield Difference("share", percent(expect.share_ppm), got)
    unmet = {_id(a) for a in found.answers if a.outcome is Outcome.NOT_MET}
    for name, wanted, got_ids in (
        ("unmet", expect.unmet, unmet),
        ("needs", expect.needs, set(found.needs_facts)),
        ("raises", expect.raises, set(found.would_raise)),
    ):
        if wanted is not None and wanted != got_ids:
            yield Difference(name, _listed(wanted), _listed(got_ids))


def _id(answer: Any) -> str:
    name: str = answer.group.id if isinstance(answer, GroupAnswer) else answer.condition.id
    return name


def _listed(names: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _amounts(stack: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {cny(amount)}" for key, amount in sorted(stack.items())) or "nothing"


class _Parser:
    """Reads one file; each method returns None where a problem stands in the way."""

    def __init__(self, marked: Marked, known: Mapping[str, object]) -> None:
        self.reader = Reader(marked)
        self._marked = marked
        self._known = known

    def cases(self) -> tuple[Case, ...]:
        """Read the whole file."""
        f = self.reader.fields(self._marked.value, "", _FILE)
        f.word("programme", self._known)
        under = f.inner("defaults", _DEFAULTS) if f.given("defaults") else Fields(self.reader, "defaults", {})
        firm, spend = self.facts(under, "firm"), self.facts(under, "spend")
        on = under.day("on", nullable=True)
        used = self.claims(under)
        seen: set[str] = set()
        found = []
        for path, item in f.items("cases", MAX_CASES):
            c = self.reader.fields(item, path, _CASE)
            name = c.text("name")
            if name in seen:
                c.note("duplicate-name", "name", Text("each name once", "每个名称只出现一次"))
            seen.add(name or "")
            case = self.case(c, name, on, {**firm, **spend}, used)
            if case is not None:
                found.append(case)
        if f.given("cases") and f.raw("cases") == []:
            f.note("bad-value", "cases", Text("at least one", "至少一项"))
        return tuple(found)

    def case(
        self,
        c: Fields,
        name: str | None,
        on: date | None,
        under: Mapping[str, Fact | None],
        used: Mapping[str, int],
    ) -> Case | None:
        """Read one case over the defaults of its file."""
        facts = {**under, **self.facts(c, "firm"), **self.facts(c, "spend")}
        claims = {**used, **self.claims(c)}
        day = c.day("on", nullable=True) or on
        if day is None:
            self.reader.note(
                "missing-field", c.at("on"), None, Text("a day, here or in defaults", "日期（或写在 defaults）")
            )
        held, together = self.ids(c, "held"), self.ids(c, "together")
        expect = self.expected(c)
        if name is None or day is None or expect is None:
            return None
        return Case(
            name=name,
            line=self._marked.lines.get(c.path),
            on=day,
            facts={key: value for key, value in facts.items() if value is not None},
            cap_used_ucny=claims.get("cap_used_cny", 0),
            budget_used_ucny=claims.get("budget_used_cny", 0),
            held=held,
            together=together,
            expect=expect,
        )

    def facts(self, f: Fields, name: str) -> dict[str, Fact | None]:
        """Read facts by their names in records; None takes one away."""
        value = f.raw(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            f.note("bad-type", name, Text("facts as name: value", "以“名称: 值”给出的事实"))
            return {}
        found: dict[str, Fact | None] = {}
        for key, item in value.items():
            stored = None if item is None else stored_value(str(key), item)
            if isinstance(stored, Text):
                self.reader.note("bad-type", f"{f.at(name)}.{key}", item, stored)
            else:
                found[stored_fact(str(key))] = stored
        return found

    def claims(self, f: Fields) -> dict[str, int]:
        """Read what was claimed before."""
        if not f.given("claims"):
            return {}
        c = f.inner("claims", _CLAIMS)
        amounts = {name: c.amount_ucny(name, zero=True, nullable=True) for name in _CLAIMS.optional}
        return {name: amount for name, amount in amounts.items() if amount is not None}

    def ids(self, f: Fields, name: str) -> tuple[str, ...]:
        """Read ids of programmes."""
        if f.raw(name) == []:
            return ()
        found = f.names(name)
        for key in found:
            if key not in self._known:
                words = Text("ids of programmes in the catalogue", "目录中的政策编号")
                self.reader.note("no-such-programme", f.at(name), key, words, did_you_mean(key, self._known))
        return found

    def expected(self, c: Fields) -> Expected | None:
        """Read what is expected."""
        if not c.needed("expect"):
            return None
        e = c.inner("expect", _EXPECT)
        status = e.choice("status", Status)
        amount = e.amount_ucny("amount_cny", zero=True, nullable=True)
        if status is Status.OK and not e.given("amount_cny"):
            self.reader.note("missing-field", e.at("amount_cny"), None, Text("the amount", "金额"))
        sets = {name: self.names(e, name) for name in _LISTS}
        binding = e.choice("binding", Binding, nullable=True)
        share = e.share_ppm("share", zero=True) if e.given("share") else None
        stack = self.stack(e)
        if status is None:
            return None
        return Expected(status, amount, binding, share, sets["unmet"], sets["needs"], sets["raises"], stack)

    def names(self, f: Fields, name: str) -> frozenset[str] | None:
        """Read a set of names, which may be empty; facts are named as in files."""
        value = f.raw(name)
        if value is None:
            return None
        if not isinstance(value, list):
            f.note("bad-type", name, LIST)
            return None
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.reader.note("bad-type", f"{f.at(name)}.{index}", item, TEXT)
        return frozenset(stored_fact(item) for item in value if isinstance(item, str))

    def stack(self, f: Fields) -> dict[str, int] | None:
        """Read the chosen set with its amounts."""
        value = f.raw("stack")
        if value is None:
            return None
        if not isinstance(value, dict):
            f.note("bad-type", "stack", Text("amounts by id", "以“编号: 金额”给出"))
            return None
        amounts = {}
        for key, item in value.items():
            ucny = as_micro(item)
            if key not in self._known:
                self.reader.note("no-such-programme", f.at("stack"), key, one_of(self._near(key)))
            elif ucny is None or ucny <= 0:
                expected = Text("an amount in yuan above 0", "大于 0 的金额（元）")
                self.reader.note("bad-amount", f"{f.at('stack')}.{key}", item, expected)
            else:
                amounts[str(key)] = ucny
        return amounts

    def _near(self, key: object) -> Sequence[str]:
        near = [name for name in self._known if isinstance(key, str) and name.startswith(key[:2])]
        return near or list(self._known)[:5]
