"""The ladder of cultivation (梯度培育): which titles an enterprise can hold, and on which step it stands.

The steps are data (`catalog/data/ladder.yaml`), with the same conditions and clauses as programmes. A step that a
source only names has no conditions: whether an enterprise fits it cannot be told, only whether it holds the title.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem, did_you_mean, sorted_problems
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome, combined, outcome_of
from dujiang.policy.parse_conditions import note_repeated_ids, parse_conditions
from dujiang.policy.programme import Asked, Basis, Clause, Condition, ConditionGroup, Level, Op, Quality, leaves
from dujiang.policy.reader import Fields, Reader, one_of
from dujiang.policy.shape import CLAUSE, FACT, ID, MAX_NAME, Shape
from dujiang.registry.book import Fact

TRACKS = ("technology", "specialised")
_STEP = Shape(
    (
        *("id", "track", "after", "level", "name", "fact", "kind", "certifier", "document", "document_no"),
        *("valid_years", "verified", "clauses", "conditions", "left_open"),
    )
)
_AFTER = Shape(("step",), ("clause", "assumption"))
_LADDER = Shape(("version", "steps"))


class Stand(StrEnum):
    """How an enterprise stands to a step; the first that applies, in this order."""

    HELD = "held"
    """It holds the title."""
    PASSED = "passed"
    """It holds a title above, so there is no need to go for this one."""
    NOT_DEFINED = "not_defined"
    """It does not, or nobody said, and no condition is known by which it could be judged."""
    NOT_YET = "not_yet"
    """A condition is not met."""
    UNKNOWN = "unknown"
    """No condition is known not to be met, but facts are missing."""
    OPEN = "open"
    """All conditions that could be read are met, and there are others that could not."""
    WITHIN_REACH = "within_reach"
    """All conditions are met: it can apply."""


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One title."""

    id: str
    track: str
    """`technology` or `specialised`: titles of one track build on each other."""
    name: Text
    fact: str
    """The fact that states that the title is held."""
    kind: str | None
    """The value of the fact `kind` by which programmes ask for it; None: none does."""
    after: str | None
    """Id of the step below; None: an entry, or no order is stated."""
    after_basis: Basis | None
    """On what the order rests; None only without `after`."""
    level: Level | None
    """The level that gives the title; None: not stated."""
    certifier: Text | None
    """Who gives it; None: not stated."""
    document: str | None
    document_no: str | None
    valid_years: int | None
    """Years for which it is given; None: not stated."""
    verified: bool
    clauses: tuple[Clause, ...]
    conditions: tuple[Asked, ...]
    """Empty: a source names the title and does not define it."""
    left_open: Text | None
    """What the sources leave open; None: nothing that is known of."""

    def facts(self) -> tuple[str, ...]:
        """Return every fact that the step asks, each once, the title itself first."""
        return tuple(dict.fromkeys((self.fact, *(c.fact for c in leaves(self.conditions)))))


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """How one enterprise stands to one step."""

    step: LadderStep
    stand: Stand
    outcomes: tuple[tuple[Asked, Outcome], ...]
    """Each condition with its outcome, in the order of the file."""
    needs_facts: tuple[str, ...]
    """Facts without which a condition cannot be judged; empty where the title is held or passed."""
    is_next: bool
    """Whether it is a step to go for: defined, neither held nor passed, and the step below is, or there is none that
    could be gone for first."""


@cache
def ladder() -> tuple[LadderStep, ...]:
    """Return the steps in the order of the file: track by track, from the entry upwards.

    A mistake in the file is our own, which a test finds; a user never meets it.
    """
    name = "ladder.yaml"
    marked, problems = read_yaml(name, files("dujiang.catalog").joinpath("data", name).read_text(encoding="utf-8"))
    assert marked is not None, problems
    steps, problems = parse_ladder(marked)
    assert not problems, problems
    return steps


def parse_ladder(marked: Marked) -> tuple[tuple[LadderStep, ...], list[Problem]]:
    """Read a ladder.

    Returns
    -------
    the steps without a problem, and every problem found
    """
    reader = Reader(marked)
    f = reader.fields(marked.value, "", _LADDER)
    f.day("version")
    read = [(path, _step(reader.fields(item, path, _STEP))) for path, item in f.items("steps")]
    steps: dict[str, LadderStep] = {}
    for path, step in read:
        if step is None:
            continue
        if step.id in steps:
            reader.note("duplicate-id", f"{path}.id", step.id, Text("each id once", "每个 id 只出现一次"))
        elif step.after is not None and step.after not in steps:
            # Asking for a step above it in the file also keeps the ladder free of rings.
            expected = one_of(steps)
            reader.note("no-such-step", f"{path}.after.step", step.after, expected, did_you_mean(step.after, steps))
        steps.setdefault(step.id, step)
    return tuple(steps.values()), sorted_problems(reader.problems)


def standings(facts: Mapping[str, Fact], steps: tuple[LadderStep, ...] | None = None) -> tuple[StepAnswer, ...]:
    """Tell how an enterprise stands to every step.

    Parameters
    ----------
    facts : what is known of the enterprise; money in micro-yuan. The fact `kind` also states a title that goes with it
    steps : the ladder; None: the catalogue's

    Returns
    -------
    one answer per step, in the order of the ladder
    """
    asked = ladder() if steps is None else steps
    held = {step.id for step in asked if _is_held(step, facts)}
    passed: set[str] = set()
    for step in reversed(asked):  # from the top down, so that a step far below a title is reached, too
        if step.after is not None and step.id in held | passed:
            passed.add(step.after)
    # A step without conditions is nothing that a firm can go for, so it keeps nobody from the one above.
    climbed = held | passed | {step.id for step in asked if not step.conditions}
    return tuple(_answer(step, facts, held, passed, climbed) for step in asked)


def _is_held(step: LadderStep, facts: Mapping[str, Fact]) -> bool:
    title = Condition("title", step.fact, Op.IS, True, step.name, Basis(None, None))
    of_that_kind = step.kind is not None and facts.get("kind") == step.kind
    return of_that_kind or outcome_of(title, facts) is Outcome.MET


def _answer(
    step: LadderStep, facts: Mapping[str, Fact], held: set[str], passed: set[str], climbed: set[str]
) -> StepAnswer:
    outcomes = tuple((item, outcome_of(item, facts)) for item in step.conditions)
    stand = Stand.HELD if step.id in held else Stand.PASSED if step.id in passed else None
    return StepAnswer(
        step=step,
        stand=stand or _stand(step, [outcome for _, outcome in outcomes]),
        outcomes=outcomes,
        needs_facts=() if stand else tuple(dict.fromkeys(_unknown(step.conditions, facts))),
        is_next=stand is None and bool(step.conditions) and (step.after is None or step.after in climbed),
    )


def _stand(step: LadderStep, outcomes: list[Outcome]) -> Stand:
    if not outcomes:
        return Stand.NOT_DEFINED
    together = combined(outcomes)
    if together is Outcome.NOT_MET:
        return Stand.NOT_YET
    if together is Outcome.UNKNOWN:
        return Stand.UNKNOWN
    return Stand.WITHIN_REACH if step.left_open is None else Stand.OPEN


def _unknown(items: tuple[Asked, ...], facts: Mapping[str, Fact]) -> Iterator[str]:
    for item in items:
        if outcome_of(item, facts) is not Outcome.UNKNOWN:
            continue
        if isinstance(item, ConditionGroup):
            yield from _unknown(item.members, facts)
        else:
            yield item.fact


def _step(f: Fields) -> LadderStep | None:
    """Read one step; what is None here without being allowed to be has been noted."""
    clauses = _clauses(f)
    f.reader.clause_keys = tuple(clause.key for clause in clauses)
    conditions = parse_conditions(f, "conditions")
    note_repeated_ids(f.reader, f.items("conditions") if isinstance(f.raw("conditions"), list) else ())
    after = f.part("after", _AFTER, lambda a: (a.text("step"), a.basis()))
    words = Text("lower-case letters, digits and single hyphens", "小写字母、数字和单个连字符")
    needed = {
        "id": f.key("id", ID, MAX_NAME, words, "bad-id"),
        "track": f.word("track", TRACKS),
        "name": f.bilingual("name"),
        "fact": f.key("fact", FACT, MAX_NAME, Text("the name of a fact", "事实名称"), "bad-fact"),
        "verified": f.flag("verified"),
    }
    rest = {
        "kind": f.text("kind", nullable=True),
        "level": f.choice("level", Level, nullable=True),
        "certifier": f.bilingual("certifier", nullable=True),
        "document": f.text("document", nullable=True),
        "document_no": f.text("document_no", nullable=True),
        "valid_years": f.whole("valid_years", 1, 100),
        "left_open": f.bilingual("left_open", nullable=True),
    }
    if not conditions and f.has("left_open") and not f.given("left_open"):
        f.note("bad-value", "left_open", Text("why there are no conditions", "没有条件的原因"))
    if any(part is None for part in needed.values()):
        return None
    return LadderStep(
        **needed,  # type: ignore[arg-type]  # none of them is None, which the dict's type cannot say
        **rest,  # type: ignore[arg-type]
        after=None if after is None else after[0],
        after_basis=None if after is None else after[1],
        clauses=clauses,
        conditions=conditions,
    )


def _clauses(f: Fields) -> tuple[Clause, ...]:
    value = f.raw("clauses")
    if not isinstance(value, dict):
        f.needed("clauses")
        return ()
    return tuple(
        _clause(f.reader.fields(item, f.at(f"clauses.{key}"), CLAUSE), str(key)) for key, item in value.items()
    )


def _clause(c: Fields, key: str) -> Clause:
    quality = c.choice("quality", Quality) or Quality.LOW
    return Clause(key, c.text("text") or "", bool(c.flag("verbatim")), c.text("source") or "", quality)
