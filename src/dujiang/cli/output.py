"""How commands speak: documents on stdout, progress and problems on stderr, one language at a time."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dujiang.core.problem import Problem
from dujiang.core.text import Lang, Text

PHASES = {
    "prices": Text("prices", "定价"),
    "placement": Text("placement", "安排"),
    "improvement": Text("improvement", "改进"),
    "dispatch": Text("dispatch", "调度"),
}


def default_lang() -> Lang:
    """Return the language of the environment: `DUJIANG_LANG`, else that of the locale."""
    wanted = os.environ.get("DUJIANG_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if wanted.lower().startswith("zh") else "en"


@dataclass(slots=True)
class Output:
    """Where and how a command speaks."""

    lang: Lang
    json: bool = False

    def __post_init__(self) -> None:
        # A terminal or pipe with a narrower encoding must never turn a Chinese name into a traceback.
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    @property
    def out(self) -> Console:
        """Console on stdout."""
        return Console(file=sys.stdout, highlight=False, soft_wrap=True)

    @property
    def err(self) -> Console:
        """Console on stderr."""
        return Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def say(self, text: Text) -> str:
        """Return a sentence in the language of this output."""
        return text.say(self.lang)

    def line(self, text: Text | str) -> None:
        """Print one line for people; nothing with `--json`."""
        if not self.json:
            self.out.print(text if isinstance(text, str) else self.say(text), markup=False)

    def note(self, text: Text | str) -> None:
        """Print one line on stderr."""
        self.err.print(text if isinstance(text, str) else self.say(text), markup=False)

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the one document of `--json`."""
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
        for heading, number in columns:
            table.add_column(self.say(heading), justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
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
