"""From a product file to a `Product`, from a bank's own terms to `OwnTerms`: strict, and all problems at once."""

import re
from collections.abc import Mapping
from typing import Any, Final

from dujiang.core.marked import Marked
from dujiang.core.money import FEN, MAX_UCNY, MICRO, parse_micro
from dujiang.core.problem import Problem, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.instrument import Kind, Repayment
from dujiang.finance.product import NEEDED, TERMS, OwnTerms, Product, Term, TermValue, shown_value
from dujiang.policy.parse import read_clause
from dujiang.policy.parse_conditions import note_repeated_ids, parse_conditions
from dujiang.policy.programme import Clause, Jurisdiction, Level
from dujiang.policy.reader import AMOUNT_OR_ZERO, FLAG, MAPPING, SHARE_OR_ZERO, Fields, Reader, as_micro
from dujiang.policy.shape import CONFIDENCE, ID, JURISDICTION, MAX_ITEMS, MAX_NAME, MAX_TEXT, Shape

PRODUCT: Final = Shape(
    (
        *("id", "version", "name", "kind", "issuer", "document", "dated", "jurisdiction", "facts", "verified"),
        *("confidence", "clauses", "conditions", "terms", "summary"),
    ),
    ("assumption", "notes", "not_offered"),
)
TERM: Final = Shape(("value",), ("example", "clause", "assumption"))
OWN: Final = Shape(("source",), ("products", "programmes"))
OWN_PROGRAMME: Final = Shape((), ("delay_months", "budget_left_cny"))
MAX_TERM_MONTHS: Final = 480
MAX_MULTIPLE: Final = 100
_DATED: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")

MULTIPLE = Text(f"a multiple above 0 and not above {MAX_MULTIPLE}", f"大于 0、不大于 {MAX_MULTIPLE} 的倍数")
MONTHS = Text(f"whole months from 0 to {MAX_TERM_MONTHS}", f"0 至 {MAX_TERM_MONTHS} 的整数月")
NAMES = Text("a list of names, each once", "名称列表，各出现一次")
NAME = Text("a name", "名称")
REPAYMENT = Text(f"one of {', '.join(Repayment)}", f"以下之一：{', '.join(Repayment)}")
_EXPECTED: Final = {
    "share": SHARE_OR_ZERO,
    "multiple": MULTIPLE,
    "money": AMOUNT_OR_ZERO,
    "months": MONTHS,
    "flag": FLAG,
    "name": NAME,
    "names": NAMES,
    "repayment": REPAYMENT,
}


def term_value(how: str, raw: object) -> TermValue | None:
    """Return a term as records hold it, None if it is none of its kind (`TermKind.how`)."""
    micro = parse_micro(raw) if isinstance(raw, str) else as_micro(raw)
    if how in ("share", "multiple", "money"):
        if micro is None:
            return None
        if how == "share":
            return micro if 0 <= micro <= MICRO else None
        if how == "multiple":
            return micro if 0 < micro <= MAX_MULTIPLE * MICRO else None
        return micro if 0 <= micro <= MAX_UCNY and micro % FEN == 0 else None
    if how == "months":
        whole = isinstance(raw, int) and not isinstance(raw, bool)
        return raw if whole and isinstance(raw, int) and 0 <= raw <= MAX_TERM_MONTHS else None
    if how == "flag":
        return raw if isinstance(raw, bool) else None
    if how == "names":
        fits = isinstance(raw, list) and raw and len(raw) <= MAX_ITEMS and all(map(_is_name, raw))
        return tuple(raw) if fits and isinstance(raw, list) and len(set(raw)) == len(raw) else None
    if not _is_name(raw) or (how == "repayment" and raw not in list(Repayment)):
        return None
    return str(raw)


def _is_name(raw: object) -> bool:
    return isinstance(raw, str) and bool(raw.strip()) and raw == raw.strip() and len(raw) <= MAX_NAME


def parse_product(marked: Marked) -> tuple[Product | None, list[Problem]]:
    """Read a product file.

    Parameters
    ----------
    marked : the parsed YAML with its lines

    Returns
    -------
    the product, or None and every problem found, in reading order
    """
    reader = Reader(marked)
    product = _product(reader, marked.value)
    problems = sorted_problems(reader.problems)
    return (None if problems else product), problems


def _product(reader: Reader, value: Any) -> Product | None:
    f = reader.fields(value, "", PRODUCT)
    clauses = _clauses(f)
    reader.clause_keys = tuple(clause.key for clause in clauses)
    conditions = parse_conditions(f, "conditions")
    note_repeated_ids(reader, f.items("conditions") if isinstance(f.raw("conditions"), list) else ())
    kind = f.choice("kind", Kind, nullable=True)
    assumption = f.bilingual("assumption", nullable=True)
    terms = _terms(f)
    not_offered = f.bilingual("not_offered", nullable=True)
    _check_offer(f, kind, terms, assumption, not_offered)
    expected = Text("lower-case letters, digits and single hyphens", "小写字母、数字和单个连字符")
    needed = {
        "id": f.key("id", ID, MAX_NAME, expected, "bad-id"),
        "version": f.day("version"),
        "name": f.bilingual("name"),
        "issuer": f.text("issuer"),
        "jurisdiction": _jurisdiction(f),
        "verified": f.flag("verified"),
        "confidence": f.word("confidence", CONFIDENCE),
        "summary": f.bilingual("summary"),
    }
    rest = {
        "document": f.text("document", nullable=True),
        "dated": _dated(f),
        "facts": f.names("facts"),
        "notes": f.bilingual("notes", nullable=True),
    }
    if any(part is None for part in needed.values()) or not clauses:
        return None
    return Product(
        **needed,  # type: ignore[arg-type]  # none of them is None, which the dict's type cannot say
        **rest,  # type: ignore[arg-type]
        kind=kind,
        clauses=clauses,
        conditions=conditions,
        terms=terms,
        assumption=assumption,
        not_offered=not_offered,
    )


def _clauses(f: Fields) -> tuple[Clause, ...]:
    """Read the pieces of the source; there is at least one."""
    value = f.raw("clauses")
    if not isinstance(value, dict) or not value or len(value) > MAX_ITEMS:
        if f.has("clauses"):
            f.note("bad-type", "clauses", Text("a mapping of one clause or more", "至少一条条款的映射"))
        return ()
    found = []
    for key, item in value.items():
        if not isinstance(key, str) or not key.strip() or len(key) > MAX_TEXT:
            f.reader.note("bad-id", "clauses", key, Text("a key that is a text", "文本形式的键"))
            continue
        found.append(read_clause(f.reader, key, item))
    return tuple(found)


def _jurisdiction(f: Fields) -> Jurisdiction | None:
    if not f.needed("jurisdiction"):
        return None
    place = f.inner("jurisdiction", JURISDICTION)
    level = place.choice("level", Level)
    return None if level is None else Jurisdiction(
        level, place.text("province", nullable=True), place.text("city", nullable=True)
    )  # fmt: skip


def _dated(f: Fields) -> str | None:
    """Read a day, a month or a year; YAML has read a day as a date and a year as a number."""
    raw = f.raw("dated")
    text = None if raw is None else str(raw)
    if text is not None and not _DATED.fullmatch(text):
        f.note("bad-date", "dated", Text("a day, a month or a year", "日期、年月或年份"))
    return text


def _terms(f: Fields) -> Mapping[str, Term]:
    raw = f.raw("terms")
    if not isinstance(raw, dict):
        if f.has("terms"):
            f.note("bad-type", "terms", MAPPING)
        return {}
    inner = f.inner("terms", Shape((), tuple(TERMS)))
    return {name: term for name in raw if name in TERMS and (term := _term(inner, name)) is not None}


def _term(terms: Fields, name: str) -> Term | None:
    """Read one term: a value with its clause, or an example."""
    t = terms.inner(name, TERM)
    how, expected = TERMS[name].how, _EXPECTED[TERMS[name].how]
    found: dict[str, TermValue | None] = {"value": None, "example": None}
    for key in found:
        if t.given(key):
            found[key] = term_value(how, t.raw(key))
            if found[key] is None:
                t.note("bad-term", key, expected)
    assumption = t.bilingual("assumption", nullable=True)
    clause = t.text("clause", nullable=True)
    if t.given("value") and t.given("example"):
        t.note("contradictory-term", "example", Text("no example beside a value", "已有数值时不写示例"))
    if t.given("value") and clause is None:
        t.note("missing-clause", "clause", Text("the clause that states the value", "载明该数值的条款"))
    if clause is not None and clause not in t.reader.clause_keys:
        listed = ", ".join(t.reader.clause_keys)
        t.note("no-such-clause", "clause", Text(f"one of {listed}", f"以下之一：{listed}"))
    return Term(found["value"], found["example"], clause, assumption)


def _check_offer(
    f: Fields, kind: Kind | None, terms: Mapping[str, Term], assumption: Text | None, not_offered: Text | None
) -> None:
    """Note what an instrument lacks, and what something that is none has too much."""
    if not_offered is not None:
        return
    if kind is None:
        if f.raw("kind") is None and f.has("kind"):
            f.note(
                "missing-field",
                "kind",
                Text("a kind, or not_offered with the reason", "类别，或写明原因的 not_offered"),
            )
        return
    for name in NEEDED[kind]:
        term = terms.get(name)
        if term is None or (term.value is None and term.example is None):
            expected = Text(f"{name} with a value or an example: a {kind} has one", f"{kind} 须有 {name} 的数值或示例")
            f.note("missing-term", "terms", expected)
    guessed = any(t.example is not None and t.assumption is None for t in terms.values())
    if guessed and assumption is None:
        expected = Text("an assumption: some terms are examples", "有示例条款时须写明假设（assumption）")
        f.note("missing-assumption", "assumption", expected)


def parse_own_terms(marked: Marked, products: Mapping[str, Product], programmes: Mapping[str, object]) -> tuple[
    OwnTerms | None, list[Problem]
]:  # fmt: skip
    """Read a file of somebody's own terms.

    A term may be stricter than a bound that the source states, never wider.

    Parameters
    ----------
    marked : the parsed YAML with its lines: `source`, `products: {id: {term: value}}`, and
        `programmes: {id: {delay_months, budget_left_cny}}`
    products : by id
    programmes : those that there are, by id

    Returns
    -------
    the terms, or None and every problem found, in reading order
    """
    reader = Reader(marked)
    f = reader.fields(marked.value, "", OWN)
    source = f.text("source") or ""
    found: dict[str, dict[str, TermValue]] = {}
    for key in _keys(f, "products"):
        product = products.get(key)
        if product is None or product.kind is None:
            expected = Text("the id of a product, see `dujiang fund --list`", "产品编号，见 dujiang fund --list")
            reader.note("no-such-product", f"products.{key}", key, expected)
            continue
        inner = reader.fields(f.raw("products")[key], f"products.{key}", Shape((), tuple(TERMS)))
        found[key] = _own_product(inner, product)
    delays: dict[str, int] = {}
    left: dict[str, int] = {}
    for key in _keys(f, "programmes"):
        if key not in programmes:
            expected = Text("the id of a programme, see `dujiang policy list`", "政策编号，见 dujiang policy list")
            reader.note("no-such-programme", f"programmes.{key}", key, expected)
            continue
        inner = reader.fields(f.raw("programmes")[key], f"programmes.{key}", OWN_PROGRAMME)
        if (months := inner.whole("delay_months", 0, MAX_TERM_MONTHS)) is not None:
            delays[key] = months
        if (amount := inner.amount_ucny("budget_left_cny", zero=True, nullable=True)) is not None:
            left[key] = amount
    problems = sorted_problems(reader.problems)
    return (None if problems else OwnTerms(source, found, delays, left)), problems


def _keys(f: Fields, name: str) -> tuple[str, ...]:
    raw = f.raw(name)
    if raw is not None and not isinstance(raw, dict):
        f.note("bad-type", name, MAPPING)
    return tuple(key for key in raw if isinstance(key, str)) if isinstance(raw, dict) else ()


def _own_product(f: Fields, product: Product) -> dict[str, TermValue]:
    found: dict[str, TermValue] = {}
    for name, kind in TERMS.items():
        if not f.given(name):
            continue
        value = term_value(kind.how, f.raw(name))
        if value is None:
            f.note("bad-term", name, _EXPECTED[kind.how])
            continue
        term = product.terms.get(name)
        stated = None if term is None else term.value
        if stated is not None and kind.bound and isinstance(value, int) and isinstance(stated, int):
            if (value - stated) * kind.bound > 0:
                most = shown_value(name, stated)
                said = Text(f"at most {most.en}, as the clause says", f"不超过条款规定的 {most.zh}")
                f.note("beyond-clause", name, said)
        elif stated is not None and value != stated:
            one = shown_value(name, stated)
            f.note("beyond-clause", name, Text(f"{one.en}, as the clause says", f"条款规定的 {one.zh}"))
        found[name] = value
    return found
