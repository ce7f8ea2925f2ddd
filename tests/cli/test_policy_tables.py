"""`dujiang policy apply` and `what-if`: tables of firms and purchases, and what a changed rule does to them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from books import dujiang
from dujiang.policy.apply import ANSWER_SCHEMA
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.totals import DIMENSIONS, SIZES, TOTAL_SCHEMA, size_of

FIRMS = """\
enterprise_id,province,city,kind,founded,employees,industry
a,广东,深圳,enterprise,2024-05-06,40,software
b,广东,东莞,enterprise,2015-05-06,900,manufacturing
c,广东,深圳,enterprise,2020-01-01,10,software
"""
SPENDS = """\
spend_id,enterprise_id,date,submitted,good,purpose,contract_cny,startup
s1,a,2026-03-01,2026-03-01T09:00:00+08:00,compute,training,8000000,true
s2,b,2026-03-02,2026-03-02T09:00:00+08:00,compute,inference,3000000,false
s3,c,2026-03-03,2026-03-03T09:00:00+08:00,compute,training,100000,false
s4,c,2026-03-04,2026-03-04T09:00:00+08:00,compute,training,30000000,false
"""
PAID = {"s1": 4_800_000, "s3": 50_000, "s4": 9_950_000}
"""Of the Shenzhen training voucher: 60 % for a start-up; 50 %; and what the cap of 10 million leaves."""


@pytest.fixture
def tables(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "firms.csv").write_text(FIRMS, encoding="utf-8")
    (tmp_path / "spends.csv").write_text(SPENDS, encoding="utf-8")
    return ["--firms", tmp_path / "firms.csv", "--spends", tmp_path / "spends.csv"]


def applied(tables: list[str | Path], out: Path, *more: str | Path) -> dict[str, Any]:
    ended = dujiang("policy", "apply", *tables, "--out", out, *more, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def changed_copy(folder: Path, **replaced: str) -> Path:
    """Write the training voucher with other figures, under its own id."""
    folder.mkdir()
    text = shipped_programmes()["sz-training-voucher"].content.decode()
    for old, new in replaced.items():
        before = {"share": "share: 0.5", "special": "share: 0.6"}[old]
        assert before in text
        text = text.replace(before, f"share: {new}", 1)
    path = folder / "sz-training-voucher.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_purchases_are_paid_in_turn_and_added_up(tables: list[str | Path], tmp_path: Path) -> None:
    summary = applied(tables, tmp_path / "out")
    answers = pl.read_parquet(tmp_path / "out" / "answers.parquet")
    assert answers.columns == ["spend_id", "enterprise_id", *list(ANSWER_SCHEMA)[1:]]
    paid = answers.filter(pl.col("amount_ucny") > 0)
    assert dict(zip(paid["spend_id"], (paid["amount_ucny"] // 10**6).to_list(), strict=True)) == PAID
    assert dict(paid.filter(pl.col("spend_id") == "s4").select("binding", "chosen").row(0, named=True)) == {
        "binding": "cap",
        "chosen": True,
    }
    assert (summary["firms"], summary["purchases"], summary["purchases_paid"]) == (3, 4, 3)
    assert summary["paid_cny"] == f"{sum(PAID.values())}.00"
    (voucher,) = (row for row in summary["programmes"] if row["programme_id"] == "sz-training-voucher")
    assert (voucher["ok"], voucher["ineligible"], voucher["chosen"]) == (3, 1, 3)
    kept = tmp_path / "out" / "programmes" / "sz-training-voucher.yaml"
    assert kept.read_bytes() == shipped_programmes()["sz-training-voucher"].content


def test_every_dimension_of_the_totals_adds_up_to_all(tables: list[str | Path], tmp_path: Path) -> None:
    applied(tables, tmp_path / "out")
    totals = pl.read_parquet(tmp_path / "out" / "totals.parquet")
    assert totals.schema == pl.Schema(TOTAL_SCHEMA)
    assert set(totals["dimension"]) == set(DIMENSIONS)
    for dimension in DIMENSIONS:
        rows = totals.filter((pl.col("dimension") == dimension) & (pl.col("dimension") != "programme"))
        together = rows.filter(pl.col("programme_id").is_null())
        if dimension != "programme":
            assert together["amount_ucny"].sum() == sum(PAID.values()) * 10**6
    sizes = totals.filter((pl.col("dimension") == "size") & pl.col("programme_id").is_null())
    assert dict(sizes.select("value", "amount_ucny").iter_rows()) == {
        "0-19": (PAID["s3"] + PAID["s4"]) * 10**6,
        "20-299": PAID["s1"] * 10**6,
    }


def test_the_bands_of_staff_begin_where_they_say() -> None:
    staff = pl.Series([0, 19, 20, 299, 300, 999, 1000, None])
    wanted = [SIZES[0], SIZES[0], SIZES[1], SIZES[1], SIZES[2], SIZES[2], SIZES[3], None]
    assert size_of(staff).to_list() == wanted


def test_a_changed_rule_says_who_wins_who_loses_and_what_it_costs(tables: list[str | Path], tmp_path: Path) -> None:
    """Without the cap in the way: 70 % for start-ups instead of 60, 40 % for the others instead of 50."""
    changed = changed_copy(tmp_path / "new", share="0.4", special="0.7")
    ended = dujiang("policy", "what-if", changed, *tables, "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["before_cny"] == "14800000.00"
    assert document["after_cny"] == "15600000.00"  # 5.6 m; 40,000; 9.96 m left of the cap
    assert document["cost_cny"] == "800000.00"
    assert (document["winners"], document["losers"], document["unchanged"]) == (1, 0, 1)
    assert document["largest_gains"][0]["enterprise_id"] == "a"
    (voucher,) = document["by"]["programme"]
    assert (voucher["programme_id"], voucher["change_cny"]) == ("sz-training-voucher", "800000.00")
    assert dujiang("policy", "what-if", changed, *tables).code == 0


def test_without_a_change_nobody_wins_or_loses(tables: list[str | Path], tmp_path: Path) -> None:
    ended = dujiang("policy", "what-if", changed_copy(tmp_path / "same"), *tables, "--json")
    document = json.loads(ended.out)
    assert (document["winners"], document["losers"], document["cost_cny"]) == (0, 0, "0.00")


def test_programmes_of_ones_own_count(tables: list[str | Path], tmp_path: Path) -> None:
    changed = changed_copy(tmp_path / "own", share="0.1", special="0.2")
    summary = applied(tables, tmp_path / "out", "--programmes", changed.parent)
    assert summary["paid_cny"] == "4610000.00"  # 1.6 m, 10,000, 3 m
    kept = tmp_path / "out" / "programmes" / "sz-training-voucher.yaml"
    assert kept.read_bytes() == changed.read_bytes()


def test_people_see_how_many_purchases_each_programme_fits(tables: list[str | Path], tmp_path: Path) -> None:
    ended = dujiang("policy", "apply", *tables, "--out", tmp_path / "out")
    assert ended.code == 0
    row = next(line for line in ended.out.splitlines() if line.startswith("sz-training-voucher"))
    assert row.split()[1:] == ["3", "0", "0", "1", "0", "0", "3"]


BAD = {
    "unknown firm": ("spends.csv", "s2,b,", "s2,x,", "enterprise_id"),
    "twice": ("spends.csv", "s2,b,", "s1,b,", "spend_id"),
    "firm twice": ("firms.csv", "\nb,", "\na,", "enterprise_id"),
    "no day": ("spends.csv", "2026-03-02,", ",", "date"),
    "no amount": ("spends.csv", "3000000", "3 m", "contract_cny"),
    "below zero": ("spends.csv", "3000000", "-1", "contract_cny"),
    "no truth": ("spends.csv", "8000000,true", "8000000,maybe", "startup"),
    "no number": ("firms.csv", ",900,", ",many,", "employees"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_listed_with_its_place(name: str, tables: list[str | Path], tmp_path: Path) -> None:
    file, old, new, field = BAD[name]
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    ended = dujiang("policy", "apply", *tables, "--out", tmp_path / "out")
    assert ended.code == 1
    assert file in ended.err
    assert field in ended.err
    assert not (tmp_path / "out").exists()


def test_all_mistakes_of_both_tables_are_listed_at_once(tables: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "firms.csv").write_text(FIRMS.replace(",900,", ",many,"), encoding="utf-8")
    (tmp_path / "spends.csv").write_text(SPENDS.replace("3000000", "3 m").replace("s4,c", "s4,x"), encoding="utf-8")
    ended = dujiang("policy", "what-if", changed_copy(tmp_path / "new"), *tables)
    assert ended.code == 1
    for field in ("employees", "contract_cny", "enterprise_id"):
        assert field in ended.err


def test_a_file_that_is_no_programme_is_a_problem(tables: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("rate: 2\n", encoding="utf-8")
    ended = dujiang("policy", "what-if", tmp_path / "x.yaml", tmp_path / "none.yaml", *tables)
    assert ended.code == 1
    assert "x.yaml" in ended.err
    assert "none.yaml" in ended.err
