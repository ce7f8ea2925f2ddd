"""Whatever stands in the files, the verifier answers with findings and never with an error of its own."""

import shutil
from pathlib import Path

import handmade_round as handmade
import polars as pl
import pytest
from handmade_round import Case
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.verify import Finding, verify
from dujiang.verify.verdict import FINDINGS_PER_RULE

BOOK_FILES = sorted(handmade.BOOK)
RESULT_FILES = [
    "awards.parquet",
    "vouchers.parquet",
    "prices.parquet",
    "link_prices.parquet",
    "rejections.parquet",
    "multipliers.parquet",
    "summary.json",
    "facts.json",
    "programmes/sz.yaml",
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    handmade.write_book(folder / "book")
    handmade.write_result(folder / "result")
    return folder


@settings(max_examples=120, deadline=None)
@given(
    file=st.sampled_from([*(f"book/{name}" for name in BOOK_FILES), *(f"result/{name}" for name in RESULT_FILES)]),
    at=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 30),
    put=st.binary(max_size=8)
    | st.sampled_from([b",", b"\n", b"-1", b"null", b"[", b'"', b"9" * 30, b"nan", b"1e99", b"1e9999999"]),
)
def test_any_bytes_give_a_verdict(kept: Path, file: str, at: float, cut: int, put: bytes) -> None:
    path = kept / file
    before = path.read_bytes()
    place = int(len(before) * at)
    try:
        path.write_bytes(before[:place] + put + before[place + cut :])
        verdict = verify(kept / "book", kept / "result")
    finally:
        path.write_bytes(before)
    for finding in verdict.findings:
        assert isinstance(finding, Finding)
        assert "\n" not in finding.say("en") + finding.say("zh")


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("book.yaml", "2025-11-03T00", "9999-12-31T00"),
        ("book.yaml", "2025-11-03T00", "0001-01-01T00"),
        ("book.yaml", "slots: 4", "slots: 1e999999999"),
        ("book.yaml", "slots: 4", "slots: true"),
        ("book.yaml", "title: By hand", "objective: 5"),
        ("book.yaml", "title: By hand", "facts: []"),
        ("book.yaml", "title: By hand", "use: sz"),
        ("book.yaml", "title: By hand", "use: [{budget_cny: 5}]"),
        ("book.yaml", "title: By hand", "use: [{id: sz, budget_cny: -5}]"),
        ("pools.csv", "910B,4,4.0", "910B,4,-4"),
        ("pools.csv", "910B,4,4.0,0.5", "910B,4,4.0,0"),
        ("pools.csv", "pn,west1", "pn,north"),
        ("pools.csv", "pn,west1", "pw,west1"),
        ("capacity.csv", "pe,3", "pe,4"),
        ("capacity.csv", "pe,3", "px,3"),
        ("orders.csv", "o9,c", "o8,c"),
        ("orders.csv", "o9,c", "o9,nobody"),
        ("orders.csv", "o9,c", ",c"),
        ("orders.csv", "o9,c,8,1", "o9,c,8,1e-7"),
        ("orders.csv", "order_id,", "order_id,order_id"),
        ("enterprises.csv", "a,深圳,20", "a,深圳,some"),
        ("claims.csv", "2025,20", "2025,-20"),
        ("links.csv", "0.10,40,30", "0.10,40"),
        ("links.csv", "0.10,40,30", "0.10,40,-30"),
        ("running.csv", "r0,pw", "r0,px"),
        ("running.csv", "r0,pw,2,9", "r0,pw,2,0"),
        ("running.csv", "r0,pw,2,9", "r0,pw,soon,9"),
        ("links.csv", "0.10,40", '0.10,"40'),
    ],
)
def test_a_book_that_check_would_refuse_is_one_finding(good: Case, name: str, old: str, new: str) -> None:
    path = good.book / name
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new), encoding="utf-8")
    found = good.verdict().findings
    assert [finding.rule for finding in found] == ["files"]
    assert found[0].where.startswith("book:")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1" + "0" * 400, "1e400", "[]", '"1"', "true"])
def test_a_figure_that_is_no_number_is_a_finding(good: Case, value: str) -> None:
    path = good.result / "summary.json"
    text = path.read_text(encoding="utf-8")
    assert '"turnover_cny": 240.0' in text
    path.write_text(text.replace('"turnover_cny": 240.0', f'"turnover_cny": {value}'), encoding="utf-8")
    assert [f.where for f in good.verdict().findings] == ["summary.json:turnover_cny"]


NUMBERS = [-(2**63), -1, 0, 1, 2**31, 2**62, 2**63 - 1]


@settings(max_examples=200, deadline=None)
@given(
    table=st.sampled_from(["awards", "vouchers", "prices", "link_prices", "multipliers", "rejections"]),
    row=st.integers(0, 1),
    column=st.integers(0, 30),
    number=st.sampled_from(NUMBERS),
)
def test_any_number_gives_a_verdict(kept: Path, table: str, row: int, column: int, number: int) -> None:
    path = kept / "result" / f"{table}.parquet"
    before = path.read_bytes()
    frame = pl.read_parquet(before)
    names = [name for name, dtype in frame.schema.items() if dtype == pl.Int64]
    name = names[column % len(names)]
    rows = frame.to_dicts()
    old, rows[row][name] = rows[row][name], number
    try:
        pl.DataFrame(rows, schema=frame.schema).write_parquet(path)
        verdict = verify(kept / "book", kept / "result")
    finally:
        path.write_bytes(before)
    assert verdict.clean == (number == old)


def test_empty_folders_and_no_folders(tmp_path: Path) -> None:
    for book in (tmp_path, tmp_path / "none"):
        verdict = verify(book, tmp_path / "none")
        assert {finding.rule for finding in verdict.findings} == {"files"}


def test_a_folder_in_the_place_of_a_file(good: Case) -> None:
    for name in RESULT_FILES:
        (good.result / name).unlink()
        (good.result / name).mkdir()
    assert "files" in {finding.rule for finding in good.verdict().findings}


def test_parquet_tables_of_a_book_say_the_same(good: Case) -> None:
    """Typed columns, as a program would write them."""
    types = {
        "employees": pl.Int64,
        "gpus": pl.Int64,
        "hours": pl.Float64,
        "limit_cny": pl.Float64,
        "data_gb": pl.Float64,
        "gb_per_slot": pl.Float64,
    }
    types |= {
        "release": pl.Int64,
        "deadline": pl.Int64,
        "amount_cny": pl.Float64,
        "speed": pl.Float64,
        "slot": pl.Int32,
    }
    types |= {"cny_per_gb": pl.Float64, "period": pl.Int64, "ask_cny_per_gpu_hour": pl.Float64}
    for path in sorted(good.book.glob("*.csv")):
        frame = pl.read_csv(path, infer_schema=False)
        casts = [pl.col(name).cast(dtype) for name, dtype in types.items() if name in frame.columns]
        frame = frame.with_columns(casts)
        if "stacks" in frame.columns:
            frame = frame.with_columns(pl.col("stacks").str.split(";"))
        frame.write_parquet(path.with_suffix(".parquet"))
        path.unlink()
    assert good.verdict().findings == []


def test_a_table_twice_is_a_finding(good: Case) -> None:
    pl.read_csv(good.book / "pools.csv").write_parquet(good.book / "pools.parquet")
    assert [finding.rule for finding in good.verdict().findings] == ["files"]


def test_order_of_rows_in_the_book_changes_nothing(good: Case) -> None:
    for path in good.book.glob("*.csv"):
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    assert good.verdict().findings == []


def test_one_wrong_column_does_not_hide_the_rest(good: Case, tmp_path: Path) -> None:
    """Past a few findings of one rule the rest is only counted."""
    shutil.copytree(good.book, tmp_path / "many")
    rows = handmade.BOOK["orders.csv"] + "".join(f"x{i},c,1,1,0,4,9,,,,,\n" for i in range(70))
    (tmp_path / "many" / "orders.csv").write_text(rows, encoding="utf-8")
    findings = verify(tmp_path / "many", good.result).findings
    once = [finding for finding in findings if finding.rule == "once"]
    assert len(once) == FINDINGS_PER_RULE + 1
    assert once[-1].found == "20 more of the same rule"
