"""Reads a study file: every problem at once, those of each point's scenario included."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.problem import Problem, ProblemList, did_you_mean, sorted_problems
from dujiang.core.text import Text
from dujiang.lab.design import (
    Axis,
    Factor,
    Further,
    Point,
    Points,
    Search,
    Split,
    Study,
    changed,
    key_name,
    points_of,
    put,
    value_label,
)
from dujiang.lab.effects import ALL_EFFECTS
from dujiang.lab.measures import MEASURES
from dujiang.lab.parse_scenario import parse_scenario
from dujiang.lab.scenario import Scenario
from dujiang.lab.search import MOST_DIMENSIONS
from dujiang.policy.reader import Fields, Reader, one_of
from dujiang.policy.shape import Shape
from dujiang.store.read_document import read_document

STUDY: Final = Shape(
    ("scenario",),
    ("title", "question", "vary", "also", "seeds", "reference", "bootstrap", "search"),
)
_VARY: Final = Shape(("values",), ("labels", "name"))
_ALSO: Final = Shape(("set",), ("label",))
_BOOTSTRAP: Final = Shape((), ("resamples", "block_h", "level", "seed"))
_SEARCH: Final = Shape(("goal", "over"), ("direction", "against", "at_most", "split", "evaluations"))
_AXIS: Final = Shape(("low", "high"), ("whole",))
_SPLIT: Final = Shape(("total_cny", "among"))

MOST_POINTS = 10_000
MOST_SEEDS = 1_000
MOST_RUNS = 20_000
MOST_RESAMPLES = 100_000
RESAMPLES, BLOCK_H, LEVEL, EVALUATIONS = 1000, 24, 0.95, 60
GOALS = tuple(measure.key for measure in (*MEASURES, *ALL_EFFECTS))
"""What a search can look for."""
_EFFECTS = frozenset(effect.key for effect in ALL_EFFECTS)
_LABEL = Text("a text, or one for each language (en, zh)", "文本，或 en、zh 两种语言的文本")


def read_study(path: Path, trace: Path | None = None) -> Study:
    """Read a study file; paths in it count from its folder, those of its scenario from the scenario's.

    Parameters
    ----------
    path : the file
    trace : takes the place of `demand.trace`

    Raises
    ------
    InputError : with every problem of the study, of its scenario and of the scenarios of its points
    """
    problems = ProblemList()
    doc = read_document(path, problems)
    if doc is None:
        raise InputError(problems)
    study, found = parse_study(doc, path.parent, trace)
    if study is None:
        raise InputError(found)
    return study


def parse_study(doc: Marked, folder: Path, trace: Path | None = None) -> tuple[Study | None, list[Problem]]:
    """Turn a document into a study.

    Parameters
    ----------
    doc : the parsed YAML
    folder : where its paths count from
    trace : takes the place of `demand.trace`

    Returns
    -------
    the study, or None and every problem found, in reading order
    """
    parser = _Parser(doc, folder, trace)
    study = parser.study()
    return study, [] if study is not None else sorted_problems(parser.problems())


def scenario_of(study: Study, point: Point, seed: int) -> Scenario:
    """Return the scenario of a point with one seed.

    Raises
    ------
    InputError : a point of a search makes none; points of a grid were checked when the study was read
    """
    scenario, problems = parse_scenario(_document(study, point, seed), study.folder)
    if scenario is None:
        raise InputError(problems)
    return replace(scenario, title=_titled(scenario.title, point.label) if point.values else scenario.title)


def _document(study: Study, point: Point, seed: int) -> Marked:
    return changed(study.scenario, [*point.values.items(), ("seed", seed)])


def _titled(title: Text, label: Text) -> Text:
    return Text(f"{title.en} – {label.en}", f"{title.zh}——{label.zh}")


class _Parser:
    """Takes one document apart."""

    def __init__(self, doc: Marked, folder: Path, trace: Path | None) -> None:
        self.doc, self.folder, self.trace = doc, folder, trace
        self.reader = Reader(doc)
        self.elsewhere: list[Problem] = []
        """Of the scenario, in its own file."""
        self.inline = False
        """Whether the scenario stands in the study itself."""

    def problems(self) -> list[Problem]:
        return [*self.reader.problems, *self.elsewhere]

    def study(self) -> Study | None:
        file = self.reader.fields(self.doc.value, "", STUDY)
        scenario, folder = self._scenario(file)
        factors = self._factors(file, scenario)
        further = self._further(file, scenario)
        reference = self._values(file, "reference", scenario) if file.given("reference") else None
        search = self._search(file, scenario)
        if search is not None and factors:
            self.reader.note("conflict", "vary", None, Text("either `vary` or `search`", "vary 与 search 二选一"))
        bootstrap = file.inner("bootstrap", _BOOTSTRAP) if file.given("bootstrap") else Fields(self.reader, "", {})
        study = Study(
            title=_label(file, "title") or Text("A study", "情景研究"),
            question=_label(file, "question"),
            scenario=scenario or self.doc,
            folder=folder,
            factors=factors,
            further=further,
            seeds=self._seeds(file, scenario),
            reference=reference,
            resamples=_whole(bootstrap, "resamples", 0, MOST_RESAMPLES, RESAMPLES),
            block_h=_whole(bootstrap, "block_h", 1, 10_000, BLOCK_H),
            level=_number(bootstrap, "level", 0.5, 0.999, LEVEL),
            search=search,
            design_seed=_whole(bootstrap, "seed", 0, 2**63 - 1, 1),
        )
        if scenario is None or self.problems():
            return None
        self._check_points(study)
        return None if self.problems() else study

    def _scenario(self, file: Fields) -> tuple[Marked | None, Path]:
        """Take the scenario: the name of a file, or the mapping itself."""
        given, folder = file.raw("scenario"), self.folder
        if isinstance(given, str):
            problems = ProblemList()
            doc = read_document(self.folder / given, problems)
            self.elsewhere += problems
            folder = (self.folder / given).parent
        elif isinstance(given, dict):
            self.inline = True
            lines = {
                path.removeprefix("scenario."): line
                for path, line in self.doc.lines.items()
                if path.startswith("scenario.")
            }
            doc = Marked(self.doc.file, given, lines)
        else:
            if file.has("scenario"):
                expected = Text("a scenario, or the name of its file", "情景，或情景文件名")
                self.reader.note("bad-type", "scenario", given, expected)
            return None, folder
        if doc is None:
            return None, folder
        if not isinstance(doc.value, dict):
            self.elsewhere.append(doc.problem("bad-type", "", doc.value, Text("a scenario", "情景")))
            return None, folder
        if self.trace is not None:
            doc = changed(doc, [("demand.trace", str(self.trace.absolute()))])
        return doc, folder

    def _path(self, at: str, path: object, scenario: Marked | None, value: Any = None) -> bool:
        """Note a path that leads nowhere in the scenario, or to what a study sets itself."""
        expected = Text(
            "a dotted path into the scenario, such as programmes.ID.rate",
            "情景中以点分隔的路径，如 programmes.ID.rate",
        )
        if not isinstance(path, str) or not all(path.split(".")):
            self.reader.note("bad-path", at, path, expected)
        elif path == "seed":
            fix = Text("write `seeds` at the top of the study", "请在研究文件顶层写 seeds")
            self.reader.note("bad-path", at, path, expected, fix)
        elif scenario is None:
            return True
        else:
            trial = changed(scenario, [])
            nowhere = put(trial.value, path, value)
            if nowhere is None:
                return True
            self.reader.note("no-such-item", at, path, expected, _near(trial.value, nowhere))
        return False

    def _factors(self, file: Fields, scenario: Marked | None) -> tuple[Factor, ...]:
        given = file.raw("vary")
        if given is None:
            return ()
        if not isinstance(given, dict):
            self.reader.note("bad-type", "vary", given, Text("path: [values]", "路径: [取值]"))
            return ()
        found = []
        for key, value in given.items():
            at = f"vary.{key}"
            if not self._path(at, key, scenario):
                continue
            fields = self.reader.fields(value if isinstance(value, dict) else {"values": value}, at, _VARY)
            values = fields.raw("values")
            if not isinstance(values, list) or not values or len(values) > MOST_POINTS:
                self.reader.note("bad-type", at, values, Text("a list of values", "取值列表"))
                continue
            if any(value in values[:row] for row, value in enumerate(values)):
                self.reader.note("duplicate-value", at, values, Text("each value once", "每个取值只出现一次"))
                continue
            labels = self._labels(fields, key, values)
            found.append(Factor(key, _label(fields, "name") or key_name(key), tuple(values), labels))
        return tuple(found)

    def _labels(self, fields: Fields, key: str, values: list[Any]) -> tuple[Text, ...]:
        given = fields.raw("labels")
        if given is None:
            return tuple(value_label(key, value) for value in values)
        if not isinstance(given, list) or len(given) != len(values):
            fields.note("bad-length", "labels", Text("a label for each value", "每个取值一个标签"))
            return tuple(value_label(key, value) for value in values)
        inner = Fields(self.reader, fields.at("labels"), {str(row): label for row, label in enumerate(given)})
        return tuple(_label(inner, str(row)) or value_label(key, value) for row, value in enumerate(values))

    def _values(self, file: Fields, name: str, scenario: Marked | None) -> dict[str, Any]:
        """Take a mapping of paths to values."""
        given = file.raw(name)
        if not isinstance(given, dict) or not given:
            file.note("bad-type", name, Text("path: value", "路径: 取值"))
            return {}
        return {key: value for key, value in given.items() if self._path(f"{file.at(name)}.{key}", key, scenario)}

    def _further(self, file: Fields, scenario: Marked | None) -> tuple[Further, ...]:
        found = []
        for path, item in file.items("also"):
            fields = self.reader.fields(item, path, _ALSO)
            if not fields.has("set"):
                continue
            values = self._values(fields, "set", scenario)
            label = _label(fields, "label") or Text(
                ", ".join(f"{key_name(key).en} {value_label(key, value).en}" for key, value in values.items()),
                "，".join(f"{key_name(key).zh}{value_label(key, value).zh}" for key, value in values.items()),
            )
            found.append(Further(values, label))
        return tuple(found)

    def _seeds(self, file: Fields, scenario: Marked | None) -> tuple[int, ...]:
        """Take a number of seeds, counted from the scenario's own, or a list of them."""
        given = file.raw("seeds")
        own = scenario.value.get("seed", 1) if scenario is not None else 1
        first = own if _is_seed(own) else 1
        if given is None:
            return (first,)
        if _is_seed(given) and 1 <= given <= MOST_SEEDS:
            return tuple(range(first, first + given))
        if isinstance(given, list) and 1 <= len(given) <= MOST_SEEDS and all(map(_is_seed, given)):
            if len(set(given)) == len(given):
                return tuple(given)
            file.note("duplicate-value", "seeds", Text("each seed once", "每个种子只出现一次"))
        else:
            expected = Text(
                f"how many (1-{MOST_SEEDS}), or a list of whole numbers", f"个数（1—{MOST_SEEDS}）或整数列表"
            )
            file.note("bad-number", "seeds", expected)
        return (first,)

    def _search(self, file: Fields, scenario: Marked | None) -> Search | None:
        if not file.given("search"):
            return None
        fields = file.inner("search", _SEARCH)
        goal = _goal(fields, "goal", None)
        against = _goal(fields, "against", "voucher_cny")
        direction = fields.word("direction", ("max", "min")) if fields.has("direction") else "max"
        axes = self._axes(fields, scenario)
        split = self._split(fields, scenario) if fields.given("split") else None
        at_most = _number(fields, "at_most", -1e15, 1e15, None) if fields.has("at_most") else None
        evaluations = _whole(fields, "evaluations", 2, MOST_POINTS, EVALUATIONS)
        if {goal, against} & _EFFECTS and not file.given("reference"):
            expected = Text(
                "a `reference` to compare with: effects are differences", "需给出 reference：效应是与之的差"
            )
            self.reader.note("missing-field", "reference", None, expected)
        if goal is None or against is None or not (axes or split):
            return None
        width = len(axes) + (0 if split is None else len(split.among) - 1)
        if width > MOST_DIMENSIONS:
            expected = Text(f"at most {MOST_DIMENSIONS} parameters", f"不超过 {MOST_DIMENSIONS} 个参数")
            fields.note("too-many", "over", expected)
        return Search(goal, direction == "max", against, axes, split, evaluations, at_most)

    def _axes(self, search: Fields, scenario: Marked | None) -> tuple[Axis, ...]:
        given = search.raw("over")
        if not isinstance(given, dict) or (not given and not search.given("split")):
            if search.has("over"):
                search.note("bad-type", "over", Text("path: {low, high}", "路径: {low, high}"))
            return ()
        axes = []
        for key, value in given.items():
            at = f"{search.at('over')}.{key}"
            if not self._path(at, key, scenario):
                continue
            fields = self.reader.fields(value, at, _AXIS)
            low, high = (_number(fields, name, -1e15, 1e15, None) for name in ("low", "high"))
            whole = fields.flag("whole") if fields.has("whole") else False
            if low is None or high is None:
                continue
            if whole and math.ceil(low) >= math.floor(high):
                fields.note(
                    "bad-number",
                    "high",
                    Text("two whole numbers at least between low and high", "low 与 high 之间至少两个整数"),
                )
                continue
            if low >= high:
                fields.note("bad-number", "high", Text(f"more than {low:g}", f"大于 {low:g}"))
                continue
            axes.append(Axis(key, low, high, bool(whole)))
        return tuple(axes)

    def _split(self, search: Fields, scenario: Marked | None) -> Split | None:
        fields = search.inner("split", _SPLIT)
        total = _number(fields, "total_cny", 0.01, 1e9, None)
        among = fields.names("among")
        good = [self._path(fields.at("among"), path, scenario) for path in among]
        if len(among) == 1:
            fields.note("bad-length", "among", Text("at least two paths", "至少两个路径"))
        return None if total is None or len(among) < 2 or not all(good) else Split(total, among)

    def _check_points(self, study: Study) -> None:
        """Parse the scenario of every point: what is wrong in one is said before the first runs."""
        size = 1
        for factor in study.factors:
            size *= len(factor.values)
        runs = (size + len(study.further)) * len(study.seeds)
        if size > MOST_POINTS or runs > MOST_RUNS:
            expected = Text(
                f"at most {MOST_POINTS} points and {MOST_RUNS} runs", f"不超过 {MOST_POINTS} 个点、{MOST_RUNS} 次运行"
            )
            self.reader.note("too-large", "vary", f"{size} points, {runs} runs", expected)
            return
        points = _corners(study) if study.search is not None else points_of(study).found
        # Of the scenario as it stands only the seed counts: the points change what they change, and set their own seed.
        _, own = parse_scenario(study.scenario, study.folder)
        seen = dict.fromkeys(self._placed(problem) for problem in own if problem.field == "seed")
        for point in points:
            _, problems = parse_scenario(_document(study, point, study.seeds[0]), study.folder)
            for problem in problems:
                seen[self._placed(problem) if problem in own else self._moved(problem, point, study)] = None
        self.elsewhere += seen

    def _placed(self, problem: Problem) -> Problem:
        """Say of a problem of a scenario that stands in the study itself where that is."""
        return replace(problem, field=f"scenario.{problem.field}") if self.inline and problem.field else problem

    def _moved(self, problem: Problem, point: Point, study: Study) -> Problem:
        """Say of a problem that comes with a value of the study where that stands in the study."""
        if problem.file != study.scenario.file or problem.field is None:
            return problem
        for key in point.values:
            if _reaches(study.scenario.value, key, problem.field):
                at = next(
                    (
                        f"{group}.{key}"
                        for group in ("vary", "search.over", "reference")
                        if f"{group}.{key}" in self.doc.lines
                    ),
                    "also",
                )
                return replace(problem, file=self.doc.file, row=self.doc.lines.get(at), field=at)
        return self._placed(problem)


def _reaches(document: Any, key: str, place: str) -> bool:
    """Say whether a problem's place lies at or below a path, or above it; items of lists have numbers there."""
    parts, here = [], document
    for part in key.split("."):
        if isinstance(here, list):
            rows = [row for row, item in enumerate(here) if isinstance(item, dict) and item.get("id") == part]
            at: Any = rows[0] if rows else int(part) if part.isdigit() else 0
            here = here[at] if at < len(here) else None
        else:
            at = part
            here = here.get(part) if isinstance(here, dict) else None
        parts.append(str(at))
    path = ".".join(parts)
    return f"{place}.".startswith(f"{path}.") or path.startswith(f"{place}.")


def _corners(study: Study) -> list[Point]:
    """Return the two opposite corners of a search, its reference and the points beside it, to be checked beforehand."""
    assert study.search is not None
    points = Points(replace(study, search=None))
    for end in ("low", "high"):
        values = {axis.key: getattr(axis, end) for axis in study.search.axes}
        values = {axis.key: int(values[axis.key]) if axis.whole else values[axis.key] for axis in study.search.axes}
        split = study.search.split
        if split is not None:
            values.update({path: round(split.total_cny / len(split.among), 2) for path in split.among})
        points.add(values)
    for further in study.further:
        points.add(further.values, further.label)
    return points.found


def _near(document: Any, nowhere: str) -> Text | None:
    """Suggest the id that was meant where a path left the document."""
    *before, last = nowhere.split(".")
    here = document
    for part in before:
        here = here.get(part) if isinstance(here, dict) else None
    ids = [str(item.get("id")) for item in here if isinstance(item, dict)] if isinstance(here, list) else []
    return did_you_mean(last, ids)


def _label(fields: Fields, name: str) -> Text | None:
    """Take a sentence: one text, or one for each language."""
    value = fields.raw(name)
    if isinstance(value, str) and value.strip():
        return Text(value.strip(), value.strip())
    if isinstance(value, dict):
        return fields.bilingual(name)
    if value is not None:
        fields.note("bad-type", name, _LABEL)
    return None


def _goal(fields: Fields, name: str, default: str | None) -> str | None:
    value = fields.raw(name)
    if value is None and default is not None:
        return default
    if isinstance(value, str) and value in GOALS:
        return value
    if fields.has(name):
        fields.note("unknown-word", name, one_of(GOALS[:12]), did_you_mean(value, GOALS))
    return None


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _whole(fields: Fields, name: str, least: int, most: int, default: int) -> int:
    value = fields.whole(name, least, most) if fields.given(name) else None
    return default if value is None else value


def _number(fields: Fields, name: str, least: float, most: float, default: Any) -> Any:
    value = fields.raw(name)
    if value is None:
        return default
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    fields.note("bad-number", name, Text(f"a number from {least:g} to {most:g}", f"{least:g} 至 {most:g} 的数"))
    return default


__all__ = ["GOALS", "STUDY", "parse_study", "read_study", "scenario_of"]
