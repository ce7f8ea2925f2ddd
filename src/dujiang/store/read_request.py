"""Reads `request.yaml`: what an enterprise wants to compute, by when, where its data are, and what else it needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from dujiang.core.marked import Marked
from dujiang.core.money import FEN, MAX_UCNY, MICRO
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.finance.estimate import Range, between
from dujiang.policy.facts import DOMESTIC, SELLER_COLUMNS
from dujiang.policy.parse import stored_fact
from dujiang.policy.programme import Base
from dujiang.policy.reader import Fields, Reader, as_micro
from dujiang.policy.shape import Shape
from dujiang.policy.stated import stored_value
from dujiang.registry.book import Fact
from dujiang.store.read_project import ProjectFile, parse_project

ORDER: Final = (
    *("gpus", "release", "deadline", "accelerators", "stacks", "regions"),
    *("origin_region", "origin_centre", "data_gb", "rtt_ms_max"),
)
"""Fields that mean what the columns of `orders` do."""
REQUEST: Final = Shape(("workload",), (*ORDER, "id", "deadline_hours", "purpose", "purchase", "needs", "funding"))
WORKLOAD: Final = Shape((), ("parameters", "tokens", "utilisation", "gpu_hours", "peak_tflops"))
NEED: Final = Shape((), ("cny", "count", "cny_each", "source"))
PEOPLE: Final = Shape((), ("cny", "count", "months", "cny_each", "source"))
INFERENCE: Final = Shape((), ("cny", "gpu_hours", "parameters", "tokens", "utilisation", "cny_per_gpu_hour", "source"))

PEOPLE_KIND: Final = "people"
INFERENCE_KIND: Final = "inference"
OF_THE_QUOTE: Final = ("compute", "transfer")
"""Kinds of cost that the market's quote sets."""
CASES: Final = ("low", "expected", "high")
MAX_NEEDS: Final = 30

_KIND = re.compile(r"[A-Za-z0-9一-鿿][A-Za-z0-9一-鿿._-]{0,79}")
_MOST_COUNT = 10**18
_MOST = 10**9
_RANGE = Text("a number, [low, high] or [low, expected, high]", "数值、[下限, 上限] 或 [下限, 预期, 上限]")
_QUOTED: Final = frozenset({*(f"{base.value}_ucny" for base in Base), *SELLER_COLUMNS, DOMESTIC, "good", "date"})
"""Facts of a purchase that follow from the quote."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A range as the request states it; millionths of its unit, money in micro-yuan."""

    value: Range
    middle: bool
    """Two ends were stated; what is expected is the middle."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be computed: a model and its tokens, or GPU-hours at speed 1.0."""

    parameters: Stated | None
    """A count, as are tokens."""
    tokens: Stated | None
    utilisation: Stated | None
    gpu_hours: Stated | None
    peak_mflops: Mapping[str, int]
    """Accelerator -> dense peak that the request states, millions of operations a second."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its file describes it."""

    id: str
    gpus: int
    workload: Workload
    purpose: str | None
    purchase: Mapping[str, Fact]
    """What is known of the purchase beyond the quote, as in a `spend.yaml`."""
    needs: Mapping[str, Mapping[str, Stated]]
    """Kind of cost -> the figures stated for it, by field."""
    sources: Mapping[str, str]
    """Kind of cost -> where the request has its figures from."""
    funding: ProjectFile | None
    """The project to be funded; its costs are all zero, kind by kind."""
    case: str
    """Which end of the ranges is funded, one of `CASES`."""
    document: Marked


def order_of(doc: Marked) -> Marked:
    """Return the part of a request that an order file would hold, with a run time as short as there is.

    How long the run takes differs from pool to pool, so the reader of orders shall judge everything but that.
    """
    value: dict[str, Any] = {name: doc.value[name] for name in ORDER if name in doc.value}
    lines = dict(doc.lines)
    if value.get("release") is None:
        value["release"] = 0
    if value.get("deadline") is None:
        # Where neither is stated, or wrongly, the reader of requests says so.
        value["deadline"] = _count_or(doc.value.get("deadline_hours"), 1) + _count_or(value["release"], 0)
        lines["deadline"] = lines.get("deadline_hours", 1)
    return Marked(doc.file, {**value, "hours": "0.000001"}, lines)


def _count_or(value: object, otherwise: int) -> int:
    counted = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST
    return value if counted and isinstance(value, int) else otherwise


def parse_request(doc: Marked, problems: ProblemList) -> Request | None:
    """Read a request; None if it has any problem other than those that `order_of` shows to the reader of orders.

    Parameters
    ----------
    doc : the parsed document
    problems : takes every problem, with file, line and field
    """
    parser = _Parser(doc)
    found = parser.request()
    problems.extend(parser.reader.problems)
    problems.extend(parser.elsewhere)
    return None if parser.reader.problems or parser.elsewhere else found


class _Parser:
    """Takes one request apart."""

    def __init__(self, doc: Marked) -> None:
        self.doc = doc
        self.reader = Reader(doc)
        self.elsewhere = ProblemList()
        """Of the part that the reader of projects reads."""
        self.sources: dict[str, str] = {}

    def request(self) -> Request:
        """Read the whole document."""
        f = self.reader.fields(self.doc.value, "", REQUEST)
        if f.given("deadline") == f.given("deadline_hours"):
            expected = Text("one of deadline (a slot) and deadline_hours", "deadline（时段）与 deadline_hours 二选一")
            f.note("missing-field", "deadline", expected)
        f.whole("deadline_hours", 1, 1_000_000)
        workload = self._workload(f)
        needs = self._needs(f, workload)
        gpus = f.raw("gpus")
        return Request(
            id=f.text("id", nullable=True) or self.doc.file.rpartition(".")[0] or self.doc.file,
            gpus=gpus if isinstance(gpus, int) else 0,  # the reader of orders says what is wrong with it
            workload=workload,
            purpose=f.text("purpose", nullable=True),
            purchase=self._purchase(f),
            needs=needs,
            sources=self.sources,
            funding=self._funding(f, (*OF_THE_QUOTE, *needs)),
            case=self._case(f),
            document=self.doc,
        )

    def _workload(self, f: Fields) -> Workload:
        if not isinstance(f.raw("workload"), dict):
            if f.has("workload"):
                f.note("bad-type", "workload", Text("a mapping of fields", "字段的映射"))
            return Workload(None, None, None, None, {})
        w = f.inner("workload", WORKLOAD)
        if w.given("gpu_hours") and w.given("utilisation"):
            w.note("not-stated", "utilisation", Text("nothing beside gpu_hours", "填写 gpu_hours 时无需填写"))
        by_model = w.given("parameters") or w.given("tokens")
        if by_model == w.given("gpu_hours") or (by_model and not (w.given("parameters") and w.given("tokens"))):
            f.note(
                "bad-workload",
                "workload",
                Text("parameters and tokens, or gpu_hours alone", "parameters 与 tokens，或仅 gpu_hours"),
            )
        return Workload(
            self._count(w, "parameters"),
            self._count(w, "tokens"),
            self._share(w, "utilisation"),
            self._plain(w, "gpu_hours"),
            self._peaks(w),
        )

    def _peaks(self, f: Fields) -> dict[str, int]:
        value = f.raw("peak_tflops")
        if value is None:
            return {}
        if not isinstance(value, dict):
            f.note("bad-type", "peak_tflops", Text("accelerator: TFLOPS", "加速卡: TFLOPS"))
            return {}
        found = {}
        for name, peak in value.items():
            micro = as_micro(peak)
            if micro is None or not 0 < micro <= 10**6 * MICRO:
                expected = Text("a number above 0 and at most a million", "大于 0、不超过一百万的数")
                self.reader.note("bad-number", f"{f.at('peak_tflops')}.{name}", peak, expected)
            else:
                found[str(name)] = micro
        return found

    def _needs(self, f: Fields, workload: Workload) -> dict[str, dict[str, Stated]]:
        value = f.raw("needs")
        if value is None:
            return {}
        if not isinstance(value, dict):
            f.note("bad-type", "needs", Text("needs by kind of cost", "按费用类别列出的需求"))
            return {}
        if len(value) > MAX_NEEDS:
            self.reader.too_many("needs", len(value), MAX_NEEDS)
            return {}
        found = {}
        for kind, item in value.items():
            path = f"needs.{kind}"
            if not isinstance(kind, str) or not _KIND.fullmatch(kind):
                self.reader.note("bad-id", "needs", kind, Text("a short name without spaces", "不含空格的短名称"))
            elif kind in OF_THE_QUOTE:
                self.reader.note("not-stated", path, kind, Text("nothing: the quote sets it", "无需填写：由报价得出"))
            else:
                found[kind] = self._need(kind, item, path, workload)
        return found

    def _need(self, kind: str, item: object, path: str, workload: Workload) -> dict[str, Stated]:
        shape = {PEOPLE_KIND: PEOPLE, INFERENCE_KIND: INFERENCE}.get(kind, NEED)
        f = self.reader.fields(item, path, shape)
        if not isinstance(item, dict):
            return {}
        stated = [name for name in shape.optional if f.given(name) and name != "source"]
        given = set(stated)
        source = f.text("source", nullable=True)
        if source is not None:
            self.sources[kind] = source
        wanted = _WANTED.get(kind, _WANTED_OTHER)
        if not any(must <= given <= must | may for must, may in wanted.sets):
            self.reader.note("bad-need", path, ", ".join(stated) or None, wanted.words)
        if kind == INFERENCE_KIND and "tokens" in given and "parameters" not in given and workload.parameters is None:
            self.reader.note("missing-field", f"{path}.parameters", None, Text("how large the model is", "模型参数量"))
        read = {name: self._field(f, name) for name in stated}
        return {name: value for name, value in read.items() if value is not None}

    def _field(self, f: Fields, name: str) -> Stated | None:
        if name in ("parameters", "tokens"):
            return self._count(f, name)
        if name == "utilisation":
            return self._share(f, name)
        return self._money(f, name) if name.startswith("cny") else self._plain(f, name)

    def _count(self, f: Fields, name: str) -> Stated | None:
        expected = Text(f"whole numbers from 1 to {_MOST_COUNT:.0e}", f"1 至 {_MOST_COUNT:.0e} 的整数")
        found = self._range(f, name, MICRO, _MOST_COUNT * MICRO, MICRO, expected)
        return None if found is None else Stated(Range(*(end // MICRO for end in found.value)), found.middle)

    def _share(self, f: Fields, name: str) -> Stated | None:
        return self._range(f, name, 1, MICRO, 1, Text("shares above 0 and not above 1", "大于 0、不大于 1 的比例"))

    def _plain(self, f: Fields, name: str) -> Stated | None:
        return self._range(f, name, 1, _MOST * MICRO, 1, Text(f"numbers above 0 to {_MOST}", f"0 至 {_MOST} 的数"))

    def _money(self, f: Fields, name: str) -> Stated | None:
        expected = Text(
            "amounts in yuan, not below 0, with at most two decimals", "不小于 0 的金额（元），最多两位小数"
        )
        return self._range(f, name, 0, MAX_UCNY, FEN, expected)

    def _range(self, f: Fields, name: str, least: int, most: int, step: int, expected: Text) -> Stated | None:
        """Read a range of millionths that are multiples of a step."""
        if not f.given(name):
            return None
        value = f.raw(name)
        ends = value if isinstance(value, list) else [value] * 3
        micro = [as_micro(end) for end in ends]
        known = [end for end in micro if end is not None and least <= end <= most and end % step == 0]
        if len(ends) not in (2, 3) or len(known) < len(ends):
            f.note("bad-range", name, Text(f"{_RANGE.en}: {expected.en}", f"{_RANGE.zh}：{expected.zh}"))
            return None
        if known != sorted(known):
            f.note("bad-range", name, Text("ends in ascending order", "由低到高"))
            return None
        if len(known) == 3:
            return Stated(Range(*known), False)
        middle = between(*known)
        return Stated(middle._replace(expected=middle.expected // step * step), True)

    def _purchase(self, f: Fields) -> dict[str, Fact]:
        value = f.raw("purchase")
        if value is None:
            return {}
        if not isinstance(value, dict):
            f.note("bad-type", "purchase", Text("facts as name: value", "以“名称: 值”给出的事实"))
            return {}
        found: dict[str, Fact] = {}
        for key, stated in value.items():
            name = stored_fact(str(key))
            fact = None if stated is None else stored_value(str(key), stated)
            if name in _QUOTED or name == "purpose":
                expected = Text("nothing: it follows from the quote", "无需填写：由报价得出")
                if name == "purpose":
                    expected = Text("purpose beside workload", "purpose 写在 workload 同级")
                self.reader.note("not-stated", f"purchase.{key}", stated, expected)
            elif isinstance(fact, Text):
                self.reader.note("bad-type", f"purchase.{key}", stated, fact)
            elif fact is not None:
                found[name] = fact
        return found

    def _case(self, f: Fields) -> str:
        value = f.raw("funding")
        inner = Fields(self.reader, "funding", value if isinstance(value, dict) else {})
        return inner.word("case", CASES) or "expected"

    def _funding(self, f: Fields, kinds: tuple[str, ...]) -> ProjectFile | None:
        """Let the reader of projects read the section, with the costs that will be worked out standing as zeros."""
        value = f.raw("funding")
        if value is None:
            return None
        if not isinstance(value, dict):
            f.note("bad-type", "funding", Text("the fields of a project without costs", "项目各字段（不含 costs）"))
            return None
        for name in ("costs", "spending"):
            if name in value:
                expected = Text("nothing: it follows from workload, purchase and needs", "无需填写：由需求得出")
                self.reader.note("not-stated", f"funding.{name}", value[name], expected)
        inside = {name: entry for name, entry in value.items() if name not in ("case", "costs", "spending")}
        lines = {path.removeprefix("funding."): n for path, n in self.doc.lines.items() if path.startswith("funding.")}
        lines[""] = self.doc.lines.get("funding", 1)
        found = ProblemList()
        document = Marked(self.doc.file, {**inside, "costs": dict.fromkeys(kinds, 0)}, lines)
        read = parse_project(document, found)
        for problem in found:
            field = "funding" if problem.field is None else f"funding.{problem.field}"
            self.elsewhere.add(replace(problem, field=field, row=problem.row or lines[""]))
        return read


class _Wanted:
    """Which fields a need may state: sets that must be there, with those that may stand beside them."""

    def __init__(self, words: Text, *sets: tuple[set[str], set[str]]) -> None:
        self.words = words
        self.sets = sets


_WANTED_OTHER: Final = _Wanted(
    Text("cny, or count and cny_each", "cny，或 count 与 cny_each"), ({"cny"}, set()), ({"count", "cny_each"}, set())
)
_WANTED: Final[Mapping[str, _Wanted]] = {
    PEOPLE_KIND: _Wanted(
        Text("cny, or count and months (and cny_each, a month)", "cny，或 count 与 months（可加月薪 cny_each）"),
        ({"cny"}, set()),
        ({"count", "months"}, {"cny_each"}),
    ),
    INFERENCE_KIND: _Wanted(
        Text(
            "cny, or gpu_hours, or tokens and utilisation (and cny_per_gpu_hour)",
            "cny、gpu_hours，或 tokens 与 utilisation（可加 cny_per_gpu_hour）",
        ),
        ({"cny"}, set()),
        ({"gpu_hours"}, {"cny_per_gpu_hour"}),
        ({"tokens", "utilisation"}, {"parameters", "cny_per_gpu_hour"}),
    ),
}
