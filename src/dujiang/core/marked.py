"""YAML whose every value knows its line, so that a problem can say where it stands."""

from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

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


class _PlainComposer(Composer):
    """Refuses what no document of ours needs: aliases, which can stand for billions of values, and half characters."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node."""
        event = self.parser.peek_event()
        if getattr(event, "anchor", None) is not None:
            raise ComposerError(None, None, "an anchor or alias; write the value out", event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(node, ScalarNode) and any("\ud800" <= c <= "\udfff" for c in node.value):
            raise ComposerError(None, None, "half of a character (a lone surrogate)", node.start_mark)
        return node


class _PlainConstructor(SafeConstructor):
    """Gives every value that cannot be made its place, whatever went wrong inside the library."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Make the value of one node."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise ConstructorError(None, None, f"no {kind}: {shown(str(node.value), 30)}", node.start_mark) from error


def _parser() -> YAML:
    parser = YAML(typ="safe", pure=True)
    parser.allow_duplicate_keys = True
    parser.Composer = _PlainComposer
    parser.Constructor = _PlainConstructor
    return parser


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
    """Parse YAML 1.2 text; anchors, aliases and tags that build objects are problems.

    Parameters
    ----------
    file : name that problems carry
    text : the document

    Returns
    -------
    the document with lines, or None and the problems that prevented it
    """
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    try:
        parser = _parser()
        node = parser.compose(StringIO(text))
        if node is None:
            return Marked(file, None), []
        _walk(node, "", lines, problems, file)
        # From the nodes at hand: to parse the text once more would take as long again.
        value = parser.constructor.construct_document(node) if not problems else None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        return None, [_broken(file, line, str(error.problem or error.context or "broken YAML"))]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return None, [_broken(file, line, f"the character U+{error.character:04X}")]
    except RecursionError:
        return None, [_broken(file, None, "lists or mappings nested hundreds deep")]
    except (YAMLError, ValueError, OverflowError) as error:
        return None, [_broken(file, None, (str(error) or "broken YAML").splitlines()[0])]
    if problems:
        return None, problems
    return Marked(file, value, lines), []


def _broken(file: str, line: int | None, why: str) -> Problem:
    return Problem(
        "bad-yaml", file, line, None, shown(why.removeprefix("found "), 100), Text("a YAML document", "一份 YAML 文档")
    )
