"""Reading how a programme goes together with others, and who pays for it."""

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.policy.programme import (
    CombinedCeiling,
    Exclude,
    FundedBy,
    Level,
    Priority,
    Scope,
    Stacking,
    StackingRule,
    With,
)
from dujiang.policy.reader import LIST, Fields
from dujiang.policy.shape import EXCLUDE, FUNDED_BY, PRIORITY

_NAMED = ("programmes", "group", "level")


def parse_stacking(s: Fields) -> Stacking | None:
    """Read with what it does not add up."""
    group, rule, basis = s.text("group"), s.choice("rule", StackingRule), s.basis()
    return None if group is None or rule is None or basis is None else Stacking(group, rule, basis)


def parse_ceiling(c: Fields) -> CombinedCeiling | None:
    """Read the share of the base that all support together stays under."""
    share, counts, basis = c.share_ppm("share"), c.choice("with", With), c.basis(clause_needed=True)
    c.word("of", ("base",))
    return None if share is None or counts is None or basis is None else CombinedCeiling(share, counts, basis)


def check_ceiling(f: Fields, ceiling: CombinedCeiling | None, stacking: Stacking | None, highest_ppm: int) -> None:
    """Note a ceiling over a group that the programme is not in, and one that a single support would already pass."""
    if ceiling is None:
        return
    if ceiling.counts is With.GROUP and stacking is None and not f.given("stacking"):
        group = Text("a stacking group to count with, or with: all", "应有 stacking 组，或写 with: all")
        f.reader.note("contradictory-ceiling", f"{f.at('combined_ceiling')}.with", ceiling.counts.value, group)
    if highest_ppm > ceiling.share_ppm:
        least = f"{highest_ppm / MICRO:g}"
        say = Text(f"not below the programme's own share of {least}", f"不低于本政策自身的比例 {least}")
        f.reader.note("contradictory-ceiling", f"{f.at('combined_ceiling')}.share", ceiling.share_ppm / MICRO, say)


def parse_excludes(f: Fields, own_id: str | None) -> tuple[Exclude, ...]:
    """Read which programmes may not be held together with this one."""
    return f.parts("excludes", EXCLUDE, lambda e: _exclude(e, own_id))


def _exclude(e: Fields, own_id: str | None) -> Exclude | None:
    scope, basis = e.choice("scope", Scope), e.basis()
    given = [name for name in _NAMED if e.given(name)]
    if len(given) != 1:
        alone = Text("exactly one of programmes, group, level", "programmes、group、level 三者恰好写一个")
        e.note("contradictory-exclude", given[1] if given else "programmes", alone)
        return None
    programmes = _others(e, own_id) if given == ["programmes"] else ()
    group = e.text("group") if given == ["group"] else None
    level = e.choice("level", Level) if given == ["level"] else None
    same_place = e.flag("same_place", nullable=True)
    if same_place and level in (None, Level.NATION):
        where = Text("same_place with level province or city only", "same_place 只与 level: province 或 city 同用")
        e.note("contradictory-exclude", "same_place", where)
    if scope is None or basis is None or not (programmes or group or level):
        return None
    return Exclude(programmes, group, level, bool(same_place), scope, basis)


def _others(f: Fields, own_id: str | None) -> tuple[str, ...]:
    """Read the ids of other programmes."""
    names = f.names("programmes") if f.needed("programmes", LIST) else ()
    note_itself(f, "programmes", names, own_id)
    return names


def note_itself(f: Fields, name: str, ids: tuple[str, ...], own_id: str | None) -> None:
    """Note a list of other programmes that names the programme itself."""
    if own_id is not None and own_id in ids:
        f.note("names-itself", name, Text(f"programmes other than {own_id}", f"{own_id} 以外的政策"))


def parse_priority(f: Fields, own_id: str | None) -> tuple[Priority, ...]:
    """Read whose winners come first."""

    def read(p: Fields) -> Priority | None:
        programmes, basis = _others(p, own_id), p.basis()
        return None if not programmes or basis is None else Priority(programmes, basis)

    return f.parts("priority", PRIORITY, read)


def parse_funded_by(f: Fields) -> tuple[FundedBy, ...]:
    """Read who pays; the shares add up to one."""
    shares = f.parts("funded_by", FUNDED_BY, _funded_by)
    raw = f.raw("funded_by")
    if not isinstance(raw, list) or len(shares) != len(raw):
        return shares
    levels = [share.level for share in shares]
    total = sum(share.share_ppm for share in shares)
    if len(set(levels)) != len(levels):
        once = Text("each level once", "每一级只出现一次")
        f.reader.note("contradictory-funding", f.at("funded_by"), ", ".join(levels), once)
    elif total != MICRO:
        one = Text("shares that add up to 1", "合计为 1 的比例")
        f.reader.note("contradictory-funding", f.at("funded_by"), f"{total / MICRO:g} in all", one)
    return shares


def _funded_by(p: Fields) -> FundedBy | None:
    level, share, basis = p.choice("level", Level), p.share_ppm("share"), p.basis(clause_needed=True)
    return None if level is None or share is None or basis is None else FundedBy(level, share, basis)
