"""Imports run one way, and the steps from registry to reports touch neither files nor clocks (design 1.1, 1.2)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dujiang

ROOT = Path(dujiang.__file__).parent
LAYERS = (
    *("core", "catalog", "registry", "policy", "finance", "market", "dispatch", "metering", "settlement", "reports"),
    *("store", "exchange", "sim", "lab", "cli"),
)
PURE = frozenset({"registry", "policy", "finance", "market", "metering", "settlement", "reports"})
OUTSIDE = frozenset(
    {
        *("os", "pathlib", "shutil", "tempfile", "glob", "fileinput", "mmap", "fcntl", "sqlite3", "dbm", "shelve"),
        *("time", "sched", "calendar", "locale", "getpass", "platform", "pwd", "signal"),
        *("subprocess", "multiprocessing", "threading", "socket", "ssl", "select", "asyncio"),
        *("http", "urllib", "ftplib", "smtplib", "random", "secrets", "uuid", "builtins"),
    }
)
"""Modules that a pure step does without. It may read the package's own data (`importlib.resources`)."""
CALLS = frozenset({"open", "input", "print", "eval", "exec", "compile", "__import__"})
"""Functions that need no import."""
METHODS = frozenset(
    {
        *("now", "utcnow", "today", "fromtimestamp", "perf_counter", "monotonic", "getenv", "default_rng", "seed"),
        *("open", "FileIO", "write_bytes", "write_text", "unlink", "mkdir", "tofile", "memmap", "loadtxt", "savetxt"),
        *("genfromtxt", "scan_csv", "scan_parquet", "read_csv", "read_parquet"),
        *("write_csv", "write_parquet", "write_json"),
    }
)
"""Methods that read a clock, seed chance or open a file, whatever they are called on."""


def layer_of(name: str) -> str | None:
    """Return the layer of a module of ours, None for somebody else's."""
    parts = name.split(".")
    return (parts[1] if len(parts) > 1 else "") if parts[0] == "dujiang" else None


def imports(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Yield module, name ('' for the module itself) and line of all imports that happen when the program runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield from imports(other)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{'.' * node.level}{node.module or ''}"
            yield from ((module, alias.name, node.lineno) for alias in node.names)
        else:
            yield from imports(node)


def one_way(layer: str, tree: ast.AST) -> Iterator[str]:
    """Yield each import of a layer to its right, or out of `verify`, which stands alone."""
    for module, name, line in imports(tree):
        if module.startswith("."):
            yield f"{line}: a relative import hides where it leads"
            continue
        # `from dujiang import x` may import the layer x.
        target = layer_of(f"{module}.{name}" if module == "dujiang" and name else module)
        if target is None or target in ("__version__", ""):
            continue
        if layer == "verify":
            allowed = target == "verify"
        elif target == "verify":
            allowed = layer == "cli"
        elif layer not in LAYERS or target not in LAYERS:
            allowed = False
        else:
            allowed = LAYERS.index(target) <= LAYERS.index(layer)
        if not allowed:
            yield f"{line}: {layer} imports {target}"


def impure(tree: ast.AST) -> Iterator[str]:
    """Yield each way to a file, a clock, a socket or chance."""
    for module, name, line in imports(tree):
        if module.split(".")[0] in OUTSIDE or name in METHODS:
            yield f"{line}: imports {module} {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            yield f"{node.lineno}: .{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield f"{node.lineno}: {node.func.id}()"


MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if len(path.relative_to(ROOT).parts) > 1)


def test_every_folder_is_a_layer() -> None:
    assert {path.parts[0] for path in MODULES} == {*LAYERS, "verify"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert list(one_way(path.parts[0], tree)) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] in PURE | {"core", "catalog"}], ids=str)
def test_pure_steps_touch_nothing_outside(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert list(impure(tree)) == []


@pytest.mark.parametrize(
    "layer, code",
    [
        ("core", "import dujiang.catalog.tables"),
        ("registry", "from dujiang.policy.terms import voucher_terms"),
        ("registry", "def f():\n    from dujiang.store import files"),
        ("market", "from dujiang import cli"),
        ("market", "if x:\n    import dujiang.cli.main"),
        ("reports", "from ..store import files"),
        ("settlement", "from dujiang.verify import verify"),
        ("verify", "from dujiang.core.money import cny"),
        ("verify", "import dujiang.core"),
        ("policy", "from dujiang.unheard_of import x"),
    ],
)
def test_an_import_the_other_way_is_seen(layer: str, code: str) -> None:
    assert len(list(one_way(layer, ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "layer, code",
    [
        ("policy", "from dujiang.registry.book import Book"),
        ("policy", "import dujiang.policy.terms"),
        ("cli", "from dujiang import __version__"),
        ("cli", "from dujiang.verify import verify"),
        ("verify", "from dujiang.verify.cells import Broken\nimport polars"),
        ("core", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from dujiang.cli import main"),
    ],
)
def test_an_import_that_runs_the_right_way_is_not(layer: str, code: str) -> None:
    assert list(one_way(layer, ast.parse(code))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "import os.path",
        "from time import perf_counter",
        "from pathlib import Path",
        "import random",
        "def f():\n    import socket",
        "from datetime import datetime\nx = datetime.now()",
        "x = date.today()",
        "open('f')",
        "print('x')",
        "x = np.random.default_rng(0)",
        "frame.write_parquet('f')",
        "x = pl.read_csv('f')",
        "import io\nx = io.open('f')",
        "from io import FileIO",
    ],
)
def test_a_way_out_is_seen(code: str) -> None:
    assert list(impure(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    ["from io import StringIO", "from importlib.resources import files", "from datetime import datetime", "import csv"],
)
def test_what_touches_nothing_is_not(code: str) -> None:
    assert list(impure(ast.parse(code))) == []


def test_the_lists_name_modules_that_exist() -> None:
    assert set(sys.stdlib_module_names) >= OUTSIDE
    assert set(LAYERS) > PURE
