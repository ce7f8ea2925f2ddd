"""`dujiang policy diff`: what changed from one version of a programme to another."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes, entry_of
from dujiang.cli.policy.words import clause_document, clause_words, in_both
from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.policy.catalogue import read_programme
from dujiang.policy.compare import Change, Kind, Side, changes
from dujiang.policy.condition import parse_day
from dujiang.policy.programme import Programme
from dujiang.policy.rules import PART_WORDS
from dujiang.store.read_book import cannot_open, read_bytes

KIND_WORDS = {
    Kind.ADDED: Text("added", "新增"),
    Kind.REMOVED: Text("removed", "删除"),
    Kind.CHANGED: Text("changed", "修改"),
    Kind.REFOUNDED: Text("rests on something else", "依据变更"),
}


@click.command("diff")
@click.argument("before")
@click.argument("after")
@PROGRAMMES
@JSON
@click.pass_obj
def command(output: Output, before: str, after: str, folders: Sequence[Path], as_json: bool) -> None:
    """Compare two versions of a programme: files, ids, or ids with a day such as sz-training-voucher@2025-06-01."""
    output.json = as_json
    old, new = (_version(output, name, folders) for name in (before, after))
    found = changes(old, new)
    if as_json:
        output.document(
            {
                "before": {"id": old.id, "version": old.version.isoformat()},
                "after": {"id": new.id, "version": new.version.isoformat()},
                "changes": [_document(change) for change in found],
            }
        )
        return
    output.line(f"{old.id} ({old.version}) → {new.id} ({new.version})")
    part = None
    for change in found:
        if change.part is not part:
            part = change.part
            output.line(f"\n{output.say(PART_WORDS[part])}")
        output.line(f"  {output.say(change.title)} ({change.path}): {output.say(KIND_WORDS[change.kind])}")
        _show_side(output, "-", change.before)
        _show_side(output, "+", change.after)
    if not found:
        output.line(Text("no rule differs", "各项规则一致"))


def _version(output: Output, name: str, folders: Sequence[Path]) -> Programme:
    """Return the programme that a file, an id, or an id with a day names."""
    path = Path(name)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        try:
            content = read_bytes(path)
        except OSError as error:
            raise InputError([cannot_open(path.name, error)]) from error
        entry, problems = read_programme(path.name, content)
        if entry is None:
            raise InputError(problems)
        return entry.programme
    key, at, written = name.partition("@")
    day = _day(written) if at else None
    return entry_of(all_programmes(output, folders), key, day).programme


def _day(written: str) -> date:
    day = parse_day(written)
    if day is None:
        expected = Text("a day such as 2025-06-01", "日期，如 2025-06-01")
        raise InputError([Problem("bad-date", "policy", None, None, shown(written), expected)])
    return day


def _document(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "part": change.part.value,
        **in_both("title", change.title),
        "kind": change.kind.value,
        "before": _side_document(change.before),
        "after": _side_document(change.after),
    }


def _side_document(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        **in_both("text", side.text),
        "test": side.test or None,
        "clause": clause_document(side.clause),
        **in_both("assumption", side.assumption),
    }


def _show_side(output: Output, sign: str, side: Side | None) -> None:
    if side is None:
        return
    test = f"  [{side.test}]" if side.test else ""
    output.line(f"    {sign} {output.say(side.text)}{test}")
    if side.clause is not None:
        output.line(f"        {output.say(clause_words(side.clause))}")
    if side.assumption is not None:
        output.line(f"        {output.say(Text('assumed: ', '推定：'))}{output.say(side.assumption)}")
