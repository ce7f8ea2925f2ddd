"""Runs side by side, from their folders."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.lab.effects import effects
from dujiang.lab.simulate import JOBS, SERIES
from dujiang.lab.summary import FORMAT
from dujiang.lab.sums import Window
from dujiang.reports.lab_html import render_comparison
from dujiang.store.files import write_whole
from dujiang.store.read_book import cannot_open
from dujiang.store.results import SUMMARY

_SETTING = ("mode", "policy", "coupling", "clock", "centres", "gpus", "round_every_h", "admit_every_h", "warm_up_h")
"""Where two runs differ in one of these, or in an assumption, they differ in more than programmes."""
_PAGE = b"<!doctype html>"


def compare_to(runs: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Write a page that compares runs; effects are against the first, where the jobs are the same.

    Parameters
    ----------
    runs : folders that `dujiang sim` or `dujiang study` made
    out : the page; an earlier page is replaced

    Returns
    -------
    the summary of each run, with `effects`: against the first run, or None

    Raises
    ------
    InputError : a folder holds no run, or `out` is something else than a page
    OperationError : the page cannot be written
    """
    problems: list[Problem] = []
    documents = [document for run in runs if (document := _summary(run, problems)) is not None]
    problems += _target_problems(out)
    if problems:
        raise InputError(problems)
    first = runs[0]
    for run, document in zip(runs, documents, strict=True):
        document["effects"] = None if run == first else _effects(run, first, document, documents[0], problems)
    if problems:
        raise InputError(problems)
    write_whole(out, render_comparison(documents).encode())
    return documents


def _summary(run: Path, problems: list[Problem]) -> dict[str, Any] | None:
    name = f"{run.name or run}/{SUMMARY}"
    expected = Text("a result of `dujiang sim`", "`dujiang sim` 的结果")
    try:
        document = json.loads((run / SUMMARY).read_bytes())
    except OSError as error:
        problems.append(cannot_open(name, error))
        return None
    except (ValueError, RecursionError):
        problems.append(Problem("not-a-result", name, None, None, "no JSON document", expected))
        return None
    found = document.get("format") if isinstance(document, dict) else document
    if found != FORMAT:
        problems.append(Problem("not-a-result", name, None, "format", shown(found), expected))
        return None
    return dict(document)


def _target_problems(out: Path) -> list[Problem]:
    """Refuse to replace what is no page."""
    try:
        if not out.exists():
            return []
        page = out.is_file() and out.read_bytes()[: len(_PAGE)].lower() == _PAGE
    except OSError as error:
        return [cannot_open(out.name, error)]
    if page or (out.is_file() and not out.stat().st_size):
        return []
    expected = Text("a new file, or an earlier page", "新文件或此前的页面")
    found = "a folder" if out.is_dir() else "a file that is no page"
    return [Problem("not-a-page", out.name, None, None, found, expected, Text("choose another --out", "请另选 --out"))]


def _effects(
    run: Path, first: Path, document: dict[str, Any], reference: dict[str, Any], problems: list[Problem]
) -> dict[str, Any] | None:
    windows = [Window(d["warm_up_h"], d["window_h"]) for d in (document, reference)]
    if windows[0] != windows[1]:
        return None
    frames = []
    for folder in (run, first):
        try:
            frames.append((pl.read_parquet(folder / JOBS), pl.read_parquet(folder / SERIES)))
        except (OSError, pl.exceptions.PolarsError) as error:
            name, expected = f"{folder.name}/{JOBS}", Text("the tables of a run", "运行结果的表")
            problems.append(Problem("unreadable", name, None, None, shown(str(error).splitlines()[0]), expected))
            return None
    names = {group["key"]: Text(**group["name"]) for group in document["by_region"]}
    alike = all(document[key] == reference[key] for key in _SETTING) and _assumed(document) == _assumed(reference)
    return effects(frames[0], frames[1], windows[0], names, only_programmes=alike)


def _assumed(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a run takes for granted, programmes aside."""
    return {entry: stated for entry, stated in document["assumptions"].items() if entry != "programmes"}


__all__ = ["compare_to"]
