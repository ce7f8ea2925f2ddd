"""`dujiang verify`: re-checks a result from its files alone, without the clearing code."""

from pathlib import Path

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.text import Text
from dujiang.store.read_book import cannot_open, read_bytes
from dujiang.verify.plan import PLAN_RULES, verify_plan
from dujiang.verify.verdict import RULES
from dujiang.verify.verification import verify


@click.command("verify")
@click.argument("book", type=FOLDER, required=False)
@click.argument("results", type=FOLDER, required=False)
@click.option("--plan", type=FOLDER, help="A plan of `dujiang fund` (plan.json), in the place of BOOK and RESULTS.")
@JSON
@click.pass_context
def command(ctx: click.Context, book: Path | None, results: Path | None, plan: Path | None, as_json: bool) -> None:
    """Re-check a result against its book, rule by rule, with a second, independent implementation."""
    output: Output = ctx.obj
    output.json = as_json
    rules = RULES
    if plan is not None:
        if book is not None:
            raise click.UsageError("Either BOOK and RESULTS, or --plan.")
        verdict, rules = verify_plan(_read(plan)), PLAN_RULES
    elif book is None or results is None:
        raise click.UsageError(f"Missing argument '{'BOOK' if book is None else 'RESULTS'}'.")
    else:
        verdict = verify(book, results)
    if as_json:
        findings = [
            {
                "rule": f.rule,
                "where": f.where,
                "found": f.found,
                "expected": f.expected_en,
                "expected_zh": f.expected_zh,
            }
            for f in verdict.findings
        ]
        output.document({"ok": verdict.clean, "findings": findings, "checks": verdict.checks})
    else:
        columns = [(Text("rule", "规则"), False), (Text("what", "内容"), False), (Text("checked", "检查项数"), True)]
        rows = [
            [rule, rules[rule][1 if output.lang == "zh" else 0], f"{count:,}"] for rule, count in verdict.checks.items()
        ]
        output.table(Text("verified", "核验"), columns, rows)
        for finding in verdict.findings:
            output.err.print(finding.say(output.lang), markup=False)
        count = len(verdict.findings)
        output.line(
            Text("every rule holds", "全部规则成立")
            if verdict.clean
            else Text(f"{count} findings", f"发现 {count} 处不符")
        )
    ctx.exit(0 if verdict.clean else 1)


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise InputError([cannot_open(path.name, error)]) from error
