"""`dujiang demo`: the whole flow on a made-up but realistic week, in both couplings."""

from pathlib import Path

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.run import show_run
from dujiang.cli.summary import show_summaries
from dujiang.core.text import Text
from dujiang.sim.demo import COUPLED, ISOLATED, run_demo
from dujiang.sim.week import ORDERS, SEED


@click.command("demo")
@click.option("--out", type=FOLDER, default=Path("build/demo"), show_default=True)
@click.option("--orders", type=int, default=ORDERS, show_default=True, help="Orders of the week.")
@click.option("--seed", type=int, default=SEED, show_default=True)
@click.option("--no-serve", is_flag=True, help="End without opening the console (there is none yet).")
@JSON
@click.pass_obj
def command(output: Output, out: Path, orders: int, seed: int, no_serve: bool, as_json: bool) -> None:
    """Make a week for the eight hubs, clear it isolated and coupled, run, meter, settle and report it."""
    output.json = as_json
    output.line(
        Text(
            "A made-up week: every invented figure is listed in book.yaml and on the report.",
            "示范周为虚构数据：每一项假设都列在 book.yaml 与报告中。",
        )
    )
    with output.progress() as progress:

        def tell(label: Text, phase: str, share: float, gap: float | None) -> None:
            progress.label = output.say(label)
            progress(phase, share, gap)

        summary = run_demo(out, orders=orders, seed=seed, tell=tell)
    if as_json:
        output.document(summary)
        return
    show_summaries(output, {output.say(ISOLATED): summary["isolated"], output.say(COUPLED): summary})
    show_run(output, summary["run"])
    output.line(Text(f"open {out}/report.html", f"请打开 {out}/report.html"))
