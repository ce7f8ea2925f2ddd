"""A case: one checked book for the whole run, the same jobs in whatever a policy changes, every problem at once."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.errors import InputError
from dujiang.lab.case import Case
from dujiang.lab.make_case import make_case
from dujiang.market.book_arrays import book_arrays
from dujiang.market.outcome import Coupling
from dujiang.sim.assumption import sentences
from scenes import LOG, case, problems_of, put, scenario

TABLES = ("centres", "pools", "capacity", "links", "enterprises", "orders", "claims", "running")
TWO_REGIONS: Mapping[str, Any] = {"fleet.regions": {"y": "广西", "z": "广西"}, "demand.data_gb": 10}


def log(jobs: int = 120) -> pl.DataFrame:
    rows = np.arange(jobs)
    return pl.DataFrame(
        {
            "job_id": [f"j{i:04d}" for i in rows],
            "submit_s": rows * 401 % 90_000,
            "duration_s": 60 + rows * 977 % 20_000,
            "gpus": 1 + rows % 3,
            "vc": [f"v{i % 4}" for i in rows],
        }
    )


def same(one: Case, other: Case) -> bool:
    """Return whether everything that a replay looks at is the same."""
    tables = all(getattr(one.book, name).equals(getattr(other.book, name)) for name in TABLES)
    jobs = all(np.array_equal(a, b) for a, b in zip(one.jobs, other.jobs, strict=True))
    terms = np.array_equal(one.terms.share_ppm, other.terms.share_ppm)
    return tables and jobs and terms and one.assumptions == other.assumptions and one.sources == other.sources


def test_a_limit_is_worth_times_reference_times_whole_hours(tmp_path: Path) -> None:
    c = case(tmp_path, {"firms.willingness": {"median": 1.5, "sigma": 0}, "firms.reference_cny_per_gpu_hour": 3})
    # gpus x whole hours: 1, 2*2, 8, 4*2, 168, 1
    assert c.book.orders["limit_ucny"].to_list() == [4_500_000 * n for n in (1, 4, 8, 8, 168, 1)]


def test_limits_are_whole_fen_and_at_least_one(tmp_path: Path) -> None:
    limits = case(tmp_path, {"firms.willingness": {"median": 0.001, "sigma": 3}}, log()).book.orders["limit_ucny"]
    assert (limits % 10_000 == 0).all()
    assert limits.min() == 10_000
    assert limits.n_unique() > 3


def test_a_limit_above_a_billion_is_refused(tmp_path: Path) -> None:
    changes = {"firms.willingness": {"median": 1000, "sigma": 3}, "firms.reference_cny_per_gpu_hour": 10_000}
    big = log().with_columns(gpus=pl.lit(2_000), duration_s=pl.lit(600_000))
    assert [(p.code, p.field) for p in problems_of(tmp_path, changes, big)] == [("out-of-range", "firms.willingness")]


def test_the_reference_price_is_the_mean_ask(tmp_path: Path) -> None:
    flat = {"firms.willingness": {"median": 1, "sigma": 0}}
    c = case(tmp_path, {**flat, "fleet.ask_cny_per_gpu_hour": 3})
    assert c.book.orders["limit_ucny"][0] == 3_000_000
    c = case(tmp_path, {**flat, "fleet.asks": {"x": 4}})
    loads = {"x": 173, "y": 16, "z": 1}
    mean = (4 * loads["x"] + 2 * loads["y"] + 2 * loads["z"]) / sum(loads.values())
    assert c.book.orders["limit_ucny"][0] == pytest.approx(mean * 1e6, abs=5_000)


policies = st.fixed_dictionaries(
    {},
    optional={
        "programmes.0.rate": st.sampled_from([0, 0.25, 0.75, 1]),
        "programmes.0.cap_cny": st.sampled_from([0, 10, 100_000]),
        "programmes.0.budget_cny": st.sampled_from([0, 10, 100_000]),
        "programmes": st.just([]),
        "coupling": st.sampled_from(["isolated", "provinces", "full"]),
        "policy": st.sampled_from(["market", "isolated_fifo", "pooled_sjf"]),
        "mode": st.sampled_from(["exact", "fast", "both"]),
        "clock": st.sampled_from(["hours", "seconds"]),
        "fleet.per_vc": st.sampled_from(["observed_peak", "1x", "3x"]),
        "fleet.own_use": st.sampled_from([0, 0.1]),
        "fleet.outages": st.just([{"centre": "v1", "from_h": 2, "to_h": 5}]),
        "quoted": st.just({"knee": 0.5, "top": 2}),
        "links": st.just({"cny_per_gb": 1}),
    },
)


@settings(max_examples=40, deadline=None)
@given(policies, st.sampled_from([None, {"elasticity": 1.5, "floor": 0.5}]), st.sampled_from([1, 1.7]))
def test_what_a_policy_changes_leaves_every_job_alone(
    tmp_path_factory: pytest.TempPathFactory, policy: dict[str, Any], willing: object, scale: float
) -> None:
    folder = tmp_path_factory.mktemp("paired")
    base: dict[str, Any] = {"demand.scale": scale, "fleet.asks": {"v2": 5}}
    if willing is not None:
        base["firms.willingness"] = willing
    if "programmes" in policy:
        policy = {"programmes": policy.pop("programmes")}
    one, other = case(folder, base, log()), case(folder, {**base, **policy}, log())
    columns = ["order_id", "enterprise_id", "gpus", "hours_micro", "release", "deadline", "limit_ucny", "submitted"]
    assert one.book.orders.select(columns).equals(other.book.orders.select(columns))
    assert one.book.enterprises.equals(other.book.enterprises)
    assert all(np.array_equal(a, b) for a, b in zip(one.jobs, other.jobs, strict=True))


def test_another_seed_is_another_case(tmp_path: Path) -> None:
    one, other = (case(tmp_path, {"seed": seed}, log()).book.orders["limit_ucny"] for seed in (1, 2))
    assert (one != other).sum() > 100


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(120)))
def test_the_order_of_rows_in_the_log_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    changes = {"demand.scale": 1.5}
    one, other = case(folder, changes, log()), case(folder, changes, log()[order])
    assert one.book.orders.equals(other.book.orders)
    assert all(np.array_equal(a, b) for a, b in zip(one.jobs, other.jobs, strict=True))


def test_the_same_scenario_is_the_same_case(tmp_path: Path) -> None:
    changes = {"demand.scale": 2.5, "firms.willingness": {"elasticity": 1, "floor": 0.5}, **TWO_REGIONS}
    assert same(case(tmp_path, changes), case(tmp_path, changes))


def reach(c: Case) -> set[tuple[str, str]]:
    """Return from which centre which centre can be reached."""
    a = book_arrays(c.book, c.terms, c.coupling)
    centres = c.book.centres["centre_id"].to_list()
    where = c.book.pools["centre_id"].to_list()
    found = set()
    for origin, place in zip(c.jobs.origin.tolist(), a.place.tolist(), strict=True):
        pools = a.place_pool[a.place_first[place] : a.place_first[place + 1]]
        found |= {(centres[origin], where[pool]) for pool in pools.tolist()}
    return found


def test_each_coupling_reaches_what_it_says(tmp_path: Path) -> None:
    own = {("x", "x"), ("y", "y"), ("z", "z")}
    isolated = case(tmp_path, {**TWO_REGIONS, "coupling": "isolated"})
    provinces = case(tmp_path, {**TWO_REGIONS, "coupling": "provinces"})
    full = case(tmp_path, {**TWO_REGIONS, "coupling": "full"})
    assert (isolated.coupling, provinces.coupling, full.coupling) == (
        *(Coupling.ISOLATED, Coupling.ISOLATED),
        Coupling.FULL,
    )
    assert reach(isolated) == own
    assert reach(provinces) == {*own, ("y", "z"), ("z", "y")}
    assert reach(full) == {(a, b) for a in "xyz" for b in "xyz"}
    assert reach(case(tmp_path)) == reach(full)


def test_data_crosses_between_regions_only(tmp_path: Path) -> None:
    c = case(tmp_path, {**TWO_REGIONS, "links": {"cny_per_gb": 0.5}})
    a = book_arrays(c.book, c.terms, c.coupling)
    tariff = dict(zip(c.book.pools["centre_id"], a.tariff[a.place[0]].tolist(), strict=True))
    assert tariff == {"x": 0, "y": 500_000, "z": 500_000}
    assert set(c.book.orders["data_gb_micro"]) == {10_000_000}
    isolated = case(tmp_path, {**TWO_REGIONS, "coupling": "isolated"})
    assert set(isolated.book.orders["data_gb_micro"]) == {0}


def test_all_problems_of_all_parts_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("cluster,gpus\nc,x\n")
    put(tmp_path, "job_id,submit_s,gpus\na,1,1\n")
    s = scenario(tmp_path, {"fleet": {"nodes": "nodes.csv"}, "programmes": [{"id": "nobody-s"}]})
    with pytest.raises(InputError) as error:
        make_case(s)
    found = {(p.file, p.code) for p in error.value.problems}
    assert found == {("scenario.yaml", "no-such-programme"), ("log.csv", "missing-column"), ("nodes.csv", "bad-type")}


def test_a_warm_up_longer_than_the_window_is_refused(tmp_path: Path) -> None:
    assert [(p.code, p.field) for p in problems_of(tmp_path, {"warm_up_h": 26})] == [("out-of-range", "warm_up_h")]
    assert case(tmp_path, {"warm_up_h": 25}).window_h == 26


def test_a_carbon_price_needs_what_carbon_is_worked_out_from(tmp_path: Path) -> None:
    carbon = {"carbon": {"cny_per_kg": 0.1}}
    names = ("fleet.watts_per_gpu", "fleet.pue", "fleet.grid_kgco2_per_kwh")
    found = problems_of(tmp_path, {**carbon, "fleet.pue": 1.2})
    assert [(p.code, p.field) for p in found] == [("missing-field", names[0]), ("missing-field", names[2])]
    known = {"fleet.watts_per_gpu": 400, "fleet.pue": 1.3, "fleet.grid_kgco2_per_kwh": 0.5}
    assert case(tmp_path, {**carbon, **known}).book.objective.carbon_ucny_per_kg == 100_000


def test_outages_are_no_part_of_the_planned_capacity(tmp_path: Path) -> None:
    outage = [{"centre": "y", "from_h": 1, "to_h": 4, "share": 0.5}]
    c = case(tmp_path, {"fleet.outages": outage})
    assert c.book.capacity.is_empty()
    assert [(o.centre_id, o.from_h, o.to_h, o.share_ppm) for o in c.outages] == [("y", 1, 4, 500_000)]
    assert "outages" in c.assumptions


def test_every_assumption_has_its_sentence_and_every_sentence_its_use(tmp_path: Path) -> None:
    c = case(tmp_path, {**TWO_REGIONS, "fleet.own_use": 0.1})
    for entry in c.assumptions.values():
        assert isinstance(entry, dict)
        assert entry.keys() == {"value", "en", "zh"}
        assert entry["en"].endswith(".")
        assert entry["zh"].endswith("。")
    assert json.loads(json.dumps(c.assumptions)) == c.assumptions
    code = "".join(
        path.read_text(encoding="utf-8") for path in files("dujiang.lab").iterdir() if path.name.endswith(".py")
    )
    for name in sentences("dujiang.lab")["scenario"]:
        group, _, _ = name.partition("/")
        assert f'"{name}"' in code or f'"{group}/{{' in code, name
    for name in sentences("dujiang.lab")["unknown"]:
        assert f'"{name}"' in code, name


def test_what_the_source_cannot_say_is_said(tmp_path: Path) -> None:
    assert len(case(tmp_path).unknown) == 3
    made_up = case(tmp_path, {"demand": {"generate_h": 24, "jobs_per_h": 5}})
    assert json.loads(json.dumps(made_up.assumptions)) == made_up.assumptions
    assert [text.en for text in made_up.unknown] == ["Everything - the demand is made up."]


def test_the_first_of_the_assumptions_is_where_jobs_come_from(tmp_path: Path) -> None:
    names = list(case(tmp_path).assumptions)
    assert names[0] == "source"
    assert names[-1] == "seed"
    assert names.index("per_vc") < names.index("firms") < names.index("programmes")


def test_a_book_is_as_long_as_its_last_deadline(tmp_path: Path) -> None:
    c = case(tmp_path, {}, LOG)
    assert c.book.slots == c.book.orders["deadline"].max()
    assert (c.book.orders["deadline"] > c.book.orders["release"]).all()
