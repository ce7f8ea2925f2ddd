"""`dujiang study`: many scenarios, compared in pairs."""

from pathlib import Path

import click

from dujiang.cli.lab_output import show_study
from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.text import Text
from dujiang.lab.study import ENGINES, Progress, study_to


def _note(output: Output, now: Progress) -> str:
    """Say how far a study is."""
    parts = [f"{now.done:,}/{now.of:,}"]
    if now.left_s:
        parts.append(output.say(Text(f"about {now.left_s:,.0f} s left", f"约剩 {now.left_s:,.0f} 秒")))
    if now.failed:
        parts.append(output.say(Text(f"{now.failed} failed", f"{now.failed} 次失败")))
    return ", ".join(parts)


@click.command("study")
@click.argument("study", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the study; one that was stopped goes on there.")
@click.option("--engine", type=click.Choice(ENGINES), default="local", show_default=True)
@click.option("--workers", type=click.IntRange(1, 4096), default=None, help="Processes; default: one per processor.")
@click.option("--trace", type=FOLDER, default=None, help="Trace instead of the scenario's demand.trace.")
@JSON
@click.pass_context
def command(
    ctx: click.Context, study: Path, out: Path, engine: str, workers: int | None, trace: Path | None, as_json: bool
) -> None:
    """Run a grid of scenarios, or search one, and compare each with its reference.

    Random numbers are paired, intervals are from a block bootstrap. A study that was stopped goes on when it is called
    again; only what is new is replayed.
    """
    output: Output = ctx.obj
    output.json = as_json
    try:
        with output.progress() as progress:

            def tell(now: Progress) -> None:
                progress(output.say(Text("replays", "回放")), now.done / max(1, now.of), note=_note(output, now))

            made = study_to(study, out, engine=engine, workers=workers, trace=trace, progress=tell)
    except KeyboardInterrupt:
        output.note(
            Text(
                "stopped; finished runs are kept: call the study again to go on",
                "已停止；已完成的运行已保留，再次执行即可继续",
            )
        )
        ctx.exit(130)
    if as_json:
        output.document(made.document)
        return
    show_study(output, made.document)
    output.line(Text(f"open {out}/report.html", f"请打开 {out}/report.html"))
