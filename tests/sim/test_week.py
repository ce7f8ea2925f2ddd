"""The demonstration week reads as a sound book, is the same on each run, and is like what was published."""

import math
from functools import cache

import numpy as np
import polars as pl
import pytest

from dujiang.catalog.tables import accelerators, clusters, hubs, trace_statistics
from dujiang.core.errors import InputError
from dujiang.core.problem import ProblemList
from dujiang.policy.catalogue import programmes_of_round
from dujiang.registry.book import ProgrammeUse
from dujiang.registry.columns import book_columns
from dujiang.sim import week, week_demand, week_supply
from dujiang.sim.assumption import sentences
from dujiang.sim.week import demo_week
from dujiang.store.read_book import read_book
from dujiang.store.write_book import BookFiles, book_bytes, write_book


@cache
def default_week() -> BookFiles:
    return demo_week()


@cache
def many() -> pl.DataFrame:
    """Enough orders that means of a heavy tail are near their expectation."""
    who = week_demand.enterprises(400, week.START.date(), 7)
    return week_demand.orders(120_000, who, week.START, 7)


def test_the_week_is_a_sound_book(tmp_path) -> None:
    write_book(default_week(), tmp_path / "week")
    problems = ProblemList()
    book, _ = read_book(tmp_path / "week", problems)
    assert book is not None, [p.say() for p in problems]
    assert book.day.isoformat() == "2025-11-03"
    assert (book.slots, book.orders.height, book.enterprises.height) == (168, 3_000, 400)
    assert 20 <= book.pools.height <= 28
    assert set(book.centres["cluster"].drop_nulls()) == set(clusters())
    assert set(book.centres["region"]) >= set(hubs())
    assert {use.programme_id for use in book.use} == {*week.BUDGETS, *week.WITHOUT_BUDGET}


def test_same_seed_same_bytes_and_another_seed_other_orders() -> None:
    assert book_bytes(demo_week()) == book_bytes(default_week())
    assert not demo_week(seed=1).tables["orders"].equals(default_week().tables["orders"])


@pytest.mark.parametrize("orders", [1, 40, 700])
def test_other_sizes_are_sound_too(tmp_path, orders: int) -> None:
    write_book(demo_week(orders=orders), tmp_path / "week")
    problems = ProblemList()
    book, _ = read_book(tmp_path / "week", problems)
    assert book is not None, [p.say() for p in problems]
    assert book.orders.height == orders


@pytest.mark.parametrize("arguments", [{"orders": 0}, {"orders": 10**7}, {"seed": -1}])
def test_sizes_and_seeds_out_of_range_are_problems(arguments) -> None:
    with pytest.raises(InputError) as caught:
        demo_week(**arguments)
    assert [p.field for p in caught.value.problems] == list(arguments)


@pytest.mark.parametrize("source", week_demand.SOURCES, ids=lambda s: s.statistic)
def test_training_orders_are_like_the_published_jobs(source: week_demand.Source) -> None:
    published = trace_statistics()[source.statistic]
    drawn = many().filter(pl.col("source") == source.statistic)
    n = drawn.height
    assert n / many().height == pytest.approx(source.share, rel=0.03)
    hours, gpus = drawn["hours"].to_numpy(), drawn["gpus"].to_numpy()
    # Four standard errors of each mean; the seed is fixed, so this is stable.
    assert gpus.mean() == pytest.approx(published.mean_gpus_per_job, abs=4 * gpus.std() / math.sqrt(n))
    assert hours.mean() * 3600 == pytest.approx(published.mean_run_s, abs=4 * 3600 * hours.std() / math.sqrt(n))
    assert np.median(gpus) == published.median_gpus_per_job
    assert np.median(hours) * 3600 == pytest.approx(published.median_run_s, rel=0.08)
    assert (hours * gpus).mean() == pytest.approx(source.gpu_hours_per_job, rel=0.15)
    assert hours.max() <= week_demand.LONGEST_RUN_H


def test_orders_begin_by_the_pattern_of_day_and_week_and_can_end_in_it() -> None:
    orders = many()
    slots = orders["hours"].ceil().cast(pl.Int64)
    assert (orders["release"] + slots <= orders["deadline"]).all()
    assert orders["deadline"].max() == week_demand.SLOTS
    short = orders.filter(pl.col("hours") <= 1)["release"]
    day = (short % 24).value_counts().sort("release")["count"]
    expected = np.array(week_demand.HOURS_OF_DAY) / sum(week_demand.HOURS_OF_DAY)
    assert np.abs(day.to_numpy() / short.len() - expected).max() < 0.004
    weekend = (short >= 120).sum() / 2 / ((short < 120).sum() / 5)
    assert weekend == pytest.approx(week_demand.WEEKEND, rel=0.03)


def test_submissions_come_before_the_round_and_number_the_orders() -> None:
    orders = default_week().tables["orders"]
    assert orders["submitted"].is_sorted()
    assert orders["submitted"].max() < "2025-11-02T16:00:00Z"
    assert orders["submitted"].min() >= "2025-10-26T16:00:00Z"


def test_demand_is_east_and_supply_west() -> None:
    tables = default_week().tables
    side = {hub.id: hub.side for hub in hubs().values()}
    pools = tables["pools"].join(tables["centres"], on="centre_id")
    west = pools.filter(pl.col("region").replace_strict(side, default="east") == "west")
    assert 0.55 < west["gpus"].sum() / pools["gpus"].sum() < 0.75
    size = (pl.col("gpus") * pl.col("hours").ceil()).sum()
    orders = tables["orders"].with_columns(pl.col("origin_region").replace_strict(side, default="east").alias("side"))
    by_side = dict(orders.group_by("side").agg(size.alias("n")).iter_rows())
    capacity = pools["gpus"].sum() * 168
    west_capacity = west["gpus"].sum() * 168
    assert 0.7 < sum(by_side.values()) / capacity < 0.9
    # The published statement is that centres are used below 30 % on average; the east has more demand than it can run.
    assert by_side["west"] / west_capacity < 0.3
    assert by_side["east"] / (capacity - west_capacity) > 1.2


def test_inference_stays_near_and_training_may_travel() -> None:
    orders = default_week().tables["orders"]
    assert orders.filter(pl.col("purpose") == "inference")["rtt_ms_max"].unique().sort().to_list() == [5.0, 20.0]
    assert (
        orders.filter(pl.col("purpose") == "training")["rtt_ms_max"].null_count()
        == (orders["purpose"] == "training").sum()
    )
    assert set(orders["purpose"]) == {"training", "inference"}


def test_links_join_all_regions_both_ways_and_are_computed_from_distance() -> None:
    tables = default_week().tables
    links = {(a, b): rtt for a, b, rtt in tables["links"].select("origin_region", "region", "rtt_ms").iter_rows()}
    regions = set(tables["centres"]["region"])
    assert set(links) == {(a, b) for a in regions for b in regions if a != b}
    assert all(links[b, a] == rtt for (a, b), rtt in links.items())
    # Zhangjiakou to Horinger: 269 km, 1.345 ms of light in fibre, twice 1.5 times that.
    assert links["jjj", "nmg"] == pytest.approx(4.04, abs=0.02)
    # Zhengzhou to Jinan lie about 379 km apart by road maps' geodesic.
    assert links["henan", "shandong"] == pytest.approx(379 / 200 * 3, abs=0.1)


def test_unverified_figures_are_empty_or_marked_as_assumed() -> None:
    tables = default_week().tables
    assumptions = default_week().header["assumptions"]
    for name, watts in tables["pools"].select("accelerator", "watts_per_gpu").iter_rows():
        assert watts == accelerators()[name].verified_value("tdp_w")
        assert (watts is None) == (name in assumptions["watts_per_gpu"]["value"])
    for centre, cluster, pue in tables["centres"].select("centre_id", "cluster", "pue").iter_rows():
        if cluster is None:
            assert pue is None
        else:
            verified = clusters()[cluster].is_verified("pue_limit")
            assert verified != (centre in assumptions["pue"]["value"])
    invented = assumptions["speed"]["value"]["invented"]
    assert set(invented) == {"h800-80-sxm", "ascend-910b", "ascend-910c", "hygon-k100-ai"}
    published = {name for name, r in assumptions["ask_cny_per_gpu_hour"]["value"]["ranges"].items() if r["published"]}
    assert published == {"a800-80-sxm"}


def test_asks_lie_in_the_range_of_rental_prices_and_are_lower_in_the_west() -> None:
    tables = default_week().tables
    ranges = default_week().header["assumptions"]["ask_cny_per_gpu_hour"]["value"]["ranges"]
    asks: dict[str, set[float]] = {}
    for name, ask in tables["pools"].select("accelerator", "ask_cny_per_gpu_hour").iter_rows():
        assert ranges[name]["low"] <= ask <= ranges[name]["high"]
        asks.setdefault(name, set()).add(ask)
    assert max(len(found) for found in asks.values()) == 2
    west = tables["pools"].filter(pl.col("pool_id") == "qingyang-a800-80-sxm")["ask_cny_per_gpu_hour"].item()
    assert west == min(asks["a800-80-sxm"]) == 8 + 0.2 * (12 - 8)


def test_every_assumption_has_its_sentence_and_every_sentence_its_assumption() -> None:
    written = default_week().header["assumptions"]
    assert set(written) == set(sentences()["week"])
    for entry in written.values():
        assert entry["en"].endswith(".")
        assert entry["zh"].endswith("。")


def test_the_facts_answer_every_condition_of_the_programmes_in_use() -> None:
    uses = tuple(ProgrammeUse(p) for p in (*week.BUDGETS, *week.WITHOUT_BUDGET))
    chosen, problems = programmes_of_round(uses, {})
    assert not problems
    known = set(week.FACTS) | {"purpose", "startup", "seller_cluster", "seller_province"}
    known |= {column.stored for column in book_columns()["enterprises"]}
    for entry in chosen.values():
        programme = entry.programme
        assert programme.not_computable is None
        asked = {c.fact for c in programme.conditions}
        asked |= {c.fact for special in programme.special_rates for c in special.when}
        assert asked <= known, programme.id


def test_budgets_are_a_week_of_the_published_ones_and_grow_with_the_book() -> None:
    budgets = {u["id"]: u["budget_cny"] for u in default_week().header["use"] if isinstance(u, dict)}
    assert budgets["sz-training-voucher"] == round(500_000_000 / 52 * 0.002, 2)
    larger = {u["id"]: u["budget_cny"] for u in demo_week(orders=6_000).header["use"] if isinstance(u, dict)}
    assert larger["sz-training-voucher"] == pytest.approx(2 * budgets["sz-training-voucher"], abs=0.02)


def test_claims_are_of_busy_firms_of_the_city_and_spare_the_budgets_of_the_round() -> None:
    tables = default_week().tables
    claims = tables["claims"].join(tables["enterprises"], on="enterprise_id")
    orders = tables["orders"]["enterprise_id"].value_counts()
    claims = claims.join(orders, on="enterprise_id").sort("programme_id", "count", descending=[False, True])
    found = claims.group_by("programme_id", "city", maintain_order=True).agg("amount_cny")
    assert found.rows() == [(programme, city, list(amounts)) for programme, (city, amounts) in week.CLAIMED.items()]
    assert set(claims["programme_id"]) <= set(week.WITHOUT_BUDGET)
    assert not claims["kind"].is_in(list(week_demand.NO_REVENUE)).any()


def test_pools_stay_whole_nodes_at_every_scale() -> None:
    for scale in (0.01, 0.3, 1.0, 2.5):
        gpus = week_supply.supply(scale).pools["gpus"]
        assert (gpus % week_supply.GPUS_PER_NODE == 0).all()
        assert gpus.min() >= week_supply.GPUS_PER_NODE
