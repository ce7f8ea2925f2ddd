"""The catalogue's own tables: origin and state of every figure, agreement with geometry and with what was collected."""

import csv
import math
import re
from dataclasses import fields
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest
from ruamel.yaml import YAML

from dujiang.catalog import tables
from dujiang.catalog.rows import Quality, Row, read_table

DATA = files("dujiang.catalog").joinpath("data")
SHARED = Path(__file__).parents[2].parent / "shared"
"""Where the collected facts lie beside a working copy; a public checkout has none."""

each_table = pytest.mark.parametrize("record", tables.TABLES, ids=lambda record: record.TABLE)


def _raw(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(DATA.joinpath(f"{name}.csv").read_text("utf-8").splitlines()))


def _described() -> dict[str, Any]:
    return YAML(typ="safe").load(DATA.joinpath("tables.yaml").read_text("utf-8"))


@each_table
def test_every_row_says_where_it_comes_from_and_whether_it_is_verified(record: type[Row]) -> None:
    for row in _raw(record.TABLE):
        assert len(row["source"]) >= 5, row
        assert row["quality"] in get_args(Quality), row
        assert row["verified"] in ("true", "false"), row
        assert "as_of" in row


@each_table
def test_ids_are_unique_and_rows_stand_in_their_order(record: type[Row]) -> None:
    ids = [row["id"] for row in _raw(record.TABLE)]
    assert ids == sorted(set(ids))
    assert ids == list(read_table(record))


@each_table
def test_columns_are_the_same_in_file_record_and_description(record: type[Row]) -> None:
    description = _described()
    own = description["tables"][record.TABLE]
    common = description["common"]
    columns = set(_raw(record.TABLE)[0])
    assert columns <= {field.name for field in fields(record)}
    assert {field.name for field in fields(record)} - columns <= {"unverified"}
    assert columns == set(own["columns"]) | (columns & set(common))
    assert not set(own["columns"]) & set(common)
    for text in (own, *own["columns"].values(), *common.values()):
        assert text["en"]
        assert re.search(r"[\u4e00-\u9fff]", text["zh"])
    assert own["source"]
    assert own["licence"]
    for figure in record.FIGURES:
        if figure != "start_area":
            assert own["columns"][figure]["unit"], figure


def test_every_table_file_is_described() -> None:
    present = {entry.name for entry in DATA.iterdir() if entry.name.endswith(".csv")}
    assert present - {"book_columns.csv", "facts.csv"} == {f"{name}.csv" for name in _described()["tables"]}
    assert set(_described()["tables"]) == {record.TABLE for record in tables.TABLES}


def test_no_data_file_holds_a_web_address() -> None:
    address = re.compile(
        r"https?:|www\.|\b[a-z0-9-]+\.(com|cn|org|net|gov|io|ai|dev|cc|se|fi|top|info)\b", re.IGNORECASE
    )
    assert address.search("read at example.com.cn")
    for entry in DATA.iterdir():
        assert (hit := address.search(entry.read_text("utf-8"))) is None, (entry.name, hit)


def test_references_between_tables_hold() -> None:
    areas = {row.area for row in tables.grid_factors().values() if row.level == "province"}
    for cluster in tables.clusters().values():
        assert cluster.province in tables.hubs()[cluster.hub].provinces
        assert cluster.grid_province in areas
    for hub in tables.hubs().values():
        assert set(hub.provinces) <= areas
    for price in tables.rental_prices().values():
        assert price.accelerator is None or price.accelerator in tables.accelerators()
        assert price.low <= price.high
    assert {(link.a, link.b) for link in tables.links().values()} == set(combinations(tables.clusters(), 2))


def _chord_km(a: tables.Cluster, b: tables.Cluster) -> float:
    """Great circle from the chord between two points of the unit sphere: not the haversine that made the table."""

    def point(c: tables.Cluster) -> tuple[float, float, float]:
        phi, lam = math.radians(c.latitude), math.radians(c.longitude)
        return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)

    return 6371 * 2 * math.asin(math.dist(point(a), point(b)) / 2)


def test_distances_and_latencies_follow_from_the_coordinates() -> None:
    clusters = tables.clusters()
    speed, factor = tables.network()["fibre-speed"].value, tables.network()["direct-1_5x"].value
    assert len(tables.links()) == 45
    for link in tables.links().values():
        km = _chord_km(clusters[link.a], clusters[link.b])
        assert link.km == pytest.approx(km, abs=0.5)
        assert link.one_way_theory_ms == pytest.approx(km / speed, abs=0.0051)
        assert link.one_way_limit_ms == pytest.approx(factor * km / speed, abs=0.0051)
        assert link.quality == "computed"
        assert "coordinates" in link.source


def test_computed_latency_is_never_a_fact() -> None:
    link = tables.link_between("zw", "cq")
    assert link is not None
    assert link is tables.link_between("cq", "zw")
    assert link.computed_rtt_theory_ms == 8.68
    assert link.computed_rtt_limit_ms == 13.02
    assert [link.verified_value(name) for name in link.FIGURES] == [None, None, None]
    assert tables.link_between("zw", "zw") is None
    assert tables.link_between("zw", "nowhere") is None


def test_an_unverified_figure_is_not_returned_as_a_fact() -> None:
    accelerators, clusters = tables.accelerators(), tables.clusters()
    huawei = accelerators["ascend-910b"]
    assert (huawei.memory_gb, huawei.tdp_w) == (64, 310)
    assert huawei.verified_value("memory_gb") == 64
    assert huawei.verified_value("tdp_w") is None
    assert huawei.verified_value("fp16_bf16_dense_tflops") is None
    assert huawei.verified_value("domestic") is True
    assert accelerators["a100-80-sxm"].verified_value("fp16_bf16_dense_tflops") == 312
    assert all(accelerators["mlu590"].verified_value(name) is None for name in tables.Accelerator.FIGURES)
    assert clusters["qy"].verified_value("pue_limit") == 1.2
    assert clusters["tf"].verified_value("pue_limit") is None
    assert clusters["tf"].verified_value("latitude") == clusters["tf"].latitude
    assert clusters["cq"].verified_value("start_area") is None
    assert tables.rental_prices()["rent-h20"].verified_value("low") is None
    assert tables.network()["fibre-speed"].verified_value("value") is None


@each_table
def test_no_row_without_full_verification_returns_all_its_figures(record: type[Row]) -> None:
    for row in read_table(record).values():
        states = [row.is_verified(name) for name in record.FIGURES]
        assert all(states) == row.verified or not states


def test_grid_factor_is_the_newest_average_of_that_area_only() -> None:
    newest = tables.grid_factor("甘肃")
    assert newest is not None
    assert (newest.year, newest.kgco2_per_kwh) == (2022, 0.4772)
    older = tables.grid_factor("甘肃", 2021)
    assert older is not None
    assert older.kgco2_per_kwh == 0.4955
    national = tables.grid_factor("全国")
    assert national is not None
    assert (national.variant, national.kgco2_per_kwh) == ("average", 0.5366)
    assert tables.grid_factor("甘肃", 2019) is None
    assert tables.grid_factor("西藏") is None


def test_shares_of_job_outcomes_sum_to_one() -> None:
    for row in tables.trace_statistics().values():
        shares = (row.completed_share, row.cancelled_share, row.failed_share)
        if None in shares:
            assert row.id == "pai"
        else:
            assert sum(share for share in shares if share is not None) == pytest.approx(1, abs=0.0021)


# What was collected, beside a working copy only.


def _facts(name: str) -> Any:
    path = SHARED / "facts" / name
    if not path.is_file():
        pytest.skip(f"the collected facts ({name}) are not beside this checkout, in ../shared/facts")
    return YAML(typ="safe").load(path.read_text("utf-8"))


def _state(fact: dict[str, Any], field: str) -> bool:
    """State of one field by the rule of the facts: the record's, unless the field is listed."""
    if field in fact.get("verified_fields", []):
        return True
    return fact["verified"] and field not in fact.get("unverified_fields", [])


def test_hubs_and_clusters_equal_the_facts() -> None:
    facts = _facts("hubs.yaml")
    assert set(tables.hubs()) == {hub["id"] for hub in facts["hubs"]}
    for hub in facts["hubs"]:
        row = tables.hubs()[hub["id"]]
        assert (row.name_zh, row.name_en, row.side) == (hub["name_zh"], hub["name_en"], hub["side"])
        assert (list(row.provinces), row.verified) == (hub["provinces"], hub["verified"])
    assert set(tables.clusters()) == {cluster["id"] for cluster in facts["clusters"]}
    for fact in facts["clusters"]:
        row = tables.clusters()[fact["id"]]
        assert (row.hub, row.name_zh, row.name_en, row.province) == tuple(
            fact[key] for key in ("hub", "name_zh", "name_en", "province")
        )
        assert (row.latitude, row.longitude) == (fact["lat"], fact["lon"])
        assert row.is_verified("latitude") == row.is_verified("longitude") == fact["coordinates_verified"]
        assert (row.pue_limit, row.is_verified("pue_limit")) == (fact["pue_limit"], fact["pue_limit_verified"])
        assert "、".join(row.start_area) == fact["start_area"]
        assert row.grid_province == fact["grid_emission_province"]
    unknown = re.compile(r"start area [^;]*general knowledge", re.IGNORECASE)
    assert {row.id for row in tables.clusters().values() if not row.is_verified("start_area")} == {
        fact["id"] for fact in facts["clusters"] if unknown.search(fact.get("notes", ""))
    }


def test_links_and_network_equal_the_facts() -> None:
    facts = _facts("hubs.yaml")
    assert len(facts["pairs_derived"]) == len(tables.links())
    for pair in facts["pairs_derived"]:
        link = tables.link_between(pair["a"], pair["b"])
        assert link is not None
        assert (link.km, link.one_way_theory_ms, link.one_way_limit_ms) == (
            pair["km"],
            pair["one_way_theory_ms"],
            pair["one_way_limit_ms"],
        )
    network = tables.network()
    stated = {fact["id"]: fact for fact in facts["network"] if fact["kind"] != "plan_target"}
    assert set(stated) | {"hub-bandwidth-utilisation", "fibre-speed"} == set(network)
    for key, fact in stated.items():
        value = fact.get("value_ms", fact.get("value_tbps", fact.get("factor")))
        assert (network[key].value, network[key].verified) == (value, fact["verified"])
    assert network["hub-bandwidth-utilisation"].value == stated["hub-bandwidth"]["mean_utilisation"]


def test_accelerators_equal_the_facts() -> None:
    names = {
        "memory_gb": "memory_gb",
        "memory_bandwidth_gb_per_s": "memory_bandwidth_gbs",
        "fp16_bf16_dense_tflops": "fp16_bf16_dense_tflops",
        "tdp_w": "tdp_w",
        "interconnect_gb_per_s": "interconnect_gbs",
    }
    assert set(names) == set(tables.Accelerator.FIGURES)
    facts = {fact["id"]: fact for fact in _facts("accelerators.yaml")["records"] if fact["kind"] == "accelerator"}
    assert set(tables.accelerators()) == set(facts)
    for key, fact in facts.items():
        row = tables.accelerators()[key]
        assert (row.vendor, row.model, row.domestic) == (fact["vendor"], fact["model"], fact["domestic"])
        assert row.software_stack == fact.get("software_stack")
        assert row.quality in {source["quality"] for source in fact["source"]}
        for name, fact_name in names.items():
            assert getattr(row, name) == fact[fact_name]
            expected = fact[fact_name] if _state(fact, fact_name) else None
            assert row.verified_value(name) == expected, (key, name)


def test_rental_prices_equal_the_facts() -> None:
    facts = {
        fact["id"]: fact
        for fact in _facts("accelerators.yaml")["records"]
        if fact["kind"] == "rental_price" and fact["low"] is not None
    }
    assert set(tables.rental_prices()) == set(facts)
    for key, fact in facts.items():
        row = tables.rental_prices()[key]
        assert (row.low, row.high, row.model, row.basis) == tuple(fact[k] for k in ("low", "high", "model", "basis"))
        assert (row.verified, row.as_of) == (fact["verified"], fact.get("date"))
        assert row.quality in {source["quality"] for source in fact["source"]}
        assert (row.unit == "CNY/GPU-hour") == (fact["unit"] == "yuan per GPU-hour")


def test_grid_factors_equal_the_facts() -> None:
    facts = _facts("energy.yaml")
    variants = {None: "average", "不包括市场化交易的非化石能源电量": "without-market-green", "化石能源电力": "fossil"}
    expected = {
        (fact.get("province", fact.get("region", "全国")), variants[fact.get("label")], year): fact[f"ef_{year}"]
        for fact in facts["grid_emission_factors"] + facts["regions"] + facts["national"]
        for year in (2021, 2022)
        if f"ef_{year}" in fact
    }
    found = {(row.area, row.variant, row.year): row.kgco2_per_kwh for row in tables.grid_factors().values()}
    assert found == expected
    assert all(row.verified for row in tables.grid_factors().values())


def test_trace_statistics_equal_the_published_summary() -> None:
    path = SHARED / "data" / "published_cluster_stats.parquet"
    if not path.is_file():
        pytest.skip("the published cluster statistics are not beside this checkout, in ../shared/data")
    names = {
        "mean_gpus_in_service": "mean_gpus",
        "jobs": "gpu_job_num",
        "mean_gpus_per_job": "avg_gpu_num",
        "median_gpus_per_job": "med_gpu_num",
        "mean_run_s": "avg_run_time_gpu",
        "median_run_s": "med_run_time_gpu",
        "mean_queue_s": "avg_que_time_gpu",
        "median_queue_s": "med_que_time_gpu",
        "completed_share": "complete_rate_gpu",
        "cancelled_share": "cancel_rate_gpu",
        "failed_share": "fail_rate_gpu",
    }
    published = {row["cluster"].lower(): row for row in pl.read_parquet(path).to_dicts()}
    assert len(published) == len(tables.trace_statistics())
    for row in tables.trace_statistics().values():
        summary = published[row.id.rpartition("-")[2]]
        assert {name: getattr(row, name) for name in names} == {name: summary[key] for name, key in names.items()}
