"""How commands speak: documents on stdout, progress and problems on stderr, one language at a time."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dujiang.core.errors import OperationError
from dujiang.core.problem import Problem
from dujiang.core.text import Lang, Text

PHASES = {
    "prices": Text("prices", "定价"),
    "placement": Text("placement", "安排"),
    "improvement": Text("improvement", "改进"),
    "dispatch": Text("dispatch", "调度"),
    "exact": Text("exact search", "精确求解"),
    "policy": Text("programmes", "政策计算"),
}


def default_lang() -> Lang:
    """Return the language of the environment: `DUJIANG_LANG`, else that of the locale."""
    wanted = os.environ.get("DUJIANG_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if wanted.lower().startswith("zh") else "en"


def _drop_stdout() -> None:
    """Let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(slots=True)
class Output:
    """Where and how a command speaks."""

    lang: Lang
    json: bool = False

    def __post_init__(self) -> None:
        # A terminal or pipe with a narrower encoding must never turn a Chinese name into a traceback.
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by whoever called us
                setattr(sys, name, StringIO())
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    @property
    def out(self) -> Console:
        """Console on stdout."""
        # Piped, a table is as wide as it needs to be; a terminal decides itself.
        width = None if sys.stdout.isatty() else 140
        return Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width)

    @property
    def err(self) -> Console:
        """Console on stderr."""
        return Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def say(self, text: Text) -> str:
        """Return a sentence in the language of this output."""
        return text.say(self.lang)

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Send what is said on its way at once, while somebody can still be told that it did not arrive.

        Raises
        ------
        click.exceptions.Exit : our reader has gone (`dujiang … | head`); what it wanted it has
        OperationError : the disk behind stdout is full, or the like; `json` is off from then on
        """
        try:
            yield
            sys.stdout.flush()
        except (BrokenPipeError, SystemExit) as error:  # rich turns the one into the other
            _drop_stdout()
            raise click.exceptions.Exit(0) from error
        except OSError as error:
            _drop_stdout()
            self.json = False
            why = error.strerror or type(error).__name__
            raise OperationError(Text(f"cannot write the output: {why}", f"无法写出结果：{why}")) from error

    def line(self, text: Text | str) -> None:
        """Print one line for people; nothing with `--json`."""
        if self.json:
            return
        with self._speaking():
            self.out.print(text if isinstance(text, str) else self.say(text), markup=False)

    def note(self, text: Text | str) -> None:
        """Print one line on stderr."""
        self.err.print(text if isinstance(text, str) else self.say(text), markup=False)

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the one document of `--json`."""
        with self._speaking():
            sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def problems(self, problems: Iterable[Problem]) -> None:
        """List problems, all of them."""
        found = list(problems)
        if self.json:
            self.document({"ok": False, "problems": [p.as_dict() for p in found]})
            return
        for problem in found:
            self.err.print(problem.say(self.lang), markup=False)
        count = len(found)
        self.note(Text(f"{count} problem{'s' if count != 1 else ''}", f"共 {count} 个问题"))

    def table(self, title: Text, columns: Iterable[tuple[Text, bool]], rows: Iterable[Iterable[str]]) -> None:
        """Print a table; a column is a heading and whether it holds numbers."""
        if self.json:
            return
        table = Table(title=self.say(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
        cells = [list(row) for row in rows]
        for index, (heading, number) in enumerate(columns):
            # The first column names the row: it is never cut.
            least = max((len(row[0]) for row in cells), default=0) if index == 0 else None
            table.add_column(self.say(heading), justify="right" if number else "left", min_width=least)
        for row in cells:
            table.add_row(*map(escape, row))  # a name may hold square brackets
        with self._speaking():
            self.out.print(table)

    @contextmanager
    def progress(self) -> "Iterator[ProgressLine]":
        """Show progress on stderr while the block runs."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.err, transient=False) as bars:
            yield ProgressLine(self, bars)


class ProgressLine:
    """Progress bars by phase."""

    def __init__(self, output: Output, bars: Progress) -> None:
        self._output = output
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self.label = ""
        """Put before the name of a phase; set it to tell two runs apart."""

    def __call__(self, phase: str, share: float, gap: float | None = None, note: str = "") -> None:
        """Move the bar of a phase to a share of 1."""
        name = self._output.say(PHASES.get(phase, Text(phase, phase)))
        key = f"{self.label} {name}".strip()
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(key, total=1.0, note="")
        if gap is not None:
            note = f"gap {gap:.2%}"
        self._bars.update(self._tasks[key], completed=min(1.0, share), note=note)
