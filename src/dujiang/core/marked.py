"""YAML whose every value knows its line, so that a problem can say where it stands."""

from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text


@dataclass(frozen=True, slots=True)
class Marked:
    """A parsed document: plain Python values, and the line of each path."""

    file: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)

    def problem(self, code: str, path: str, found: object, expected: Text, fix: Text | None = None) -> Problem:
        """Return a problem at a path of this document."""
        line = self.lines.get(path)
        parent = path
        while line is None and "." in parent:
            parent = parent.rpartition(".")[0]
            line = self.lines.get(parent)
        return Problem(code, self.file, line, path or None, shown(found), expected, fix)


def _walk(node: Node, path: str, lines: dict[str, int], problems: list[Problem], file: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            child = f"{path}.{name}" if path else name
            if name in seen:
                problems.append(
                    Problem(
                        "duplicate-key",
                        file,
                        key.start_mark.line + 1,
                        child,
                        shown(name),
                        Text("each key once", "每个键只出现一次"),
                    )
                )
            seen.add(name)
            lines[child] = key.start_mark.line + 1
            _walk(value, child, lines, problems, file)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, f"{path}.{index}" if path else str(index), lines, problems, file)
    else:
        assert isinstance(node, ScalarNode)


def read_yaml(file: str, text: str) -> tuple[Marked | None, list[Problem]]:
    """Parse YAML 1.2 text without anchors' or tags' power to build objects.

    Parameters
    ----------
    file : name that problems carry
    text : the document

    Returns
    -------
    the document with lines, or None and the problems that prevented it
    """
    parser = YAML(typ="safe", pure=True)
    parser.allow_duplicate_keys = True
    try:
        node = parser.compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        return None, [_broken(file, line, str(error.problem or error.context or "broken YAML"))]
    except (YAMLError, ValueError, RecursionError) as error:
        return None, [_broken(file, None, str(error).splitlines()[0] if str(error) else "broken YAML")]
    if node is None:
        return Marked(file, None), []
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    try:
        _walk(node, "", lines, problems, file)
        value = YAML(typ="safe", pure=True).load(text) if not problems else None
    except (YAMLError, ValueError, RecursionError) as error:
        return None, [_broken(file, None, str(error).splitlines()[0])]
    if problems:
        return None, problems
    return Marked(file, value, lines), []


def _broken(file: str, line: int | None, why: str) -> Problem:
    return Problem("bad-yaml", file, line, None, shown(why), Text("a YAML document", "一份 YAML 文档"))
