"""`dujiang policy show`: one programme as a page, on the terminal or as HTML."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes, entry_of, on_option
from dujiang.cli.policy.words import clause_document, clause_words, in_both
from dujiang.core.text import Text
from dujiang.policy.programme import Programme
from dujiang.policy.rules import PART_WORDS, rules
from dujiang.store.files import write_whole


@click.command("show")
@click.argument("programme_id")
@click.option(
    "--html", type=FOLDER, help="Write the page to this file instead, in both languages, with everything in it."
)
@on_option("The version that holds on this day; default: the last.")
@PROGRAMMES
@JSON
@click.pass_obj
def command(
    output: Output, programme_id: str, html: Path | None, day: date | None, folders: Sequence[Path], as_json: bool
) -> None:
    """Show one programme: every rule, and under it the clause or the assumption on which it rests."""
    output.json = as_json
    merged = all_programmes(output, folders)
    programme = entry_of(merged, programme_id, day).programme
    if html is not None:
        from dujiang.reports.programme import render_programme

        write_whole(html, render_programme(programme).encode())
        output.line(Text(f"written to {html}", f"已写入 {html}"))
    if as_json:
        output.document({"id": programme.id, "version": programme.version.isoformat(), "rules": _documents(programme)})
    elif html is None:
        _show(output, programme)


def _documents(programme: Programme) -> list[dict[str, Any]]:
    documents = []
    for rule in rules(programme):
        basis = rule.basis
        key = None if basis is None else basis.clause
        documents.append(
            {
                "path": rule.path,
                "part": rule.part.value,
                **in_both("title", rule.title),
                **in_both("text", rule.text),
                "test": rule.test or None,
                "clause": None if key is None else clause_document(programme.clause(key)),
                **in_both("assumption", None if basis is None else basis.assumption),
            }
        )
    return documents


def _show(output: Output, programme: Programme) -> None:
    output.line(f"{output.say(programme.name)}  [{programme.id}, {programme.version}]")
    part, quoted = None, set()
    for rule in rules(programme):
        if rule.part is not part:
            part = rule.part
            output.line(f"\n{output.say(PART_WORDS[part])}")
        indent = "  " * rule.depth
        colon = output.say(Text(": ", "："))
        output.line(f"  {indent}{output.say(rule.title)}{colon}{output.say(rule.text)}")
        if rule.basis is None:
            continue
        key, assumption = rule.basis.clause, rule.basis.assumption
        if key is not None and key not in quoted:
            quoted.add(key)
            output.line(f"      {indent}{key}{colon}{output.say(clause_words(programme.clause(key)))}")
        elif key is not None:
            output.line(f"      {indent}{output.say(Text(f'on the clause {key}', f'依据条款 {key}'))}")
        if assumption is not None:
            output.line(f"      {indent}{output.say(Text('assumed: ', '推定：'))}{output.say(assumption)}")
