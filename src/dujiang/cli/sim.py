"""`dujiang sim`: what a scenario comes to."""

from pathlib import Path

import click

from dujiang.cli.lab_output import show_run
from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.text import Text
from dujiang.lab.simulate import simulate_to

_PHASES = {"case": Text("reading", "读取"), "rounds": Text("rounds", "逐轮撮合")}


@click.command("sim")
@click.argument("scenario", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the result.")
@click.option("--trace", type=FOLDER, default=None, help="Trace instead of the scenario's demand.trace.")
@JSON
@click.pass_obj
def command(output: Output, scenario: Path, out: Path, trace: Path | None, as_json: bool) -> None:
    """Replay a scenario: a fleet meets a demand under programmes, on a virtual clock.

    The same scenario gives the same files, byte for byte (but for timing.json).
    """
    output.json = as_json
    with output.progress() as progress:

        def tell(phase: str, share: float) -> None:
            progress(output.say(_PHASES.get(phase, Text(phase, phase))), share)

        run = simulate_to(scenario, out, trace, tell)
    if as_json:
        output.document(run.summary)
        return
    for remark in run.case.remarks:
        output.note(remark.say(output.lang))
    show_run(output, run.summary)
    output.line(Text(f"open {out}/report.html", f"请打开 {out}/report.html"))
