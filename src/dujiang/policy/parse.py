"""From a programme file to a `Programme`: strict, and with all problems at once."""

from typing import Any

from dujiang.core.marked import Marked
from dujiang.core.problem import Problem, sorted_problems
from dujiang.core.text import Text
from dujiang.policy.parse_conditions import note_repeated_ids, parse_conditions, stored_fact
from dujiang.policy.parse_stacking import (
    check_ceiling,
    note_itself,
    parse_ceiling,
    parse_excludes,
    parse_funded_by,
    parse_priority,
    parse_stacking,
)
from dujiang.policy.parse_support import (
    check_minimum,
    highest_share,
    parse_amount,
    parse_budget,
    parse_caps,
    parse_exclusion,
    parse_minimum,
    parse_pro_rata,
    parse_rate,
    parse_rounding,
    parse_special_rates,
    parse_voucher,
)
from dujiang.policy.programme import (
    Base,
    Clause,
    Jurisdiction,
    Level,
    Programme,
    Quality,
    RateRule,
    Rounding,
    SourceStatus,
    Validity,
    leaves,
)
from dujiang.policy.reader import MAPPING, Fields, Reader
from dujiang.policy.shape import (
    AMOUNT,
    BUDGET,
    CEILING,
    CLAUSE,
    CONFIDENCE,
    EXCLUDED_COSTS,
    GOODS,
    ID,
    JURISDICTION,
    MAX_CONDITIONS,
    MAX_ITEMS,
    MAX_NAME,
    MAX_TEXT,
    MINIMUM,
    PRO_RATA,
    PROGRAMME,
    RATE,
    STACKING,
    VALID,
    VOUCHER,
)

__all__ = ["parse_programme", "read_clause", "stored_fact"]


def parse_programme(marked: Marked) -> tuple[Programme | None, list[Problem]]:
    """Read a programme file.

    Parameters
    ----------
    marked : the parsed YAML with its lines

    Returns
    -------
    the programme, or None and every problem found, in reading order
    """
    reader = Reader(marked)
    programme = _programme(reader, marked.value)
    problems = sorted_problems(reader.problems)
    return (None if problems else programme), problems


def _programme(reader: Reader, value: Any) -> Programme | None:
    """Read the whole document; what is None here without being allowed to be has been noted."""
    f = reader.fields(value, "", PROGRAMME)
    clauses = _clauses(f)
    # A clause with a problem still counts as a key: one mistake should not be reported again by each rule.
    reader.clause_keys = tuple(clause.key for clause in clauses)
    own_id = _identifier(f)
    conditions = parse_conditions(f, "conditions")
    note_repeated_ids(reader, f.items("conditions") if isinstance(f.raw("conditions"), list) else ())
    rate = f.part("rate", RATE, parse_rate)
    special = parse_special_rates(f, rate)
    rounding = parse_rounding(f)
    needed = {
        "id": own_id,
        "version": f.day("version"),
        "name": f.bilingual("name"),
        "jurisdiction": _jurisdiction(f),
        "issuer": f.text("issuer"),
        "kind": f.text("kind"),
        "instrument": f.text("instrument"),
        "goods": _goods(f),
        "source_status": f.choice("source_status", SourceStatus, default=SourceStatus.RULE),
        "valid": _validity(f),
        "verified": f.flag("verified"),
        "confidence": f.word("confidence", CONFIDENCE),
    }
    caps, amount = parse_caps(f), f.part("amount_cny", AMOUNT, parse_amount)
    minimum, budget = f.part("minimum_cny", MINIMUM, parse_minimum), f.part("budget", BUDGET, parse_budget)
    ceiling, stacking = (
        f.part("combined_ceiling", CEILING, parse_ceiling),
        f.part("stacking", STACKING, parse_stacking),
    )
    rest = {
        "document": f.text("document", nullable=True),
        "document_no": f.text("document_no", nullable=True),
        "base": f.choice("base", Base, nullable=True),
        "pro_rata": f.part("pro_rata", PRO_RATA, parse_pro_rata),
        "excludes": parse_excludes(f, own_id),
        "priority": parse_priority(f, own_id),
        "funded_by": parse_funded_by(f),
        "voucher": f.part("voucher", VOUCHER, parse_voucher),
        "exclusion": f.part("excluded_costs", EXCLUDED_COSTS, parse_exclusion),
        "notes": f.bilingual("notes", nullable=True),
        "not_computable": f.bilingual("not_computable", nullable=True),
    }
    check_minimum(f, minimum, caps, budget, special, amount)
    check_ceiling(f, ceiling, stacking, highest_share(rate, special))
    if budget is not None:
        note_itself(f.inner("budget", BUDGET), "shared_with", budget.shared_with, own_id)
    _check_computable(f)
    count = sum(1 for _ in leaves((*conditions, *(c for s in special for c in s.when))))
    if count > MAX_CONDITIONS:
        reader.too_many("conditions", count, MAX_CONDITIONS)
    if any(part is None for part in needed.values()):
        return None
    unit, cut_base = rounding or (Rounding.FEN, False)
    return Programme(
        **needed,  # type: ignore[arg-type]  # none of them is None, which the dict's type cannot say
        **rest,  # type: ignore[arg-type]
        clauses=clauses,
        conditions=conditions,
        rate=rate,
        amount=amount,
        special_rates=special,
        caps=caps,
        minimum=minimum,
        budget=budget,
        combined_ceiling=ceiling,
        stacking=stacking,
        rounding=unit,
        cut_base=cut_base,
    )


def _identifier(f: Fields) -> str | None:
    """Read the id: the file's name, and the name in tables."""
    expected = Text("lower-case letters, digits and single hyphens", "小写字母、数字和单个连字符")
    return f.key("id", ID, MAX_NAME, expected, "bad-id")


def _goods(f: Fields) -> tuple[str, ...] | None:
    """Read the good that it pays for, or several."""
    raw = f.raw("good")
    if not isinstance(raw, list):
        good = f.word("good", GOODS)
        return None if good is None else (good,)
    names = f.names("good")
    inner = Fields(f.reader, f.at("good"), {str(i): name for i, name in enumerate(raw)})
    known = [inner.word(str(i), GOODS) for i, name in enumerate(raw) if isinstance(name, str)]
    return names if names and None not in known else None


def _jurisdiction(f: Fields) -> Jurisdiction | None:
    """Read the place; a city has a province, a province has no city, a nation has neither."""
    if not f.needed("jurisdiction"):
        return None
    place = f.inner("jurisdiction", JURISDICTION)
    level = place.choice("level", Level)
    names = {name: place.text(name, nullable=True) for name in ("province", "city")}
    if level is None:
        return None
    needed = {Level.NATION: (), Level.PROVINCE: ("province",), Level.CITY: ("province", "city")}[level]
    for name, text in names.items():
        if (text is not None) != (name in needed):
            say = Text(f"a {name}", f"{name} 的名称") if name in needed else Text("nothing", "空")
            place.note("bad-jurisdiction", name, Text(f"{say.en} at level {level}", f"级别 {level} 下应为{say.zh}"))
    return Jurisdiction(level, names["province"], names["city"])


def _validity(f: Fields) -> Validity | None:
    """Read the first and last day."""
    if not f.needed("valid"):
        return None
    valid = f.inner("valid", VALID)
    basis = valid.basis()
    first, last = valid.day("from", nullable=True), valid.day("until", nullable=True)
    if first is not None and last is not None and last < first:
        valid.note("bad-window", "until", Text(f"{first} or a later day", f"{first} 或更晚的日期"))
    return None if basis is None else Validity(first, last, basis)


def _clauses(f: Fields) -> tuple[Clause, ...]:
    """Read the pieces of the source."""
    value = f.raw("clauses")
    if not isinstance(value, dict):
        if f.has("clauses"):
            f.note("bad-type", "clauses", MAPPING)
        return ()
    if len(value) > MAX_ITEMS:
        f.reader.too_many("clauses", len(value), MAX_ITEMS)
    found = []
    for key, item in list(value.items())[:MAX_ITEMS]:
        if not isinstance(key, str) or not key.strip() or len(key) > MAX_TEXT:
            f.reader.note("bad-id", "clauses", key, Text("a key that is a text", "文本形式的键"))
            continue
        found.append(read_clause(f.reader, key, item))
    return tuple(found)


def read_clause(reader: Reader, key: str, value: Any) -> Clause:
    """Read one clause."""
    c = reader.fields(value, f"clauses.{key}", CLAUSE)
    return Clause(
        key=key,
        text=c.text("text") or "",
        verbatim=bool(c.flag("verbatim")),
        source=c.text("source") or "",
        quality=c.choice("quality", Quality) or Quality.LOW,
    )


def _check_computable(f: Fields) -> None:
    """Note what is missing for an amount, or contradicts it, in a programme that does not say that it has none."""
    if f.given("amount_cny"):
        for name in ("rate", "special_rates"):
            if f.given(name) and f.raw(name) != []:
                f.note("contradictory-rate", name, Text("no rate beside a fixed amount", "固定金额不另写比例"))
    if f.given("not_computable"):
        return
    status = f.raw("source_status")
    if status in list(SourceStatus) and status != SourceStatus.RULE:
        why = Text("not_computable with the reason: this source states no rule", "写明原因的 not_computable")
        f.note("not-computable", "source_status", why)
    amount = f.raw("amount_cny")
    if isinstance(amount, dict) and amount.get("rule") == RateRule.NOT_ABOVE:
        why = Text(
            "of, or not_computable: up to an amount leaves it open", "of；“最高”不是确定金额，否则写 not_computable"
        )
        f.reader.note("not-computable", "amount_cny.rule", amount["rule"], why)
    paid = f.given("amount_cny") or bool(f.raw("special_rates"))
    for name, open_ in (("rate", not paid), ("base", not f.given("amount_cny") or f.given("pro_rata"))):
        if open_ and f.has(name) and not f.given(name):
            f.note(
                "not-computable",
                name,
                Text(f"a {name}, or not_computable with the reason", f"{name}，或写明原因的 not_computable"),
            )
