"""From an agreement file with rules, milestones and entries to `Funding`: strict, and with all problems at once."""

import re
from datetime import date, datetime
from itertools import pairwise

from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY
from dujiang.core.problem import Problem, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.milestones import (
    Agreement,
    Entry,
    Funding,
    IllegalMilestoneStepError,
    Rules,
    Step,
    Tranche,
    apply,
    begun,
)
from dujiang.policy.reader import AMOUNT, Fields, Reader, as_micro
from dujiang.policy.shape import Shape

MAX_ENTRIES = 2_000
MAX_DAYS = 3_650
LAST_DUE = date(2200, 12, 31)

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ROLES = ("enterprise", "funder", "verifier", "reviewer")
FILE = Shape(("id", *ROLES, "rules", "milestones"), ("entries",))
RULES = Shape(
    ("attempts", "grace_days", "extensions", "extension_days", "honest_grounds", "fault_grounds", "claw_back")
)
MILESTONE = Shape(("id", "what", "evidence", "due", "amount_cny"))
ENTRY = Shape(("key", "step", "at", "by", "why"), ("milestone", "evidence", "ground", "amount_cny"))
_ID = Text("lower-case letters, digits and single hyphens", "小写字母、数字与单个连字符")
_INSTANT = Text(
    'an instant in quotes such as "2026-03-02T10:00:00+08:00"', "加引号的时刻，如 2026-03-02T10:00:00+08:00"
)


def parse_milestones(doc: Marked) -> tuple[Funding | None, list[Problem]]:
    """Parse an agreement and follow its entries; None if it has problems.

    An entry that the agreement does not allow is a problem at its line. Those after it are judged as if it were not
    there.
    """
    reader = Reader(doc)
    file = reader.fields(doc.value, "", FILE)
    id_ = file.key("id", ID, 64, _ID, "bad-id")
    roles = {role: file.text(role) for role in ROLES}
    for role in ("verifier", "reviewer", "funder"):
        if roles[role] is not None and roles[role] == roles["enterprise"]:
            file.note("same-party", role, Text("another party than the enterprise", "与企业不同的一方"))
    rules = _rules(file.inner("rules", RULES))
    tranches = file.parts("milestones", MILESTONE, _tranche)
    if file.raw("milestones") == []:
        file.note("bad-value", "milestones", Text("at least one milestone", "至少一个里程碑"))
    for name in sorted({t.id for t in tranches if [u.id for u in tranches].count(t.id) > 1}):
        reader.note("duplicate-id", "milestones", name, Text("each id once", "每个 id 只出现一次"))
    if sum(t.amount_ucny for t in tranches) > MAX_UCNY:
        file.note("bad-amount", "milestones", AMOUNT)
    if any(a.due > b.due for a, b in pairwise(tranches)):
        file.note("bad-order", "milestones", Text("milestones by their due days", "里程碑按截止日排列"))
    entries = [(path, _entry(reader.fields(item, path, ENTRY))) for path, item in file.items("entries", MAX_ENTRIES)]
    enterprise, funder, verifier, reviewer = (roles[role] for role in ROLES)
    if reader.problems or id_ is None or rules is None:
        return None, sorted_problems(reader.problems)
    assert enterprise is not None
    assert funder is not None
    assert verifier is not None
    assert reviewer is not None
    funding = begun(Agreement(id_, enterprise, funder, verifier, reviewer, rules, tranches))
    for path, entry in entries:
        assert entry is not None
        try:
            funding = apply(funding, entry)
        except IllegalMilestoneStepError as error:
            expected = Text(f"a step that the agreement allows: {error.why.en}", f"协议允许的步骤：{error.why.zh}")
            reader.note("illegal-step", path, f"{entry.step} {entry.milestone or ''}".strip(), expected)
    return (None, sorted_problems(reader.problems)) if reader.problems else (funding, [])


def _rules(fields: Fields) -> Rules | None:
    attempts = _number(fields, "attempts", 1, 100)
    grace, extensions = _number(fields, "grace_days", 0, MAX_DAYS), _number(fields, "extensions", 0, 100)
    days = _number(fields, "extension_days", 0, MAX_DAYS)
    honest, faults = fields.names("honest_grounds"), fields.names("fault_grounds")
    back = as_micro(fields.raw("claw_back"))
    if fields.has("claw_back") and (back is None or not 0 <= back <= 10**6):
        fields.note("bad-share", "claw_back", Text("a share from 0 to 1", "0 至 1 的比例"))
    for ground in sorted({*honest} & {*faults}):
        expected = Text("grounds that are not honest failures", "与合理失败不同的事由")
        fields.reader.note("bad-value", fields.at("fault_grounds"), ground, expected)
    if attempts is None or grace is None or extensions is None or days is None or back is None:
        return None
    return Rules(attempts, grace, extensions, days, honest, faults, back)


def _number(fields: Fields, name: str, least: int, most: int) -> int | None:
    """Take a whole number that may not be null."""
    value = fields.whole(name, least, most)
    if value is None and fields.has(name) and not fields.given(name):
        fields.note("bad-number", name, Text(f"a whole number from {least} to {most}", f"{least} 至 {most} 的整数"))
    return value


def _tranche(fields: Fields) -> Tranche | None:
    id_ = fields.key("id", ID, 64, _ID, "bad-id")
    what, evidence = fields.bilingual("what"), fields.bilingual("evidence")
    due, amount = fields.day("due"), fields.amount_ucny("amount_cny")
    if due is not None and not date(2000, 1, 1) <= due <= LAST_DUE:
        fields.note("bad-date", "due", Text(f"a day from 2000-01-01 to {LAST_DUE}", f"2000-01-01 至 {LAST_DUE} 的日期"))
        return None
    if id_ is None or what is None or evidence is None or due is None or amount is None:
        return None
    return Tranche(id_, what, evidence, due, amount)


def _entry(fields: Fields) -> Entry | None:
    key, step, at = fields.text("key"), fields.choice("step", Step), _instant(fields)
    by, why = fields.text("by"), fields.text("why")
    milestone, evidence, ground = (
        fields.text(name) if fields.given(name) else None for name in ("milestone", "evidence", "ground")
    )
    amount = fields.amount_ucny("amount_cny") if fields.given("amount_cny") else None
    if key is None or step is None or at is None or by is None or why is None:
        return None
    return Entry(key, step, at, by, why, milestone, evidence, ground, amount)


def _instant(fields: Fields) -> datetime | None:
    """Take an instant as text: YAML itself drops the zone of a bare one."""
    value = fields.raw("at")
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is not None and at.tzinfo is not None and 2000 <= at.year <= 2200:
        return at
    if fields.has("at"):
        fields.note("bad-date", "at", _INSTANT)
    return None
