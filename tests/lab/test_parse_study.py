"""Study files: what a good one becomes, and every problem of a bad one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.errors import InputError
from dujiang.core.marked import read_yaml
from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.lab.design import changed, key_name, points_of, put, value_label
from dujiang.lab.parse_study import parse_study, read_study, scenario_of
from dujiang.lab.scenario import Allocator, Reach

SCENARIO = """\
  title: small
  start: 2025-11-03T00:00:00+08:00
  seed: 7
  fleet: {nodes: nodes.csv}
  demand: {generate_h: 48, jobs_per_h: 2}
  programmes:
    - {id: dg-compute-voucher, budget_cny: 1000}
    - {id: sz-training-voucher}
"""
RATE = "programmes.dg-compute-voucher.rate"


def study(text: str, scenario: str = SCENARIO) -> Any:
    doc, problems = read_yaml("study.yaml", f"scenario:\n{scenario}{text}")
    assert doc is not None, problems
    return parse_study(doc, Path("somewhere"))


def good(text: str) -> Any:
    found, problems = study(text)
    assert found is not None, [problem.say() for problem in problems]
    return found


def bad(text: str, scenario: str = SCENARIO) -> list[Problem]:
    found, problems = study(text, scenario)
    assert found is None
    return list(problems)


def labels(found: Any) -> list[str]:
    return [point.label.en for point in points_of(found).found]


def test_a_grid_is_the_product_of_its_factors_in_their_order() -> None:
    found = good(f"vary: {{{RATE}: [0, 0.5], coupling: [isolated, full]}}\n")
    values = [dict(point.values) for point in points_of(found).found]
    assert values == [{RATE: rate, "coupling": reach} for rate in (0, 0.5) for reach in ("isolated", "full")]
    assert labels(found)[0] == "voucher share 0 %, isolated centres"


def test_a_point_changes_what_it_names_and_nothing_else() -> None:
    found = good(f"vary: {{{RATE}: [0, 0.5], policy: [market, pooled_fifo]}}\nseeds: [3, 9]\n")
    point = points_of(found).found[3]
    scenario = scenario_of(found, point, 9)
    assert scenario.seed == 9
    assert scenario.allocator is Allocator.POOLED_FIFO
    assert [change.rate_ppm for change in scenario.programmes] == [500_000, None]
    assert scenario.programmes[0].budget_ucny == 1_000_000_000
    assert scenario.title.en == "small – voucher share 50 %, one queue, first come first served"
    plain = scenario_of(found, point._replace(values={}), 7)
    assert (plain.allocator, plain.coupling, plain.title.en) == (Allocator.MARKET, Reach.FULL, "small")


@pytest.mark.parametrize(
    "text, seeds", [("", (7,)), ("seeds: 3\n", (7, 8, 9)), ("seeds: [4, 2]\n", (4, 2)), ("seeds: 1\n", (7,))]
)
def test_seeds_count_from_the_scenarios_own(text: str, seeds: tuple[int, ...]) -> None:
    assert good(text).seeds == seeds


def test_a_reference_of_some_factors_is_matched_in_the_others() -> None:
    found = points_of(good(f"vary: {{{RATE}: [0, 0.5], coupling: [isolated, full]}}\nreference: {{{RATE}: 0}}\n"))
    assert [found.reference(index) for index in range(4)] == [0, 1, 0, 1]


def test_a_reference_outside_the_grid_is_added_once() -> None:
    text = f"vary: {{{RATE}: [0.25, 0.5]}}\nreference: {{{RATE}: 0}}\n"
    found = points_of(good(text))
    assert [dict(point.values)[RATE] for point in found.found] == [0.25, 0, 0.5]
    assert [found.reference(index) for index in range(3)] == [1, 1, 1]


def test_what_a_point_has_beside_the_factors_is_not_in_its_reference() -> None:
    text = f"vary: {{{RATE}: [0, 0.5]}}\nreference: {{{RATE}: 0}}\nalso: [{{set: {{coupling: isolated}}}}]\n"
    found = points_of(good(text))
    assert len(found.found) == 3
    assert found.reference(2) == 0


def test_points_beside_the_grid_have_names_of_their_own() -> None:
    text = (
        f"vary: {{{RATE}: [0, 0.5]}}\nalso:\n  - {{label: {{en: a queue, zh: 排队}}, set: {{policy: pooled_fifo}}}}\n"
    )
    found = points_of(good(text + f"  - {{set: {{{RATE}: 0.5}}, label: half}}\n")).found
    assert [point.label for point in found] == [
        Text("0 %", "0%"),
        Text("half", "half"),
        Text("a queue", "排队"),
    ]


def test_values_and_factors_can_be_named() -> None:
    name, labels = "{en: support, zh: 支持}", "[none, {en: half, zh: 一半}]"
    text = f"vary:\n  {RATE}:\n    name: {name}\n    values: [0, 0.5]\n    labels: {labels}\n"
    found = good(text)
    assert found.factors[0].name == Text("support", "支持")
    assert found.factors[0].labels == (Text("none", "none"), Text("half", "一半"))
    both = good(f"{text}  warm_up_h: [5]\n")
    assert [point.label.en for point in points_of(both).found] == ["none, warm_up_h 5", "half, warm_up_h 5"]


def test_bootstrap_and_its_defaults() -> None:
    assert (good("").resamples, good("").block_h, good("").level) == (1000, 24, 0.95)
    found = good("bootstrap: {resamples: 0, block_h: 48, level: 0.9, seed: 0}\n")
    assert (found.resamples, found.block_h, found.level, found.design_seed) == (0, 48, 0.9, 0)


def test_a_search() -> None:
    text = (
        f"search:\n  goal: net_additional_gpu_hours\n  over: {{{RATE}: {{low: 0.1, high: 0.9}}}}\n"
        "  split: {total_cny: 1000, among: [programmes.dg-compute-voucher.budget_cny, "
        "programmes.sz-training-voucher.budget_cny]}\n  evaluations: 10\n  at_most: 500\n"
        f"reference: {{{RATE}: 0}}\n"
    )
    found = good(text).search
    assert (found.goal, found.maximise, found.against, found.evaluations, found.at_most) == (
        *("net_additional_gpu_hours", True, "voucher_cny"),
        *(10, 500.0),
    )
    assert (found.axes[0].key, found.axes[0].low, found.axes[0].high) == (RATE, 0.1, 0.9)
    assert found.split.total_cny == 1000


OVER = f"over: {{{RATE}: {{low: 0.1, high: 0.9}}}}"


@pytest.mark.parametrize(
    "text, code, field, line",
    [
        ("vray: {}\n", "unknown-field", "vray", 10),
        ("vary: 3\n", "bad-type", "vary", 10),
        ("vary: {coupling: 3}\n", "bad-type", "vary.coupling", 10),
        ("vary: {coupling: []}\n", "bad-type", "vary.coupling", 10),
        ("vary: {coupling: [full, full]}\n", "duplicate-value", "vary.coupling", 10),
        ("vary: {seed: [1, 2]}\n", "bad-path", "vary.seed", 10),
        ("vary: {3: [1, 2]}\n", "bad-path", "vary.3", 10),
        ("vary: {a..b: [1, 2]}\n", "bad-path", "vary.a..b", 10),
        ("vary: {programmes.dg.rate: [1]}\n", "no-such-item", "vary.programmes.dg.rate", 10),
        ("vary: {title.en.x: [1]}\n", "bad-type", "vary.title.en.x", 10),
        ("vary: {fleet.growth.0.from_h: [1]}\n", "bad-type", "vary.fleet.growth.0.from_h", 10),
        ("vary:\n  coupling: [full, fulll]\n", "unknown-word", "vary.coupling", 11),
        (f"vary:\n  {RATE}: [0.5, 50]\n", "bad-number", f"vary.{RATE}", 11),
        ("vary: {coupling: {values: [full], labels: [a, b]}}\n", "bad-length", "vary.coupling.labels", 10),
        ("vary: {coupling: {values: [full], labels: [3]}}\n", "bad-type", "vary.coupling.labels.0", 10),
        ("seeds: 0\n", "bad-number", "seeds", 10),
        ("seeds: [1, 1]\n", "duplicate-value", "seeds", 10),
        ("seeds: [1, x]\n", "bad-number", "seeds", 10),
        ("seeds: true\n", "bad-number", "seeds", 10),
        ("also: [{label: x}]\n", "missing-field", "also.0.set", 10),
        ("also: [{set: {}}]\n", "bad-type", "also.0.set", 10),
        ("also: [{set: {coupling: x}}]\n", "unknown-word", "also", 10),
        ("reference: 0\n", "bad-type", "reference", 10),
        ("reference: {seed: 1}\n", "bad-path", "reference.seed", 10),
        ("bootstrap: {resamples: -1}\n", "bad-number", "bootstrap.resamples", 10),
        ("bootstrap: {level: 95}\n", "bad-number", "bootstrap.level", 10),
        ("bootstrap: {blocks: 3}\n", "unknown-field", "bootstrap.blocks", 10),
        ("title: [a]\n", "bad-type", "title", 10),
        (f"search: {{goal: utilisation, {OVER}}}\nvary: {{coupling: [full]}}\n", "conflict", "vary", 11),
        (f"search: {{goal: additionality, {OVER}}}\n", "missing-field", "reference", None),
        (f"search: {{goal: util, {OVER}}}\n", "unknown-word", "search.goal", 10),
        (f"search: {{goal: utilisation, {OVER}, direction: up}}\n", "unknown-word", "search.direction", 10),
        (f"search: {{goal: utilisation, {OVER}, evaluations: 1}}\n", "bad-number", "search.evaluations", 10),
        ("search: {goal: utilisation, over: {}}\n", "bad-type", "search.over", 10),
        (f"search: {{goal: utilisation, over: {{{RATE}: {{low: 0.5, high: 0.5}}}}}}\n", "bad-number", None, 10),
        (f"search: {{goal: utilisation, over: {{{RATE}: {{low: 0.5, high: 50}}}}}}\n", "bad-number", None, 10),
        (
            f"search: {{goal: utilisation, {OVER}, split: {{total_cny: 5, among: [a.b]}}}}\n",
            *("bad-length", "search.split.among", 10),
        ),
        ("search: {goal: utilisation, over: {seed: {low: 1, high: 2}}}\n", "bad-path", "search.over.seed", 10),
        (
            f"search: {{goal: utilisation, over: {{{RATE}: {{low: 0.5, high: 1.5, whole: true}}}}}}\n",
            *("bad-number", None, 10),
        ),
        (
            "search: {goal: utilisation, over: {"
            + ", ".join(f"fleet.asks.c{n}: {{low: 1, high: 2}}" for n in range(17))
            + "}}\n",
            *("too-many", "search.over", 10),
        ),
    ],
)  # fmt: skip
def test_a_problem_says_where_it_is(text: str, code: str, field: str | None, line: int | None) -> None:
    found = bad(text)
    said = [(problem.code, problem.row) for problem in found if field is None or problem.field == field]
    assert (code, line) in said or (line is None and code in {c for c, _ in said}), [p.say() for p in found]
    assert {problem.file for problem in found} == {"study.yaml"}


def test_a_mistyped_id_is_recognised() -> None:
    (problem,) = bad("vary: {programmes.dg-compute-vouchr.rate: [0]}\n")
    assert problem.fix is not None
    assert problem.fix.en == "did you mean 'dg-compute-voucher'?"


def test_problems_of_the_scenario_are_listed_beside_those_of_the_study_each_once() -> None:
    scenario = SCENARIO.replace("generate_h: 48", "generate_h: x").replace("seed: 7", "seed: -1")
    found = bad("vary: {coupling: [full, isolated, x]}\nseeds: 0\n", scenario)
    assert len(found) == len({problem.say() for problem in found})
    fields = {problem.field for problem in bad("vary: {coupling: [full, isolated, x]}\n", scenario)}
    assert fields == {"scenario.demand.generate_h", "scenario.seed", "vary.coupling"}


@pytest.mark.parametrize("given", ["3", "[]", "nowhere.yaml", "null"])
def test_a_scenario_that_is_none(given: str) -> None:
    doc, _ = read_yaml("study.yaml", f"scenario: {given}\nvary: {{coupling: [full]}}\n")
    assert doc is not None
    found, problems = parse_study(doc, Path("somewhere"))
    assert found is None
    assert problems


@pytest.mark.parametrize("text", ["", "- a\n", "3\n", "a: b\n", "scenario: {}\n"])
def test_a_file_that_is_no_study(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_study(tmp_path / "s.yaml")
    assert caught.value.problems


def test_paths_of_a_scenario_file_begin_in_its_folder_and_a_trace_can_be_another(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    inner = "\n".join(line[2:] for line in SCENARIO.splitlines())
    (tmp_path / "in" / "scenario.yaml").write_text(inner.replace("generate_h: 48, jobs_per_h: 2", "trace: x.parquet"))
    (tmp_path / "s.yaml").write_text("scenario: in/scenario.yaml\n")
    found = read_study(tmp_path / "s.yaml")
    scenario = scenario_of(found, points_of(found).found[0], 1)
    assert scenario.fleet.nodes == tmp_path / "in" / "nodes.csv"
    assert scenario.demand.trace == tmp_path / "in" / "x.parquet"
    found = read_study(tmp_path / "s.yaml", tmp_path / "other.parquet")
    assert scenario_of(found, points_of(found).found[0], 1).demand.trace == tmp_path / "other.parquet"


def test_problems_of_a_scenario_file_name_that_file(tmp_path: Path) -> None:
    inner = "\n".join(line[2:] for line in SCENARIO.splitlines())
    (tmp_path / "scenario.yaml").write_text(inner.replace("seed: 7", "seed: x"))
    (tmp_path / "s.yaml").write_text("scenario: scenario.yaml\nvary:\n  coupling: [full, x]\n")
    with pytest.raises(InputError) as caught:
        read_study(tmp_path / "s.yaml")
    places = [(problem.file, problem.row, problem.field) for problem in caught.value.problems]
    assert places == [("s.yaml", 3, "vary.coupling"), ("scenario.yaml", 3, "seed")]


def test_too_many_points_are_refused_before_they_are_made() -> None:
    many = ", ".join(map(str, range(300)))
    found = bad(f"vary: {{warm_up_h: [{many}], round_every_h: [{many}]}}\n")
    assert [problem.code for problem in found] == ["too-large"]


PLAIN = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), PLAIN, max_size=3),
    st.lists(st.sampled_from("abc01"), min_size=1, max_size=4),
)
def test_what_is_put_is_found_there_or_nowhere(document: Mapping[str, Any], path: list[str]) -> None:
    doc, _ = read_yaml("x", "a: 1")
    assert doc is not None
    whole = changed(doc, [])
    trial = {**document}
    before = repr(document)
    nowhere = put(changed(type(doc)("x", trial), []).value, ".".join(path), "new")
    assert repr(document) == before
    if nowhere is None:
        here: Any = changed(type(doc)("x", trial), [(".".join(path), "new")]).value
        for part in path:
            here = here[int(part)] if isinstance(here, list) else here[part]
        assert here == "new"
    assert whole.value == {"a": 1}


@pytest.mark.parametrize(
    "key, value, said",
    [
        (RATE, 0.25, Text("25 %", "25%")),
        ("x.budget_cny", 50_000_000, Text("50,000,000 yuan", "50,000,000元")),
        ("coupling", "isolated", Text("isolated centres", "各中心孤立")),
        ("fleet.per_vc.multiple_of_mean_load", 1.25, Text("1.25x", "1.25倍")),
        ("x", True, Text("true", "true")),
        ("x", None, Text("null", "null")),
        ("x", {"a": [1]}, Text('{"a": [1]}', '{"a": [1]}')),
        ("x", 0.1, Text("0.1", "0.1")),
    ],
)
def test_labels_of_values(key: str, value: Any, said: Text) -> None:
    assert value_label(key, value) == said


def test_names_of_paths() -> None:
    assert key_name(RATE).en == "voucher share"
    assert key_name("programmes.x.small_firm.rate").en == "share for small firms"
    assert key_name("some.path") == Text("some.path", "some.path")
