"""From a file of screening rules to `ScreeningRules`: strict, and with all problems at once."""

import math
import re
from itertools import pairwise

from dujiang.core.marked import Marked
from dujiang.core.problem import Problem, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.screening import Criterion, Gate, ScreeningRules
from dujiang.policy.reader import Fields, Reader
from dujiang.policy.shape import Shape

MAX_POINTS = 10_000
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FACT = re.compile(r"(?!enterprise_id$)[a-z][a-z0-9_]*")
RULES = Shape(("id", "version", "name", "decision", "criteria"), ("products", "gates", "sources", "assumptions"))
DECISION = Shape(("offer", "review"))
GATE = Shape(("id", "fact", "is", "text"))
CRITERION = Shape(("id", "fact", "text"), ("bands", "points"))
BAND = Shape(("at_least", "points"))
_ID = Text("lower-case letters, digits and single hyphens", "小写字母、数字与单个连字符")
_FACT = Text("the name of a fact: lower-case letters, digits and underscores", "事实名称：小写字母、数字与下划线")


def parse_screening(doc: Marked) -> tuple[ScreeningRules | None, list[Problem]]:
    """Parse a marked YAML document; None if it has problems."""
    reader = Reader(doc)
    file = reader.fields(doc.value, "", RULES)
    id_, name = file.key("id", ID, 64, _ID, "bad-id"), file.bilingual("name")
    file.day("version")
    products = file.names("products") if file.given("products") else ()
    decision = file.inner("decision", DECISION)
    offer, review = _number(decision, "offer", 0, MAX_POINTS), _number(decision, "review", 0, MAX_POINTS)
    gates = file.parts("gates", GATE, _gate)
    criteria = file.parts("criteria", CRITERION, _criterion)
    if file.raw("criteria") == []:
        file.note("bad-value", "criteria", Text("at least one criterion", "至少一项指标"))
    ids = [*(gate.id for gate in gates), *(criterion.id for criterion in criteria)]
    for repeated in sorted({i for i in ids if ids.count(i) > 1}):
        reader.note("duplicate-id", "criteria", repeated, Text("each id once", "每个 id 只出现一次"))
    numbers = {c.fact for c in criteria if c.bands}
    flags = {g.fact for g in gates} | {c.fact for c in criteria if not c.bands}
    for fact in sorted(numbers & flags):
        expected = Text("a fact that is either a number or yes or no", "或为数值、或为是否的同一事实")
        reader.note("two-types", "criteria", fact, expected)
    if offer is not None and review is not None and not review <= offer <= sum(c.points for c in criteria):
        expected = Text(
            "not below `review`, and within the points that can be reached", "不低于 review，且不超过可得总分"
        )
        decision.note("bad-number", "offer", expected)
    sources = file.names("sources") if file.given("sources") else ()
    assumptions = file.parts("assumptions", Shape(("en", "zh")), _sentence)
    if reader.problems or id_ is None or name is None or offer is None or review is None:
        return None, sorted_problems(reader.problems)
    return ScreeningRules(id_, name, products, offer, review, gates, criteria, sources, assumptions), []


def _sentence(fields: Fields) -> Text | None:
    en, zh = fields.text("en"), fields.text("zh")
    return None if en is None or zh is None else Text(en, zh)


def _number(fields: Fields, name: str, least: int, most: int) -> int | None:
    """Take a whole number that may not be null."""
    value = fields.whole(name, least, most)
    if value is None and fields.has(name) and not fields.given(name):
        fields.note("bad-number", name, Text(f"a whole number from {least} to {most}", f"{least} 至 {most} 的整数"))
    return value


def _gate(fields: Fields) -> Gate | None:
    id_, fact = fields.key("id", ID, 64, _ID, "bad-id"), fields.key("fact", FACT, 64, _FACT, "bad-name")
    wanted, text = fields.flag("is"), fields.bilingual("text")
    if id_ is None or fact is None or wanted is None or text is None:
        return None
    return Gate(id_, fact, text, wanted)


def _criterion(fields: Fields) -> Criterion | None:
    id_, fact = fields.key("id", ID, 64, _ID, "bad-id"), fields.key("fact", FACT, 64, _FACT, "bad-name")
    text = fields.bilingual("text")
    if fields.given("bands") == fields.given("points"):
        fields.note("one-of-two", "bands", Text("either bands or points", "bands 与 points 二者之一"))
        return None
    if fields.given("points"):
        points = _number(fields, "points", 1, MAX_POINTS)
        bands: tuple[tuple[float, int], ...] = ()
    else:
        bands = fields.parts("bands", BAND, _band)
        points = bands[-1][1] if bands else None
        if any(a[0] >= b[0] or a[1] >= b[1] for a, b in pairwise(bands)):
            fields.note("bad-order", "bands", Text("bands that rise in value and in points", "数值与分值均递增的分段"))
        if fields.raw("bands") == []:
            fields.note("bad-value", "bands", Text("at least one band", "至少一个分段"))
    if id_ is None or fact is None or text is None or points is None:
        return None
    return Criterion(id_, fact, text, bands, points)


def _band(fields: Fields) -> tuple[float, int] | None:
    least, points = fields.raw("at_least"), _number(fields, "points", 1, MAX_POINTS)
    is_number = isinstance(least, int | float) and not isinstance(least, bool)
    if not is_number or abs(least) > 1e15 or not math.isfinite(least):
        if fields.has("at_least"):
            fields.note("bad-number", "at_least", Text("a number", "数值"))
        return None
    return None if points is None else (float(least), points)
