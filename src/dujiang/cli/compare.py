"""`dujiang compare`: runs side by side."""

from pathlib import Path

import click

from dujiang.cli.lab_output import show_comparison
from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.text import Text
from dujiang.lab.comparison import compare_to


@click.command("compare")
@click.argument("runs", type=FOLDER, nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, help="The page to write, such as comparison.html.")
@JSON
@click.pass_context
def command(ctx: click.Context, runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Compare two or more results of `dujiang sim` on one page; effects are against the first."""
    output: Output = ctx.obj
    output.json = as_json
    if len(runs) < 2:
        raise click.BadArgumentUsage("two or more folders of results", ctx)
    documents = compare_to(runs, out)
    if as_json:
        output.document({"ok": True, "runs": documents})
        return
    show_comparison(output, documents)
    output.line(Text(f"open {out}", f"请打开 {out}"))
