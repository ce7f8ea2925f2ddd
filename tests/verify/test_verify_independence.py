"""The verifier is a second implementation: nothing else of ours is imported, directly or by something it imports."""

import ast
import subprocess
import sys
from pathlib import Path

import dujiang.verify

FOLDER = Path(dujiang.verify.__file__).parent
ALLOWED = {"polars", "numpy", "ruamel"} | set(sys.stdlib_module_names)


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import hides where it leads"
            names.add(str(node.module))
    return names


def test_only_the_standard_library_and_three_others_are_imported() -> None:
    files = sorted(FOLDER.rglob("*.py"))
    assert len(files) > 10
    for path in files:
        for name in imported(path):
            own = name == "dujiang.verify" or name.startswith("dujiang.verify.")
            assert own or name.split(".")[0] in ALLOWED, f"{path.name} imports {name}"


def test_no_other_module_of_ours_is_loaded_with_it() -> None:
    code = "import sys, dujiang.verify; print(*[m for m in sys.modules if m.startswith('dujiang')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "dujiang.verify" in loaded
    assert {name for name in loaded if not name.startswith("dujiang.verify")} == {"dujiang"}
