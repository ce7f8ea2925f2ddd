"""A scenario file becomes a record, or a list of everything that is wrong with it; nothing else."""

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.lab.parse_scenario import parse_scenario, read_scenario
from dujiang.lab.scenario import (
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
from scenes import SCENARIO, bad, document, scenario

EXAMPLES = Path(__file__).parents[2] / "examples" / "lab"

FULL = """
title: {en: all, zh: 全}
start: 2025-11-03T00:00:00+08:00
seed: 7
fleet:
  per_vc: {multiple_of_mean_load: 1.5}
  region: 广东
  regions: {x: 广西}
  ask_cny_per_gpu_hour: 2.5
  asks: {y: 3}
  watts_per_gpu: 400
  pue: 1.3
  grid_kgco2_per_kwh: 0.5
  growth: [{centre: x, from_h: 24, multiple: 1.5}]
  outages: [{centre: y, from_h: 10, to_h: 12, share: 0.5}, {centre: y, from_h: 20, to_h: 21}]
  own_use: 0.1
demand:
  trace: log.csv
  format: philly
  columns: {gpus: n}
  fractional_gpus: round_up
  vcs: 4
  from_s: 10
  to_s: 100000
  scale: 2.5
  generate_h: 48
  jobs_per_h: 3
  longest_h: 100
  deadline: {stretch: 2, slack_h: 1}
  data_gb: 1.5
firms:
  count: 9
  employees: {median: 30, sigma: 1}
  kinds: {university: 1}
  cities: {广东/东莞: 1}
  activity_sigma: 0.5
  willingness: {elasticity: 1.2, floor: 0.5}
  reference_cny_per_gpu_hour: 2.25
  facts: {via_platform: true, revenue_cny: 5}
programmes:
  - {id: dg-compute-voucher, rate: 0.25, cap_cny: 100, budget_cny: 200, small_firm: {rate: 0.75, employees_max: 50}}
coupling: provinces
links: {cny_per_gb: 0.1}
carbon: {cny_per_kg: 0.2}
policy: pooled_sjf
mode: both
round_every_h: 12
horizon_h: 400
clock: hours
quoted: {knee: 0.5, top: 8}
warm_up_h: 6
"""


def test_every_key_arrives_in_the_record(tmp_path: Path) -> None:
    s = scenario(tmp_path, text=FULL)
    assert s == Scenario(
        title=Text("all", "全"),
        start=datetime(2025, 11, 2, 16, tzinfo=UTC),
        seed=7,
        fleet=Fleet(
            per_vc=True,
            multiple_ppm=1_500_000,
            region="广东",
            region_of={"x": "广西"},
            ask_ucny_per_gpu_hour=2_500_000,
            ask_of={"y": 3 * MICRO},
            watts_per_gpu=400.0,
            pue=1.3,
            grid_kgco2_per_kwh=0.5,
            growth=(Growth("x", 24, 1_500_000),),
            outages=(Outage("y", 10, 12, 500_000), Outage("y", 20, 21, MICRO)),
            own_use_ppm=100_000,
        ),
        demand=Demand(
            trace=tmp_path / "log.csv",
            trace_format="philly",
            columns={"gpus": "n"},
            fractional_gpus="round_up",
            vcs=4,
            from_s=10,
            to_s=100_000,
            scale=2.5,
            generate_h=48,
            jobs_per_h=3.0,
            longest_h=100,
            stretch=2.0,
            slack_h=1,
            data_gb=1.5,
        ),
        firms=Firms(
            count=9,
            employees_median=30.0,
            employees_sigma=1.0,
            kinds={"university": 1.0},
            cities={"广东/东莞": 1.0},
            activity_sigma=0.5,
            willingness=Willingness(elasticity=1.2, floor=0.5),
            reference_ucny_per_gpu_hour=2_250_000,
            facts={"via_platform": True, "revenue_ucny": 5 * MICRO},
        ),
        programmes=(
            ProgrammeChange(
                "dg-compute-voucher",
                rate_ppm=250_000,
                cap_ucny=100 * MICRO,
                budget_ucny=200 * MICRO,
                small_firm_rate_ppm=750_000,
                small_firm_employees_max=50,
            ),
        ),
        coupling=Reach.PROVINCES,
        link_ucny_per_gb=100_000,
        carbon_ucny_per_kg=200_000,
        allocator=Allocator.POOLED_SJF,
        mode=Mode.BOTH,
        round_every_h=12,
        horizon_h=400,
        clock=Clock.HOURS,
        quoted=Quoted(0.5, 8.0),
        warm_up_h=6,
    )


def test_what_a_file_leaves_out_has_the_default_of_the_record(tmp_path: Path) -> None:
    s = scenario(tmp_path, text="fleet: {book: b}\ndemand: {generate_h: 24, jobs_per_h: 1}")
    bare = Scenario(Text("scenario", "scenario"), Fleet(book=tmp_path / "b"), Demand(generate_h=24, jobs_per_h=1.0))
    for each in fields(Scenario):
        assert getattr(s, each.name) == getattr(bare, each.name) or each.name == "document", each.name


@pytest.mark.parametrize(
    ("per_vc", "multiple"),
    [("observed_peak", None), ("1.25x", 1_250_000), ({"multiple_of_mean_load": 2}, 2 * MICRO)],
)
def test_the_ways_to_size_virtual_clusters(tmp_path: Path, per_vc: object, multiple: int | None) -> None:
    fleet = scenario(tmp_path, {"fleet.per_vc": per_vc}).fleet
    assert (fleet.per_vc, fleet.multiple_ppm) == (True, multiple)
    direct = scenario(tmp_path, {"fleet": {"multiple_of_mean_load": 1.5}}).fleet
    assert (direct.per_vc, direct.multiple_ppm) == (True, 1_500_000)


def test_jobs_may_wait_for_ever(tmp_path: Path) -> None:
    assert scenario(tmp_path, {"demand.deadline": "none"}).demand.stretch is None


@pytest.mark.parametrize(
    ("path", "value", "code", "field"),
    [
        ("fleet.per_vc", "observd_peak", "bad-value", "fleet.per_vc"),
        ("fleet.per_vc", "0x", "bad-value", "fleet.per_vc"),
        ("fleet.per_vc", "nanx", "bad-value", "fleet.per_vc"),
        ("fleet.per_vc", "recorded", "contradiction", "fleet.per_vc"),
        ("fleet.book", "folder", "contradiction", "fleet"),
        ("fleet.own_use", 1.5, "bad-number", "fleet.own_use"),
        ("fleet.asks", {"x": -1}, "bad-number", "fleet.asks.x"),
        ("fleet.regions", {"x": 3}, "bad-type", "fleet.regions.x"),
        ("fleet.growth", [{"centre": "x", "multiple": 2}], "missing-field", "fleet.growth.0.from_h"),
        ("fleet.outages", [{"centre": "x", "from_h": 5, "to_h": 5}], "bad-window", "fleet.outages.0.to_h"),
        ("fleet.pue", 0.5, "bad-number", "fleet.pue"),
        ("demand.format", "phily", "unknown-word", "demand.format"),
        ("demand.scale", 0, "bad-number", "demand.scale"),
        ("demand.scale", float("nan"), "bad-number", "demand.scale"),
        ("demand.to_s", 0, "bad-number", "demand.to_s"),
        ("demand.jobs_per_h", 3, "contradiction", "demand.jobs_per_h"),
        ("demand.like", "helios", "contradiction", "demand.like"),
        ("demand.deadline", {"stretch": 0.5}, "bad-number", "demand.deadline.stretch"),
        ("demand.origins", {"x": 1}, "contradiction", "demand.origins"),
        ("demand.columns", {"gpu": "n"}, "unknown-field", "demand.columns.gpu"),
        ("demand.trace", 3, "bad-type", "demand.trace"),
        ("firms.count", True, "bad-number", "firms.count"),
        ("firms.kinds", {"a": 0}, "bad-value", "firms.kinds"),
        ("firms.kinds", {"a": "much"}, "bad-number", "firms.kinds.a"),
        ("firms.cities", {"东莞": 1}, "bad-value", "firms.cities.东莞"),
        ("firms.willingness", {"elasticity": 0}, "bad-number", "firms.willingness.elasticity"),
        ("firms.willingness", {"floor": 0.5}, "unknown-field", "firms.willingness.floor"),
        ("firms.facts", {"x": [1]}, "bad-type", "firms.facts.x"),
        ("programmes", [{"rate": 0.5}], "missing-field", "programmes.0.id"),
        ("programmes", [{"id": "a"}, {"id": "a"}], "duplicate", "programmes.1.id"),
        ("programmes.0.rate", 50, "bad-number", "programmes.0.rate"),
        ("programmes.0.cap_cny", -1, "bad-amount", "programmes.0.cap_cny"),
        ("programmes.0.small_firm", {}, "missing-field", "programmes.0.small_firm.rate"),
        ("coupling", "province", "unknown-word", "coupling"),
        ("policy", "fifo", "unknown-word", "policy"),
        ("mode", 3, "unknown-word", "mode"),
        ("horizon_h", 100, "out-of-range", "horizon_h"),
        ("start", "2025-11-03T00:30:00+08:00", "bad-start", "start"),
        ("title", ["a"], "bad-type", "title"),
        ("seed", -1, "bad-number", "seed"),
        ("sed", 1, "unknown-field", "sed"),
        ("links", {}, "missing-field", "links.cny_per_gb"),
        ("quoted", {"knee": 1}, "bad-number", "quoted.knee"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(path: str, value: Any, code: str, field: str) -> None:
    parsed, problems = parse_scenario(document(changes={path: value}), Path("nowhere"))
    assert parsed is None
    assert [(p.code, p.field) for p in problems] == [(code, field)]


def test_all_problems_come_at_once_with_their_lines() -> None:
    problems = bad("fleet: {per_vc: 1.25x}\ndemand:\n  trace: log.csv\n  scale: -1\nseed: x\nfirm: {}\n")
    found = [(p.row, p.field, p.code) for p in problems]
    assert found == [(4, "demand.scale", "bad-number"), (5, "seed", "bad-number"), (6, "firm", "unknown-field")]
    assert problems[2].fix is not None
    assert "firms" in problems[2].fix.en
    assert all(p.file == "scenario.yaml" for p in problems)


def test_a_format_without_a_file_asks_for_the_file() -> None:
    assert [(p.code, p.field) for p in bad("fleet: {per_vc: 1x}\ndemand: {format: philly}\n")] == [
        ("missing-field", "demand.trace")
    ]


def test_without_a_trace_the_rate_is_asked_for() -> None:
    assert [p.field for p in bad("fleet: {per_vc: 1x}\ndemand: {}\n")] == ["demand.generate_h", "demand.jobs_per_h"]


def test_a_file_of_ones_own_programme_says_its_id(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "src/dujiang/catalog/programmes/city/dg-compute-voucher.yaml"
    (tmp_path / "own.yaml").write_text(source.read_text().replace("id: dg-compute-voucher", "id: own-voucher"))
    s = scenario(tmp_path, {"programmes": [{"file": "own.yaml"}]})
    assert s.programmes == (ProgrammeChange("own-voucher", file=tmp_path / "own.yaml"),)
    _, problems = parse_scenario(document(changes={"programmes": [{"file": "own.yaml", "id": "other"}]}), tmp_path)
    assert [(p.code, p.field) for p in problems] == [("contradiction", "programmes.0.id")]
    _, problems = parse_scenario(document(changes={"programmes": [{"file": "none.yaml"}]}), tmp_path)
    assert [(p.code, p.file) for p in problems] == [("unreadable", "none.yaml")]


def test_a_problem_found_later_still_has_its_line(tmp_path: Path) -> None:
    problem = scenario(tmp_path).problem("code", "firms.count", 5, Text("less", "少"))
    assert (problem.file, problem.row, problem.field) == ("scenario.yaml", 8, "firms.count")
    assert Scenario(Text("", ""), Fleet(), Demand()).problem("code", "a.b", 5, Text("less", "少")).field == "a.b"


def test_a_trace_given_from_outside_takes_the_place_of_the_stated_one(tmp_path: Path) -> None:
    for demand in ("{format: philly}", "{trace: elsewhere.csv, format: philly}"):
        (tmp_path / "s.yaml").write_text(f"fleet: {{per_vc: 1x}}\ndemand: {demand}\n")
        assert read_scenario(tmp_path / "s.yaml", tmp_path / "here.csv").demand.trace == tmp_path / "here.csv"
    (tmp_path / "s.yaml").write_text("fleet: {per_vc: 1x}\ndemand: []\n")
    with pytest.raises(InputError):
        read_scenario(tmp_path / "s.yaml", tmp_path / "here.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_scenario(tmp_path / "none.yaml")
    assert [p.code for p in error.value.problems] == ["unreadable"]


@pytest.mark.parametrize(
    "path", sorted(p for p in EXAMPLES.glob("*.yaml") if not p.match("*.study.yaml")), ids=lambda p: p.stem
)
def test_the_examples_are_scenarios(path: Path) -> None:
    text = path.read_text()
    parsed, problems = parse_scenario(document(text), path.parent)
    assert parsed is not None, [p.say() for p in problems]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
places = st.sampled_from(
    [
        *("fleet", "demand", "firms", "programmes", "links", "carbon", "quoted", "title", "start", "coupling", "seed"),
        *("fleet.per_vc", "fleet.growth", "fleet.outages", "fleet.asks", "fleet.regions", "demand.deadline"),
        *("demand.origins", "demand.columns", "firms.willingness", "firms.kinds", "firms.employees", "firms.facts"),
        *("programmes.0", "programmes.0.small_firm", "demand.trace", "fleet.book", "demand.to_s", "horizon_h"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(place=places, value=values)
@example(place="demand.trace", value="\x00")
@example(place="fleet.per_vc", value="1_0x")
@example(place="seed", value=10**5000)
@example(place="firms.kinds", value={"a": 10**400})
def test_whatever_stands_somewhere_never_breaks_the_reader(place: str, value: Any) -> None:
    doc = document(SCENARIO, {place: value} if value is not None else {})
    parsed, problems = parse_scenario(doc, Path("nowhere"))
    assert (parsed is None) == bool(problems)
    assert all(p.expected.en and p.expected.zh and p.say() for p in problems)


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_document_that_is_no_mapping(value: Any) -> None:
    parsed, problems = parse_scenario(Marked("s.yaml", value), Path("nowhere"))
    assert parsed is None
    assert problems[0].code == "bad-type"
