"""One firm and one purchase asked of every programme: the answers, and the best lawful stack of those that pay."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

from dujiang.core.problem import Problem, did_you_mean, shown
from dujiang.core.text import Text
from dujiang.policy.claims import Claims, Purchase
from dujiang.policy.condition import Outcome, judge
from dujiang.policy.evaluate import Evaluation, Status, evaluate
from dujiang.policy.known_facts import known_facts
from dujiang.policy.programme import Base, Basis, Condition, Op, Programme
from dujiang.policy.related import Ownership, Relation
from dujiang.policy.stack import Offer, Stack, best_stack
from dujiang.registry.book import Fact

DEFAULTS: Mapping[str, Fact] = {"self_built": False}
"""True of every purchase, unless its file says otherwise: what is bought is not built by the buyer."""
RELATED = "related_party"
_KEYS = frozenset(("contract_id", "project_id", "seller_id", "date"))
"""Facts that tie a purchase to other files, beside those that conditions ask."""

ORDER = (
    *(Status.OK, Status.UNKNOWN, Status.EXHAUSTED, Status.INELIGIBLE, Status.NOT_YET, Status.EXPIRED),
    Status.NOT_COMPUTABLE,
)
"""In which order answers are shown: what pays first, then what could."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One programme's answer."""

    programme: Programme
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Quote:
    """All answers to one purchase."""

    on: date
    answers: tuple[Answered, ...]
    """By `ORDER`; in it the larger amount first, then by id."""
    stack: Stack
    relation: Relation | None
    """How seller and buyer are related; None: not by what is known."""


def quote(
    programmes: Iterable[Programme],
    facts: Mapping[str, Fact],
    *,
    on: date,
    claims: Claims | None = None,
    relation: Relation | None = None,
) -> Quote:
    """Ask every programme, and find the best lawful stack.

    Parameters
    ----------
    programmes : one version of each
    facts : what is known of firm and purchase, money in micro-yuan; `DEFAULTS` stand behind them
    on : civil date in Asia/Shanghai
    claims : what was claimed before; None: nothing
    relation : how buyer and seller are related, as `with_relation` found it; only passed on
    """
    claims = claims or Claims()
    known = {**DEFAULTS, **facts}
    purchase = Purchase(_word(known, "enterprise_id"), _word(known, "contract_id"), _word(known, "project_id"), on)
    by_id = {p.id: p for p in programmes}
    offers = [_offer(p, known, purchase, claims) for p in by_id.values()]
    stack = best_stack(offers, spend_of(known), claims.held(purchase, by_id))
    answers = sorted((Answered(o.programme, o.evaluation) for o in offers), key=_place)
    return Quote(on, tuple(answers), stack, relation)


def _offer(programme: Programme, facts: Mapping[str, Fact], purchase: Purchase, claims: Claims) -> Offer:
    left = claims.budget_left_ucny(programme, purchase.day)
    claimed = claims.claimed(programme, purchase)
    evaluation = evaluate(programme, facts, on=purchase.day, claimed=claimed, budget_left_ucny=left)
    return Offer(programme, evaluation, left)


def _place(answer: Answered) -> tuple[int, int, str]:
    e = answer.evaluation
    return ORDER.index(e.status), -max(e.amount_ucny, e.would_pay_ucny), e.programme_id


def spend_of(facts: Mapping[str, Fact]) -> dict[Base, int]:
    """Return the amounts that a purchase states, by what they are."""
    amounts = {base: facts.get(f"{base.value}_ucny") for base in Base}
    return {base: a for base, a in amounts.items() if isinstance(a, int) and not isinstance(a, bool) and a >= 0}


def _word(facts: Mapping[str, Fact], name: str) -> str | None:
    """Return an id as the tables write it: YAML reads one that is all digits as a number."""
    value = facts.get(name)
    return None if value is None or isinstance(value, bool) else str(value).strip() or None


def with_relation(
    facts: Mapping[str, Fact], ownership: Ownership
) -> tuple[dict[str, Fact], Relation | None, list[Problem]]:
    """Let a table of holdings say whether the seller is a related party of the buyer.

    What the purchase states itself stays, unless the table shows a relation that it denies: then the stricter counts,
    and the contradiction is a problem that is shown. A table that does not know one of the two says nothing. That it
    shows none does not contradict a stated relation, since there are others than holdings.

    Returns
    -------
    the facts with `related_party`, the relation that the table shows, and what is to be shown
    """
    buyer, seller = _word(facts, "enterprise_id"), _word(facts, "seller_id")
    if buyer is None or seller is None:
        name = "enterprise_id" if buyer is None else "seller_id"
        file = "firm" if buyer is None else "spend"
        expected = Text("an id, to look it up in the ownership table", "编号，以便查股权表")
        return dict(facts), None, [Problem("missing-field", file, None, name, "nothing", expected)]
    relation = ownership.related(buyer, seller)
    if relation is None:
        return _without_relation(facts, ownership, buyer, seller)
    stated = judge(_STATED, facts.get(RELATED))
    problems = []
    if stated is Outcome.MET:
        expected = Text(f"true: {relation.text.en}", f"true：{relation.text.zh}")
        fix = Text("the stricter counts: related", "从严认定为关联方")
        problems.append(Problem("contradictory-fact", "spend", None, RELATED, "false", expected, fix))
    return {**facts, RELATED: True}, relation, problems


_STATED = Condition(RELATED, RELATED, Op.IS, False, Text("", ""), Basis(None, None))
"""Met where a file says that the seller is no related party."""


def _without_relation(
    facts: Mapping[str, Fact], ownership: Ownership, buyer: str, seller: str
) -> tuple[dict[str, Fact], None, list[Problem]]:
    if facts.get(RELATED) is not None:
        return dict(facts), None, []
    unknown = [party for party in (buyer, seller) if party not in ownership]
    if not unknown:
        return {**facts, RELATED: False}, None, []
    expected = Text(
        "a party of the ownership table; whether they are related stays open", "股权表中的主体；是否关联仍未知"
    )
    return dict(facts), None, [
        Problem("unknown-party", "ownership", None, None, shown(party), expected) for party in unknown
    ]  # fmt: skip


def unasked(facts: Iterable[str], programmes: Iterable[Programme]) -> dict[str, Text]:
    """Return the facts that nobody asks, each with what was probably meant; such a name is most often a slip.

    Parameters
    ----------
    facts : names as in records
    """
    asked = {c.fact for p in programmes for c in p.asked()}
    known = {fact.stored for fact in known_facts().values()} | asked | _KEYS
    known |= {name for base in Base for name in base.facts}
    words = [_in_file(name) for name in sorted(known)]
    return {name: _not_asked(_in_file(name), words) for name in facts if name not in known}


def unusual(facts: Mapping[str, Fact], programmes: Iterable[Programme]) -> list[Text]:
    """Return a remark on every stated word that neither the list of facts nor a programme knows: most often a slip."""
    asked: dict[str, set[str]] = {}
    for programme in programmes:
        for c in programme.asked():
            values = c.value if isinstance(c.value, tuple) else (c.value,)
            asked.setdefault(c.fact, set()).update(value for value in values if isinstance(value, str))
    remarks = []
    for name, value in facts.items():
        fact = known_facts().get(name)
        if fact is None or not fact.values or not isinstance(value, str):
            continue
        if value not in (*fact.values, *asked.get(name, ())):
            remarks.append(_unusual_word(name, value, fact.values))
    return remarks


def _unusual_word(name: str, value: str, usual: tuple[str, ...]) -> Text:
    near = get_close_matches(value, usual, n=1) or [word for word in usual if value.casefold() in word][:1]
    words = ", ".join(near or usual)
    return Text(
        f"no programme knows {name} {shown(value)}; did you mean {words}?",
        f"没有政策用到 {name} 的取值 {shown(value)}，是否应为 {words}？",
    )


def _not_asked(name: str, words: list[str]) -> Text:
    said, near = Text(f"no programme asks {name}", f"没有政策用到 {name}"), did_you_mean(name, words)
    return said if near is None else Text(f"{said.en}; {near.en}", f"{said.zh}，{near.zh}")


def _in_file(stored: str) -> str:
    return f"{stored.removesuffix('_ucny')}_cny" if stored.endswith("_ucny") else stored
