"""Capacity of virtual clusters, of a list of nodes, of a book; growth and own use; everything that can be wrong."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab.case import Case
from dujiang.lab.demand import arrivals_of, source_of_log
from dujiang.lab.fleet import loads_of
from dujiang.market.book_arrays import book_arrays, supply
from scenes import LOG, case, problems_of, put, scenario

CENTRES = "centre_id,region,province,pue\neast,E,广东,1.25\nwest,W,甘肃,\n"
POOLS = (
    "pool_id,centre_id,accelerator,gpus,ask_cny_per_gpu_hour,speed\ne1,east,a,10,3,\nw1,west,a,30,1,2\nw2,west,b,4,2,\n"
)


def gpus(c: Case) -> dict[str, int]:
    return dict(c.book.pools.select("centre_id", "gpus").iter_rows())


def book(folder: Path, **tables: str) -> None:
    (folder / "fleet").mkdir(exist_ok=True)
    for name, text in {"centres": CENTRES, "pools": POOLS, **tables}.items():
        (folder / "fleet" / f"{name}.csv").write_text(text)


def test_a_multiple_of_the_mean_load(tmp_path: Path) -> None:
    # whole hours in 26 hours: x 1 + 2*2 + 168, y 8 + 4*2, z 1
    assert gpus(case(tmp_path, {"fleet.per_vc": "3x"})) == {"x": -(-3 * 173 // 26), "y": 8, "z": 1}
    assert gpus(case(tmp_path, {"fleet.per_vc": "0.1x"})) == {"x": 2, "y": 8, "z": 1}


def test_the_observed_peak(tmp_path: Path) -> None:
    # x: b and a never meet, as a ends when b may begin; y: c runs in hour 1, d from hour 3
    assert gpus(case(tmp_path, {"fleet.per_vc": "observed_peak"})) == {"x": 2, "y": 8, "z": 1}
    together = LOG + "g,k,7205,3600,6,,y\n"
    assert gpus(case(tmp_path, {"fleet.per_vc": "observed_peak"}, together))["y"] == 10


def test_jobs_that_come_at_low_prices_only_add_no_capacity(tmp_path: Path) -> None:
    plain = case(tmp_path)
    elastic = case(tmp_path, {"firms.willingness": {"elasticity": 2, "floor": 0.2}})
    assert elastic.jobs.submit_s.size > 3 * plain.jobs.submit_s.size
    assert gpus(elastic) == gpus(plain)


logs = st.lists(
    st.tuples(st.integers(0, 50_000), st.integers(1, 20_000), st.integers(1, 9), st.sampled_from("xyz")),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(logs)
def test_loads_are_those_of_counting_by_hand(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("loads")
    put(
        folder,
        pl.DataFrame(rows, schema=["submit_s", "duration_s", "gpus", "vc"], orient="row").with_row_index("job_id"),
    )
    s = scenario(folder)
    assert s.demand.trace is not None
    source = source_of_log(s, s.demand.trace)
    found = loads_of(source.vcs, arrivals_of(s, source))
    for vc in {row[3] for row in rows}:
        mine = [(-(-submit // 3600), -(-run // 3600), gpus) for submit, run, gpus, name in rows if name == vc]
        at = [sum(g for begin, hours, g in mine if begin <= slot < begin + hours) for slot in range(60)]
        assert found[vc].gpu_hours == sum(at)
        assert found[vc].peak_gpus == max(at)
        assert found[vc].largest_gpus == max(g for _, _, g in mine)


def test_nodes_are_summed_by_cluster_and_type(tmp_path: Path) -> None:
    nodes = "cluster,node,gpu_type,gpus\nc1,n1,a,8\nc1,n2,a,8\nc1,n3,b,4\nc2,n4,,2\nc2,n5,a,0\n"
    (tmp_path / "nodes.csv").write_text(nodes)
    c = case(tmp_path, {"fleet": {"nodes": "nodes.csv", "ask_cny_per_gpu_hour": 3, "asks": {"c2": 5}}})
    assert c.book.pools.select("pool_id", "accelerator", "gpus", "ask_ucny_per_gpu_hour").rows() == [
        ("c1-a", "a", 16, 3_000_000),
        ("c1-b", "b", 4, 3_000_000),
        ("c2-unknown", "unknown", 2, 5_000_000),
    ]
    assert set(c.sources) == {"log.csv", "nodes.csv", "programmes/dg-compute-voucher.yaml"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cluster,gpu_type\nc,a\n", [("missing-column", None, "gpus")]),
        ("cluster,gpus\nc,x\n,3\n", [("bad-type", 2, "gpus"), ("missing-value", 3, "cluster")]),
        ("cluster,gpus\nc,-1\n", [("out-of-range", 2, "gpus")]),
        ("cluster,gpus\nc,0\n", [("no-capacity", None, "gpus")]),
        ("cluster,gpus\nc\n", [("ragged-row", 2, None)]),
    ],
)
def test_a_bad_list_of_nodes(tmp_path: Path, text: str, found: list[tuple[str, int | None, str | None]]) -> None:
    (tmp_path / "nodes.csv").write_text(text)
    problems = problems_of(tmp_path, {"fleet": {"nodes": "nodes.csv"}})
    assert [(p.code, p.row, p.field) for p in problems] == found
    assert {p.file for p in problems} == {"nodes.csv"}


def test_the_fleet_of_a_book(tmp_path: Path) -> None:
    book(tmp_path, capacity="pool_id,slot,gpus,ask_cny_per_gpu_hour\ne1,2,6,9\ne1,8000,1,\n")
    c = case(tmp_path, {"fleet": {"book": "fleet", "watts_per_gpu": 400, "pue": 1.5, "regions": {"west": "X"}}})
    assert c.book.centres.select("centre_id", "region", "pue").rows() == [("east", "E", 1.25), ("west", "X", 1.5)]
    assert c.region_of == ("E", "X")
    assert c.book.pools["watts_per_gpu"].to_list() == [400.0] * 3
    assert c.book.pools["speed_micro"].to_list() == [1_000_000, 2_000_000, 1_000_000]
    assert c.book.capacity.rows() == [("e1", 2, 6, 9_000_000)]
    assert c.book.links.select("origin_region", "region", "ucny_per_gb").rows() == [("E", "X", 0), ("X", "E", 0)]
    assert set(c.sources) >= {"fleet/centres.csv", "fleet/pools.csv", "fleet/capacity.csv"}


def test_links_of_the_book_stay_and_others_are_the_scenarios(tmp_path: Path) -> None:
    own = {"fleet": {"book": "fleet"}, "links": {"cny_per_gb": 0.5}}
    book(tmp_path)
    assert case(tmp_path, own).book.links["ucny_per_gb"].to_list() == [500_000, 500_000]
    book(tmp_path, links="origin_region,region,cny_per_gb\nE,W,0.1\n")
    assert case(tmp_path, own).book.links.select("origin_region", "region", "ucny_per_gb").rows() == [
        ("E", "W", 100_000)
    ]


def test_where_every_pool_is_slow_windows_are_long_enough(tmp_path: Path) -> None:
    book(tmp_path, pools=POOLS.replace(",3,\n", ",3,0.5\n").replace(",1,2", ",1,0.25").replace(",2,\n", ",2,0.5\n"))
    c = case(tmp_path, {"fleet": {"book": "fleet"}, "demand.deadline": {"stretch": 1, "slack_h": 0}})
    a = book_arrays(c.book, c.terms, c.coupling)
    fits = a.slots[a.shape].min(axis=1) <= a.deadline - a.release
    assert fits.all()


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ({"pools": POOLS.replace("w1,west", "w1,wst")}, [("dangling", "fleet/pools.csv", 3)]),
        ({"pools": POOLS.replace(",30,", ",many,")}, [("bad-type", "fleet/pools.csv", 3)]),
        ({"capacity": "pool_id,slot,gpus\nw9,1,1\n"}, [("dangling", "fleet/capacity.csv", 2)]),
        ({"centres": "centre_id\neast\nwest\n"}, [("missing-column", "fleet/centres.csv", None)]),
    ],
)
def test_a_bad_book_names_its_files(tmp_path: Path, tables: dict[str, str], found: list[tuple[str, str, int]]) -> None:
    book(tmp_path, **tables)
    problems = problems_of(tmp_path, {"fleet": {"book": "fleet"}})
    assert [(p.code, p.file, p.row) for p in problems] == found


def test_a_book_without_tables_and_no_book_at_all(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    problems = problems_of(tmp_path, {"fleet": {"book": "fleet"}})
    assert [(p.code, p.file) for p in problems] == [("missing-file", "fleet/centres"), ("missing-file", "fleet/pools")]
    assert [p.code for p in problems_of(tmp_path, {"fleet": {"book": "elsewhere"}})] == ["unreadable"]
    book(tmp_path, pools=POOLS.replace(",10,", ",0,").replace(",30,", ",0,").replace(",4,", ",0,"))
    assert [p.code for p in problems_of(tmp_path, {"fleet": {"book": "fleet"}})] == ["no-capacity"]


def test_a_centre_that_is_not_there_is_named_with_its_place(tmp_path: Path) -> None:
    book(tmp_path)
    fleet = {
        "book": "fleet",
        "regions": {"eas": "E"},
        "asks": {"n": 2},
        "growth": [{"centre": "wst", "from_h": 1, "multiple": 2}],
        "outages": [{"centre": "o", "from_h": 1, "to_h": 2}],
    }
    problems = problems_of(tmp_path, {"fleet": fleet, "demand.origins": {"east": 1, "q": 1}})
    assert {p.code for p in problems} == {"no-such-centre"}
    assert [p.field for p in problems] == [
        *("fleet.regions.eas", "fleet.asks.n", "fleet.growth.0.centre", "fleet.outages.0.centre", "demand.origins.q")
    ]
    assert problems[0].fix is not None
    assert "east" in problems[0].fix.en


def test_growth_and_own_use_are_planned_capacity(tmp_path: Path) -> None:
    book(tmp_path, capacity="pool_id,slot,gpus\nw1,1,20\n")
    growth = [{"centre": "west", "from_h": 5, "multiple": 2}, {"centre": "west", "from_h": 3, "multiple": 1.5}]
    c = case(tmp_path, {"fleet": {"book": "fleet", "growth": growth, "own_use": 0.15}})
    there, ask = supply(c.book)
    assert there[0].tolist() == [10 - 1] * c.book.slots
    w1 = np.array([30, 20, 30, 45, 45, *[60] * (c.book.slots - 5)])
    assert there[1].tolist() == (w1 - w1 * 15 // 100).tolist()
    w2 = np.array([4, 4, 4, 6, 6, *[8] * (c.book.slots - 5)])
    assert there[2].tolist() == (w2 - w2 * 15 // 100).tolist()
    assert (ask == np.array([[3], [1], [2]]) * 1_000_000).all()
    assert c.outages == ()


def test_growth_without_exceptions_is_nothing_but_the_steps(tmp_path: Path) -> None:
    changes = {"fleet.growth": [{"centre": "y", "from_h": 270, "multiple": 0}], "fleet.own_use": 0.2}
    c = case(tmp_path, changes)
    assert c.book.capacity.rows() == [("y-gpus", slot, 0, None) for slot in range(270, c.book.slots)]


def test_the_reference_price_does_not_hang_on_the_multiple(tmp_path: Path) -> None:
    asks = {"fleet.asks": {"x": 1, "y": 5}}
    limits = [case(tmp_path, {**asks, "fleet.per_vc": m}).book.orders["limit_ucny"] for m in ("1x", "1.5x", "20x")]
    assert limits[0].equals(limits[1])
    assert limits[0].equals(limits[2])


def test_what_no_book_can_hold_is_refused_where_it_stands(tmp_path: Path) -> None:
    growth = {"fleet.growth": [{"centre": "y", "from_h": 2, "multiple": 1000}]}
    huge = LOG.replace(",8,,y", ",99999,,y")
    assert [(p.code, p.field) for p in problems_of(tmp_path, growth, huge)] == [
        ("out-of-range", "fleet.growth.0.multiple")
    ]
    many = {"fleet.per_vc": "10000x"}
    assert [(p.code, p.field) for p in problems_of(tmp_path, many, huge)] == [("out-of-range", "fleet.per_vc")]
