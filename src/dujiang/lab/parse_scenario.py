"""Reads a scenario file: every problem at once, each with its line; what a file leaves out has the record's default."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import MICRO
from dujiang.core.problem import Problem, ProblemList, did_you_mean, sorted_problems
from dujiang.core.text import Text
from dujiang.lab.generator import LIKE
from dujiang.lab.scenario import (
    SERIES,
    Allocator,
    Clock,
    Demand,
    Firms,
    Fleet,
    Growth,
    Mode,
    Outage,
    ProgrammeChange,
    Quoted,
    Reach,
    Scenario,
    Willingness,
)
from dujiang.policy.catalogue import read_programme
from dujiang.policy.parse import stored_fact
from dujiang.policy.reader import Fields, Reader, as_micro, one_of
from dujiang.policy.shape import Shape
from dujiang.policy.stated import stored_value
from dujiang.registry.book import Fact
from dujiang.registry.header import MAX_SLOTS, parse_header
from dujiang.sim.trace_options import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, FractionalGpus
from dujiang.store.read_book import cannot_open, read_bytes
from dujiang.store.read_document import read_document

FORMATS: Final = ("philly", "pai", "helios", "generic", SERIES)
_SCENARIO: Final = Shape(
    ("fleet", "demand"),
    (
        *("title", "start", "seed", "firms", "programmes", "coupling", "links", "carbon", "policy", "mode"),
        *("round_every_h", "admit_every_h", "horizon_h", "clock", "quoted", "warm_up_h"),
    ),
)
_FLEET: Final = Shape(
    (),
    (
        *("per_vc", "multiple_of_mean_load", "book", "nodes", "region", "regions", "ask_cny_per_gpu_hour", "asks"),
        *("watts_per_gpu", "pue", "grid_kgco2_per_kwh", "growth", "outages", "own_use"),
    ),
)
_DEMAND: Final = Shape(
    (),
    (
        *("trace", "format", "columns", "fractional_gpus", "vcs", "from_s", "to_s", "scale", "generate_h", "like"),
        *("jobs_per_h", "longest_h", "deadline", "data_gb", "origins"),
    ),
)
_FIRMS: Final = Shape(
    (),
    (
        *("count", "employees", "kinds", "cities", "activity_sigma", "willingness", "reference_cny_per_gpu_hour"),
        "facts",
    ),
)
_PROGRAMME: Final = Shape((), ("id", "file", "rate", "cap_cny", "budget_cny", "small_firm"))
_SMALL_FIRM: Final = Shape(("rate",), ("employees_max",))
_GROWTH: Final = Shape(("centre", "from_h", "multiple"))
_OUTAGE: Final = Shape(("centre", "from_h", "to_h"), ("share",))
_DEADLINE: Final = Shape((), ("stretch", "slack_h"))
_LOGNORMAL: Final = Shape((), ("median", "sigma"))
_ELASTICITY: Final = Shape(("elasticity",), ("floor", "ceiling"))
_QUOTED: Final = Shape((), ("knee", "top"))
_LINKS: Final = Shape(("cny_per_gb",))
_CARBON: Final = Shape(("cny_per_kg",))

_MOST_S: Final = 10**10
_MOST_EMPLOYEES: Final = 10_000_000
_PER_VC: Final = Text(
    "observed_peak, recorded, or a multiple such as 1.25x", "observed_peak、recorded，或 1.25x 之类的倍数"
)

T = TypeVar("T")
W = TypeVar("W", Allocator, Mode, Reach, Clock)


def read_scenario(path: Path, trace: Path | None = None) -> Scenario:
    """Read a scenario file; paths in it count from its folder.

    Parameters
    ----------
    path : the file
    trace : takes the place of `demand.trace`, and need not stand there then

    Raises
    ------
    InputError : with every problem of the file
    """
    problems = ProblemList()
    doc = read_document(path, problems)
    if doc is None:
        raise InputError(problems)
    if trace is not None and isinstance(doc.value, dict) and isinstance(doc.value.get("demand"), dict):
        doc.value["demand"]["trace"] = str(trace.absolute())
    scenario, found = parse_scenario(doc, path.parent)
    if scenario is None:
        raise InputError(found)
    return scenario


def parse_scenario(doc: Marked, folder: Path) -> tuple[Scenario | None, list[Problem]]:
    """Turn a document into a scenario.

    Parameters
    ----------
    doc : the parsed YAML; a study may have changed values in it
    folder : where relative paths count from

    Returns
    -------
    the scenario, or None and every problem found, in reading order
    """
    parser = _Parser(doc, folder)
    scenario = parser.scenario()
    problems = sorted_problems([*parser.reader.problems, *parser.elsewhere])
    return (None, problems) if problems else (scenario, [])


class _Parser:
    """Takes one document apart."""

    def __init__(self, doc: Marked, folder: Path) -> None:
        self.doc = doc
        self.folder = folder
        self.reader = Reader(doc)
        self.elsewhere: list[Problem] = []
        """Of the header, which the reader of books reads, and of programme files."""
        self.programmes: set[str] = set()
        """Ids that have been read."""

    def scenario(self) -> Scenario:
        """Read the whole document."""
        f = self.reader.fields(self.doc.value, "", _SCENARIO)
        given: dict[str, Any] = self._header(f)
        given["fleet"] = self._fleet(f.inner("fleet", _FLEET)) if f.has("fleet") else Fleet()
        given["demand"] = self._demand(f.inner("demand", _DEMAND)) if f.has("demand") else Demand()
        if f.given("firms"):
            given["firms"] = self._firms(f.inner("firms", _FIRMS))
        given["programmes"] = self._programmes(f)
        if f.given("links"):
            given["link_ucny_per_gb"] = _micro(f.inner("links", _LINKS), "cny_per_gb", 0, 100_000, 0)
        if f.given("carbon"):
            given["carbon_ucny_per_kg"] = _micro(f.inner("carbon", _CARBON), "cny_per_kg", 0, 10_000, 0)
        words = {"coupling": Reach, "mode": Mode, "clock": Clock}
        given |= {name: _choice(f, name, kind, _default(Scenario, name)) for name, kind in words.items()}
        given["allocator"] = _choice(f, "policy", Allocator, Allocator.MARKET)
        if f.given("quoted"):
            given["quoted"] = self._quoted(f.inner("quoted", _QUOTED))
        for name, least in {"round_every_h": 1, "admit_every_h": 0, "horizon_h": 1, "warm_up_h": 0}.items():
            given[name] = _whole(f, name, least, MAX_SLOTS, _default(Scenario, name))
        given["seed"] = _whole(f, "seed", 0, 2**63 - 1, _default(Scenario, "seed"))
        scenario = Scenario(**given, document=self.doc)
        self._together(f, scenario)
        return scenario

    def _header(self, f: Fields) -> dict[str, Any]:
        """Read title and start as `book.yaml` has them."""
        stem = self.doc.file.rpartition(".")[0] or self.doc.file
        stated = {name: f.raw(name) for name in ("title", "start") if f.given(name)}
        problems = ProblemList()
        document = {"title": stem, "start": "2000-01-01T00:00:00Z", **stated, "slots": 1}
        header = parse_header(Marked(self.doc.file, document, self.doc.lines), problems)
        self.elsewhere += list(problems)
        return {"title": header.title, **({"start": header.start} if "start" in stated else {})}

    def _together(self, f: Fields, s: Scenario) -> None:
        """Note fields that contradict each other."""
        series = s.demand.trace_format == SERIES
        if s.fleet.per_vc and s.demand.origins:
            expected = Text("nothing where virtual clusters are the centres", "以虚拟集群为中心时无需填写")
            self.reader.note("contradiction", "demand.origins", dict(s.demand.origins), expected)
        recorded = f.raw("fleet").get("per_vc") if isinstance(f.raw("fleet"), dict) else None
        if recorded == "recorded" and not series:
            expected = Text("observed_peak or a multiple: only a vc_series records capacity", "observed_peak 或倍数")
            self.reader.note("contradiction", "fleet.per_vc", recorded, expected)
        if recorded == "observed_peak" and series:
            expected = Text("recorded or a multiple: a vc_series knows the capacity", "recorded 或倍数")
            self.reader.note("contradiction", "fleet.per_vc", recorded, expected)
        shortest = max(s.demand.longest_h, s.round_every_h)
        if s.horizon_h < shortest:
            expected = Text(
                f"at least longest_h and round_every_h ({shortest})", f"不小于 longest_h 与 round_every_h（{shortest}）"
            )
            self.reader.note("out-of-range", "horizon_h", s.horizon_h, expected)

    # ---- fleet ---------------------------------------------------------------------------------------------------

    def _fleet(self, f: Fields) -> Fleet:
        given: dict[str, Any] = {}
        kinds = [name for name in ("per_vc", "multiple_of_mean_load", "book", "nodes") if f.given(name)]
        if len(kinds) != 1:
            expected = Text("one of per_vc, book and nodes", "per_vc、book、nodes 三选一")
            self.reader.note("missing-field" if not kinds else "contradiction", f.path, _said(kinds), expected)
        if f.given("per_vc"):
            given |= {"per_vc": True, "multiple_ppm": self._per_vc(f)}
        elif f.given("multiple_of_mean_load"):
            given |= {"per_vc": True, "multiple_ppm": _micro(f, "multiple_of_mean_load", 0.001, 10_000, None)}
        for name in ("book", "nodes"):
            if f.given(name):
                given[name] = self._path(f, name)
        given["region"] = f.text("region") or Fleet().region
        given["region_of"] = _texts(f, "regions")
        ask = _micro(f, "ask_cny_per_gpu_hour", 0, 10_000, Fleet().ask_ucny_per_gpu_hour)
        given["ask_ucny_per_gpu_hour"] = ask
        given["ask_of"] = _each_micro(f, "asks", 0, 10_000)
        given["watts_per_gpu"] = _number(f, "watts_per_gpu", 0, 100_000, None)
        given["pue"] = _number(f, "pue", 1, 10, None)
        given["grid_kgco2_per_kwh"] = _number(f, "grid_kgco2_per_kwh", 0, 3, None)
        given["own_use_ppm"] = _micro(f, "own_use", 0, 1, 0)
        given["growth"] = f.parts("growth", _GROWTH, self._growth)
        given["outages"] = f.parts("outages", _OUTAGE, self._outage)
        return Fleet(**given)

    def _per_vc(self, f: Fields) -> int | None:
        value = f.raw("per_vc")
        if value in ("observed_peak", "recorded"):
            return None
        if isinstance(value, dict):
            return _micro(
                f.inner("per_vc", Shape(("multiple_of_mean_load",))), "multiple_of_mean_load", 0.001, 10_000, None
            )
        multiple = value.removesuffix("x") if isinstance(value, str) and value.endswith("x") else None
        try:
            micro = None if multiple is None else as_micro(float(multiple))
        except ValueError:
            micro = None
        if micro is None or not 1_000 <= micro <= 10_000 * MICRO:
            near = did_you_mean(value, ("observed_peak", "recorded")) if isinstance(value, str) else None
            f.note("bad-value", "per_vc", _PER_VC, near)
        return micro

    def _growth(self, f: Fields) -> Growth | None:
        centre, from_h = f.text("centre"), _whole(f, "from_h", 0, MAX_SLOTS, None)
        multiple = _micro(f, "multiple", 0, 1_000, None)
        if centre is None or from_h is None or multiple is None:
            return None
        return Growth(centre, from_h, multiple)

    def _outage(self, f: Fields) -> Outage | None:
        centre = f.text("centre")
        from_h, to_h = _whole(f, "from_h", 0, MAX_SLOTS, None), _whole(f, "to_h", 1, MAX_SLOTS, None)
        share = _micro(f, "share", 0.000001, 1, MICRO)
        if from_h is not None and to_h is not None and to_h <= from_h:
            f.note("bad-window", "to_h", Text(f"an hour after from_h ({from_h})", f"晚于 from_h（{from_h}）"))
        if centre is None or from_h is None or to_h is None or share is None:
            return None
        return Outage(centre, from_h, to_h, share)

    # ---- demand --------------------------------------------------------------------------------------------------

    def _demand(self, f: Fields) -> Demand:
        d = Demand()
        given: dict[str, Any] = {
            "trace": self._path(f, "trace") if f.given("trace") else None,
            "trace_format": _word(f, "format", FORMATS, d.trace_format),
            "columns": self._columns(f),
            "fractional_gpus": cast(
                FractionalGpus, _word(f, "fractional_gpus", ("leave_out", "round_up"), d.fractional_gpus)
            ),
            "vcs": _whole(f, "vcs", 1, 10_000, d.vcs),
            "from_s": _whole(f, "from_s", 0, _MOST_S, d.from_s),
            "to_s": _whole(f, "to_s", 1, _MOST_S, None),
            "scale": _number(f, "scale", 0.000001, 10_000, d.scale),
            "generate_h": _whole(f, "generate_h", 1, MAX_SLOTS, None),
            "like": _word(f, "like", LIKE, d.like),
            "jobs_per_h": _number(f, "jobs_per_h", 0.001, 1_000_000, None),
            "longest_h": _whole(f, "longest_h", 1, MAX_SLOTS, d.longest_h),
            "data_gb": _number(f, "data_gb", 0, 1_000_000, d.data_gb),
            "origins": self._weights(f, "origins"),
        }
        given |= self._deadline(f)
        demand = Demand(**given)
        self._demand_together(f, demand)
        return demand

    def _demand_together(self, f: Fields, d: Demand) -> None:
        if d.to_s is not None and d.to_s <= d.from_s:
            f.note("bad-window", "to_s", Text(f"a second after from_s ({d.from_s})", f"晚于 from_s（{d.from_s}）"))
        if not f.given("trace") and f.given("format"):
            fix = Text("name it here, or with --trace", "在此填写，或用 --trace 指定")
            expected = Text(f"a file of format {d.trace_format}", f"{d.trace_format} 格式的文件")
            f.note("missing-field", "trace", expected, fix)
        elif not f.given("trace"):
            for name in ("generate_h", "jobs_per_h"):
                if not f.given(name):
                    fix = Text("or name a trace", "或指定 trace")
                    expected = Text(f"{name}, because there is no trace", f"无 trace 时须填写 {name}")
                    f.note("missing-field", name, expected, fix)
            for name in ("columns", "from_s", "to_s", "fractional_gpus"):
                if f.given(name):
                    f.note("contradiction", name, Text("nothing without a trace", "没有 trace 时无需填写"))
        else:
            if f.given("like"):
                f.note("contradiction", "like", Text("nothing beside a trace", "有 trace 时无需填写"))
            if f.given("jobs_per_h") and d.generate_h is None:
                f.note("contradiction", "jobs_per_h", Text("nothing without generate_h", "没有 generate_h 时无需填写"))
        if d.trace_format == SERIES:
            for name in ("columns", "scale", "generate_h", "fractional_gpus", "vcs"):
                if f.given(name):
                    f.note("contradiction", name, Text("nothing beside format: vc_series", "vc_series 格式无需填写"))

    def _deadline(self, f: Fields) -> dict[str, Any]:
        if not f.given("deadline"):
            return {}
        if f.raw("deadline") == "none":
            return {"stretch": None}
        inner = f.inner("deadline", _DEADLINE)
        return {
            "stretch": _number(inner, "stretch", 1, 1_000, Demand().stretch),
            "slack_h": _whole(inner, "slack_h", 0, MAX_SLOTS, Demand().slack_h),
        }

    def _columns(self, f: Fields) -> dict[str, str]:
        found = _texts(f, "columns")
        known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
        for name in found:
            if name not in known:
                path = f"{f.at('columns')}.{name}"
                self.reader.note("unknown-field", path, name, one_of(known), did_you_mean(name, known))
        return found

    # ---- firms ---------------------------------------------------------------------------------------------------

    def _firms(self, f: Fields) -> Firms:
        d = Firms()
        given: dict[str, Any] = {
            "count": _whole(f, "count", 1, 1_000_000, None),
            "activity_sigma": _number(f, "activity_sigma", 0, 3, d.activity_sigma),
            "reference_ucny_per_gpu_hour": _micro(f, "reference_cny_per_gpu_hour", 0.000001, 10_000, None),
            "facts": self._facts(f),
            "cities": self._cities(f),
        }
        if f.given("employees"):
            inner = f.inner("employees", _LOGNORMAL)
            given["employees_median"] = _number(inner, "median", 1, _MOST_EMPLOYEES, d.employees_median)
            given["employees_sigma"] = _number(inner, "sigma", 0, 3, d.employees_sigma)
        if f.given("kinds"):
            given["kinds"] = self._weights(f, "kinds")
        if f.given("willingness"):
            given["willingness"] = self._willingness(f)
        return Firms(**given)

    def _willingness(self, f: Fields) -> Willingness:
        d = Willingness()
        value = f.raw("willingness")
        if isinstance(value, dict) and "elasticity" in value:
            inner = f.inner("willingness", _ELASTICITY)
            elasticity = _number(inner, "elasticity", 0.05, 20, None)
            floor = _number(inner, "floor", 0.001, 1, d.floor)
            ceiling = _number(inner, "ceiling", 1, 1_000_000, d.ceiling)
            return Willingness(elasticity=elasticity, floor=floor, ceiling=ceiling)
        inner = f.inner("willingness", _LOGNORMAL)
        median, sigma = _number(inner, "median", 0.001, 1_000, d.median), _number(inner, "sigma", 0, 3, d.sigma)
        return Willingness(median=median, sigma=sigma)

    def _cities(self, f: Fields) -> dict[str, float]:
        weights = self._weights(f, "cities")
        for name in weights:
            parts = name.split("/")
            if len(parts) != 2 or not all(part.strip() for part in parts):
                expected = Text("a province and a city, such as 广东/东莞", "省份/城市，如 广东/东莞")
                self.reader.note("bad-value", f"{f.at('cities')}.{name}", name, expected)
        return weights

    def _facts(self, f: Fields) -> dict[str, Fact]:
        found: dict[str, Fact] = {}
        for key, value in _mapping(f, "facts").items():
            fact = None if value is None else stored_value(str(key), value)
            if isinstance(fact, Text):
                self.reader.note("bad-type", f"{f.at('facts')}.{key}", value, fact)
            elif fact is not None:
                found[stored_fact(str(key))] = fact
        return found

    # ---- programmes and quotes -----------------------------------------------------------------------------------

    def _programmes(self, f: Fields) -> tuple[ProgrammeChange, ...]:
        return f.parts("programmes", _PROGRAMME, self._programme)

    def _programme(self, f: Fields) -> ProgrammeChange | None:
        file = self._path(f, "file") if f.given("file") else None
        programme_id = f.text("id") if f.given("id") else None
        if file is not None:
            programme_id = self._id_of(f, file, programme_id)
        elif programme_id is None:
            f.note("missing-field", "id", Text("the id of a programme, or a file", "政策编号或文件"))
        if programme_id in self.programmes:
            f.note("duplicate", "id", Text("each programme once", "每项政策只列一次"))
        self.programmes.add(programme_id or "")
        small = f.inner("small_firm", _SMALL_FIRM) if f.given("small_firm") else None
        change = ProgrammeChange(
            programme_id or "",
            file=file,
            rate_ppm=_micro(f, "rate", 0, 1, None),
            cap_ucny=f.amount_ucny("cap_cny", zero=True, nullable=True),
            budget_ucny=f.amount_ucny("budget_cny", zero=True, nullable=True),
            small_firm_rate_ppm=None if small is None else _micro(small, "rate", 0, 1, None),
            small_firm_employees_max=99 if small is None else _whole(small, "employees_max", 1, _MOST_EMPLOYEES, 99),
        )
        return change if programme_id is not None else None

    def _id_of(self, f: Fields, file: Path, stated: str | None) -> str | None:
        """Return the id of the programme in a file, whose problems are noted."""
        try:
            content = read_bytes(file)
        except OSError as error:
            self.elsewhere.append(cannot_open(file.name, error))
            return None
        entry, problems = read_programme(file.name, content)
        self.elsewhere += problems
        if entry is None:
            return None
        if stated is not None and stated != entry.programme.id:
            expected = Text(f"the id in the file, {entry.programme.id}", f"文件中的编号 {entry.programme.id}")
            f.note("contradiction", "id", expected)
        return entry.programme.id

    def _quoted(self, f: Fields) -> Quoted:
        d = Quoted()
        knee, top = _number(f, "knee", 0, 0.999, d.knee), _number(f, "top", 1, 1_000, d.top)
        return Quoted(knee, top)

    # ---- values --------------------------------------------------------------------------------------------------

    def _path(self, f: Fields, name: str) -> Path | None:
        text = f.text(name)
        if text is None or "\x00" in text:
            return None
        return self.folder / text

    def _weights(self, f: Fields, name: str) -> dict[str, float]:
        """Take weights by name: numbers from 0, at least one of them above."""
        found: dict[str, float] = {}
        value = _mapping(f, name)
        for key, weight in value.items():
            number = _finite(weight)
            if number is None or not 0 <= number <= 1e12 or not str(key).strip():
                expected = Text("a weight from 0", "不小于 0 的权重")
                self.reader.note("bad-number", f"{f.at(name)}.{key}", weight, expected)
            else:
                found[str(key)] = number
        if f.given(name) and len(found) == len(value) and not any(found.values()):
            f.note("bad-value", name, Text("at least one weight above 0", "至少一个权重大于 0"))
        return found


def _default(record: type, name: str) -> Any:
    default = next(f.default for f in fields(record) if f.name == name)
    assert default is not MISSING, name
    return default


def _said(names: list[str]) -> str | None:
    return ", ".join(names) or None


def _mapping(f: Fields, name: str) -> Mapping[Any, Any]:
    if not f.given(name):
        return {}
    value = f.raw(name)
    if isinstance(value, dict):
        return value
    f.note("bad-type", name, Text("a mapping", "键值表"))
    return {}


def _texts(f: Fields, name: str) -> dict[str, str]:
    found = {}
    for key, value in _mapping(f, name).items():
        if isinstance(value, str) and value.strip():
            found[str(key)] = value.strip()
        else:
            f.reader.note("bad-type", f"{f.at(name)}.{key}", value, Text("a text", "文本"))
    return found


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _plain(value: float) -> str:
    """Write a number without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _number(f: Fields, name: str, least: float, most: float, default: T) -> float | T:
    """Take a number, the default where there is none."""
    if not f.given(name):
        return default
    number = _finite(f.raw(name))
    if number is None or not least <= number <= most:
        low, high = _plain(least), _plain(most)
        f.note("bad-number", name, Text(f"a number from {low} to {high}", f"{low} 至 {high} 的数"))
        return default
    return number


def _micro(f: Fields, name: str, least: float, most: float, default: T) -> int | T:
    """Take a number with at most six decimals as millionths."""
    if not f.given(name):
        return default
    micro = as_micro(f.raw(name))
    if micro is None or not round(least * MICRO) <= micro <= round(most * MICRO):
        f.note("bad-number", name, _micro_range(least, most))
        return default
    return micro


def _micro_range(least: float, most: float) -> Text:
    low, high = _plain(least), _plain(most)
    return Text(f"a number from {low} to {high} with at most six decimals", f"{low} 至 {high} 的数，最多六位小数")


def _each_micro(f: Fields, name: str, least: float, most: float) -> dict[str, int]:
    found = {}
    for key, value in _mapping(f, name).items():
        micro = as_micro(value)
        if micro is None or not round(least * MICRO) <= micro <= round(most * MICRO):
            f.reader.note("bad-number", f"{f.at(name)}.{key}", value, _micro_range(least, most))
        else:
            found[str(key)] = micro
    return found


def _whole(f: Fields, name: str, least: int, most: int, default: T) -> int | T:
    """Take a whole number, the default where there is none."""
    if not f.given(name):
        return default
    found = f.whole(name, least, most)
    return default if found is None else found


def _word(f: Fields, name: str, words: tuple[str, ...], default: str) -> str:
    return (f.word(name, words) if f.given(name) else None) or default


def _choice(f: Fields, name: str, kind: type[W], default: W) -> W:
    if not f.given(name):
        return default
    found = f.choice(name, kind)
    return default if found is None else found
