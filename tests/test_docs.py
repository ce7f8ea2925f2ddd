"""The documents say what is there: tests, commands, links, columns, and a worked example that gives what it prints.

Run as a program (`.venv/bin/python tests/test_docs.py`) this file writes the book tables of docs/formats.md anew.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import polars as pl
import pytest

from dujiang.cli.main import app
from dujiang.market.outcome import AWARD_SCHEMA, MULTIPLIER_SCHEMA, PRICE_SCHEMA, REJECTION_SCHEMA, Reason
from dujiang.metering.usage import USAGE_SCHEMA, UsageOutcome
from dujiang.policy import shape
from dujiang.policy.programme import Op
from dujiang.registry.columns import Column, book_columns
from dujiang.reports.focus import FOCUS_COLUMNS
from dujiang.settlement.entry import EntryKind
from dujiang.store.ledger import LEDGER_SCHEMA
from dujiang.verify.verdict import RULES

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh.md")
FORMATS = ROOT / "docs" / "formats.md"
BEGIN, END = "<!-- book tables: begin -->", "<!-- book tables: end -->"
CJK = re.compile(r"[\u4e00-\u9fff]")


def documents() -> list[Path]:
    """Return the Markdown files of the repository, not those of environments and build folders beside it."""
    return sorted(
        [*ROOT.glob("*.md"), *(p for d in ("docs", "src", "tests", "benchmarks") for p in ROOT.glob(f"{d}/**/*.md"))]
    )


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return a part of a document from its heading to the next heading of the same level or a higher one."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("#") and line.lstrip("#").strip() == heading)
    level = len(lines[begin]) - len(lines[begin].lstrip("#"))
    rest = lines[begin + 1 :]
    ends = (i for i, line in enumerate(rest) if re.match(rf"#{{1,{level}}} ", line))
    return "\n".join(rest[: next(ends, len(rest))])


def cells(row: str) -> list[str]:
    """Return the cells of a Markdown table row."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def table_rows(text: str) -> list[list[str]]:
    """Return the rows of a Markdown table without its head."""
    rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows[2:] if row]


def fenced(text: str) -> Iterator[tuple[str, str]]:
    """Return language and content of every fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def _shown(column: Column) -> list[str]:
    bounds = " to ".join(bound for bound in (column.min, column.max) if bound is not None)
    if column.min is not None and column.max is None:
        bounds = f"from {column.min}"
    name = f"`{column.column}`" + ("*" if column.required else "")
    return [name, column.type, column.unit, bounds, column.default or "", column.en, column.zh]


def book_tables() -> str:
    """Return the book tables of docs/formats.md, made from the attribute table of the catalogue."""
    parts = []
    for table, columns in book_columns().items():
        rows = [
            "| column | type | unit | range | default | meaning | 含义 |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        rows += ["| " + " | ".join(_shown(column)) + " |" for column in columns]
        parts.append("\n".join([f"#### `{table}`", "", *rows]))
    return "\n\n".join(parts)


def with_tables(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{book_tables()}\n\n{END}{after}"


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the tests of a file, those of a class as `Class::test`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
    return frozenset(names)


def named_tests(text: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/.]+\.py)::([\w:]+)`", text)


def test_every_test_that_the_architecture_names_exists() -> None:
    named = named_tests(text_of("ARCHITECTURE.md"))
    assert named
    missing = [
        f"{file}::{name}" for file, name in named if not (ROOT / file).exists() or name not in defined_in(ROOT / file)
    ]
    assert not missing


@pytest.mark.parametrize("number", [f"9.{n}" for n in range(1, 7)] + ["1.1", "1.2", *(f"4.{n}" for n in range(1, 8))])
def test_every_invariant_has_a_test_beside_it(number: str) -> None:
    rows = table_rows(section(text_of("ARCHITECTURE.md"), "Invariants"))
    assert [row for row in rows if row[0] == number and named_tests(row[-1])]


def layers() -> list[str]:
    """Return the packages of the import rule, lowest first."""
    rule = section(text_of("ARCHITECTURE.md"), "The import rule").partition("Lowest first:")[2].partition(".")[0]
    return re.findall(r"`(\w+)`", rule)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it leads"
            yield str(node.module)


def test_imports_run_one_way_as_the_rule_says() -> None:
    order, source = layers(), ROOT / "src" / "dujiang"
    assert {*order, "verify"} == {p.parent.name for p in source.glob("*/__init__.py")}
    wrong = []
    for rank, layer in enumerate(order):
        # verify is a program of its own; only the command line, on top of all, may call it
        allowed = {*order[: rank + 1], *(["verify"] if layer == order[-1] else [])}
        for path in sorted((source / layer).rglob("*.py")):
            ours = [name.split(".")[1] for name in imports(path) if name.startswith("dujiang.")]
            wrong += [f"{layer}/{path.name} imports {name}" for name in ours if name not in allowed]
    assert not wrong


IMPURE = frozenset(
    (
        *("asyncio", "http", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "signal", "socket"),
        *("sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib"),
    )
)


@pytest.mark.parametrize("layer", ["registry", "policy", "market", "metering", "settlement", "reports"])
def test_pure_steps_touch_no_clock_file_or_process(layer: str) -> None:
    assert f"`{layer}`" in section(text_of("ARCHITECTURE.md"), "The import rule").partition("are pure")[0]
    for path in sorted((ROOT / "src" / "dujiang" / layer).rglob("*.py")):
        assert not {name.split(".")[0] for name in imports(path)} & IMPURE, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert name not in {"open", "now", "today", "utcnow", "read_csv", "read_parquet", "default_rng"}, path


def commands(name: str) -> list[list[str]]:
    """Return every call of the command line in a document's shell blocks and in its code in lines."""
    text = text_of(name)
    lines = [line for language, block in fenced(text) if language == "sh" for line in block.splitlines()]
    lines += re.findall(r"`(dujiang [^`\n]+)`", text)
    lines = [re.sub(r"^\$ ", "", line) for line in lines]
    return [shlex.split(line.split(" | ")[0], comments=True)[1:] for line in lines if line.startswith("dujiang ")]


def _names(group: click.Group) -> Iterator[str]:
    """Return the names of all commands of a group, at any depth."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name
        if isinstance(command, click.Group):
            yield from _names(command)


@pytest.mark.parametrize("name", READMES)
def test_every_command_and_option_of_the_readme_exists(name: str) -> None:
    calls = commands(name)
    called = set()
    for words in calls:
        command: click.Command = app
        context = click.Context(app)
        words = [word for word in words if word not in ("zh", "en", "…")]
        while isinstance(command, click.Group) and (names := [w for w in words if not w.startswith("-")]):
            inner = command.get_command(context, names[0])
            assert inner is not None, words
            words = words[words.index(names[0]) + 1 :]
            called.add(names[0])
            command = inner
        options = {option for parameter in command.params for option in parameter.opts} | {"--help", "--lang", "--json"}
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= options, words
    assert called == set(_names(app))


def test_both_readmes_name_the_same_commands() -> None:
    english, chinese = (sorted(map(shlex.join, commands(name))) for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_nowhere_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"\w+://|www\.", text)
    targets = [target.partition("#") for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    assert not [file for file, _, _ in targets if file and not (path.parent / file).exists()]
    for file, sign, anchor in targets:
        if sign:
            aim = (path.parent / file if file else path).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", aim, re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_glossary_is_sorted_and_complete() -> None:
    rows = table_rows(text_of("GLOSSARY.md"))
    assert all(len(row) == 3 and all(row) for row in rows)
    words = [row[0].casefold() for row in rows]
    assert words == sorted(set(words))
    assert not [row[1] for row in rows if not CJK.search(row[1])]


@pytest.mark.parametrize(
    "word",
    [
        *("enterprise", "centre", "pool", "offer", "order", "round", "award", "programme", "claim", "voucher"),
        *("product", "corpus", "region", "hub", "operator"),
    ],
)
def test_the_glossary_has_the_words_of_the_design(word: str) -> None:
    assert word in {row[0].casefold() for row in table_rows(text_of("GLOSSARY.md"))}


def test_the_book_tables_are_those_of_the_catalogue() -> None:
    text = FORMATS.read_text(encoding="utf-8")
    assert text == with_tables(text), "run .venv/bin/python tests/test_docs.py"


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("awards.parquet", tuple(AWARD_SCHEMA)),
        ("prices.parquet", tuple(PRICE_SCHEMA)),
        ("rejections.parquet", (*REJECTION_SCHEMA, *Reason)),
        ("multipliers.parquet", tuple(MULTIPLIER_SCHEMA)),
        ("usage.parquet", (*USAGE_SCHEMA, *UsageOutcome)),
        ("ledger.parquet", (*LEDGER_SCHEMA, *EntryKind)),
        ("Programme files", (*shape.PROGRAMME.required, *shape.PROGRAMME.optional, *Op, *shape.GOODS)),
        ("Verification", tuple(RULES)),
    ],
)
def test_formats_name_every_column(heading: str, columns: tuple[str, ...]) -> None:
    said = section(FORMATS.read_text(encoding="utf-8"), heading)
    assert not [column for column in columns if f"`{column}`" not in said]


def test_formats_name_only_columns_of_focus() -> None:
    rows = table_rows(section(FORMATS.read_text(encoding="utf-8"), "focus.csv"))
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert named
    assert named <= set(FOCUS_COLUMNS)


def follow(name: str, folder: Path) -> str:
    """Do what a reader of the worked example does; every text block after a command has to be what it printed."""
    text = text_of(name).partition("<!-- example: begin -->")[2].partition("<!-- example: end -->")[0]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"DUJIANG_LANG": "zh" if name.endswith("zh.md") else "en"}
    printed = ""
    for language, block in fenced(text):
        if language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            printed = done.stdout
        elif language == "text":
            assert [line.rstrip() for line in block.splitlines()] == [line.rstrip() for line in printed.splitlines()]
    return text


@pytest.mark.parametrize("name", READMES)
def test_the_worked_example_gives_what_the_readme_prints(name: str, tmp_path: Path) -> None:
    text = follow(name, tmp_path)
    awards = pl.read_parquet(tmp_path / "build/tiny/awards.parquet")
    found = [
        [r["order_id"], r["pool_id"], f"{r['start']}-{r['start'] + r['slots']}"]
        + [f"{r[f'{column}_ucny'] / 1_000_000:g}" for column in ("gross", "transfer", "voucher", "net")]
        for r in awards.iter_rows(named=True)
    ]
    assert found
    assert [row for row in table_rows(text) if row[0] in set(awards["order_id"])] == found
    formats_name_everything_of(tmp_path / "build/tiny-run")


def formats_name_everything_of(run: Path) -> None:
    """Hold docs/formats.md against the files of a run and the keys of its documents."""
    text = FORMATS.read_text(encoding="utf-8")
    names = [p.name for p in run.iterdir() if not p.name.startswith(".")]
    assert not [name for name in names if f"`{name}`" not in text and f"`{name}/`" not in text]
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    state = json.loads((run / "run.json").read_text(encoding="utf-8"))
    keys = {*summary, *summary["run"], *summary["vouchers"][0], *summary["by_centre"][0]}
    assert not [key for key in sorted(keys) if f"`{key}`" not in section(text, "summary.json")]
    assert not [key for key in state if f"`{key}`" not in section(text, "run.json")]


if __name__ == "__main__":
    FORMATS.write_text(with_tables(FORMATS.read_text(encoding="utf-8")), encoding="utf-8")
