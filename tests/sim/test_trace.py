"""A job log becomes a book: every row accounted for, every assumption written down, bad logs listed as problems."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.errors import InputError
from dujiang.core.problem import ProblemList
from dujiang.registry.book import Book
from dujiang.sim.assumption import sentences
from dujiang.sim.trace import import_trace
from dujiang.sim.trace_options import TraceFormat, TraceOptions
from dujiang.store.read_book import read_book
from dujiang.store.write_book import BookFiles, book_bytes, write_book

ROOT = Path(__file__).parents[2]
DATA = next((p for p in (ROOT / "shared" / "data", ROOT.parent / "shared" / "data") if p.exists()), None)
needs_data = pytest.mark.skipif(
    DATA is None, reason="needs the public traces in shared/data beside the checkout; they are not in the repository"
)
ALL = TraceOptions(from_day=0)

JOBS = """job_id,cluster,submit_s,duration_s,gpus,user_hash,vc
a,k,0,3600,1,u1,x
b,k,1800,5400,2,u2,x
c,k,3600,36,8,,y
d,k,7201,7200,4,u1,y
"""


def log(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def order(book: BookFiles, order_id: str) -> dict[str, object]:
    return book.tables["orders"].row(by_predicate=pl.col("order_id") == order_id, named=True)


def value(book: BookFiles, entry: str) -> object:
    return book.header["assumptions"][entry]["value"]


def attempt(path: Path, options: TraceOptions) -> BookFiles | InputError:
    try:
        return import_trace(path, "generic", options)
    except InputError as error:
        return error


def checked(book: BookFiles, folder: Path) -> Book:
    write_book(book, folder)
    problems = ProblemList()
    read, _ = read_book(folder, problems)
    assert read is not None, [p.say() for p in problems]
    return read


def test_jobs_become_orders_of_their_virtual_cluster(tmp_path: Path) -> None:
    book = import_trace(log(tmp_path, JOBS), "generic", replace(ALL, deadline_stretch=1.5, deadline_slack_h=6))
    b = order(book, "b")
    assert (b["gpus"], b["hours"], b["release"], b["origin_centre"], b["enterprise_id"]) == (2, 1.5, 1, "x", "u-u2")
    assert b["deadline"] == 1 + 3 + 6
    assert b["submitted"] == "2025-11-02T16:30:00Z"
    assert order(book, "c")["enterprise_id"] == "vc-y"
    assert order(book, "d")["release"] == 3
    assert "origin_region" not in book.tables["orders"].columns
    read = checked(book, tmp_path / "book")
    assert read.centres["centre_id"].to_list() == ["x", "y"]
    assert read.centres["region"].unique().to_list() == ["generic"]
    assert read.pools["accelerator"].unique().to_list() == ["unknown"]


def test_a_job_never_starts_before_it_was_submitted(tmp_path: Path) -> None:
    text = "job_id,submit_s,duration_s,gpus\n" + "".join(f"j{s},{s},60,1\n" for s in range(0, 20_000, 599))
    book = import_trace(log(tmp_path, text), "generic", ALL)
    for order_id, release in book.tables["orders"].select("order_id", "release").iter_rows():
        assert release * 3600 - 3600 < int(order_id[1:]) <= release * 3600


def test_capacity_follows_the_option_and_holds_the_largest_job(tmp_path: Path) -> None:
    path = log(tmp_path, JOBS)
    # x: 1 x 1 + 2 x 2 = 5 GPU-slots; y: 8 x 1 + 4 x 2 = 16.
    for asked, x, y in [("3", 3, 8), ("observed_peak", 2, 8), ("100x", 3, 10), ("1.25x", 2, 8)]:
        book = import_trace(path, "generic", replace(ALL, gpus_per_vc=asked))
        assert dict(book.tables["pools"].select("centre_id", "gpus").iter_rows()) == {"x": x, "y": y}, asked
    load = value(book, "demand_by_vc")["by_vc"]
    assert load["y"] == {"jobs": 2, "gpu_slots": 16, "peak_gpus": 8, "gpus": 8, "load": round(16 / (8 * 168), 4)}


def test_the_limit_is_the_cost_at_the_ask_times_the_markup(tmp_path: Path) -> None:
    options = replace(ALL, limit_markup_median=2.5, limit_markup_sigma=0.0, ask_ucny_per_gpu_hour=1_230_000)
    book = import_trace(log(tmp_path, JOBS), "generic", options)
    assert order(book, "b")["limit_cny"] == 2.5 * 2 * 2 * 1.23
    # 36 s occupy a whole slot, so the limit is that of a whole slot.
    assert order(book, "c")["limit_cny"] == 2.5 * 8 * 1.23
    assert checked(book, tmp_path / "book").pools["ask_ucny_per_gpu_hour"].unique().to_list() == [1_230_000]


def test_limits_have_the_stated_median_and_sigma(tmp_path: Path) -> None:
    text = "job_id,submit_s,duration_s,gpus\n" + "".join(f"j{i},{i},3600,1\n" for i in range(4_000))
    book = import_trace(log(tmp_path, text), "generic", replace(ALL, vcs=1))
    logs = (book.tables["orders"]["limit_cny"] / 2.0).log()
    assert logs.median() == pytest.approx(0.693, abs=0.03)
    assert logs.std() == pytest.approx(0.5, rel=0.04)


def test_long_jobs_are_cut_or_left_out_and_counted(tmp_path: Path) -> None:
    text = "job_id,submit_s,duration_s,gpus\nlong,7200,86400,1\nfits,0,3600,1\nexact,3600,82800,1\nlate,82801,60,1\n"
    path = log(tmp_path, text)
    cut = import_trace(path, "generic", replace(ALL, slots=24))
    assert (order(cut, "long")["hours"], order(cut, "long")["deadline"]) == (22.0, 24)
    assert (order(cut, "exact")["hours"], order(cut, "exact")["deadline"]) == (23.0, 24)
    assert value(cut, "rows") == {
        "in_file": 4,
        "unusable": {},
        "outside_window": 0,
        "submitted_in_last_hour": 1,
        "past_end_of_window": 0,
        "orders": 3,
        "of_which_cut_at_end": 1,
    }
    left = import_trace(path, "generic", replace(ALL, slots=24, long_jobs="leave_out"))
    assert sorted(left.tables["orders"]["order_id"]) == ["exact", "fits"]
    assert value(left, "rows")["past_end_of_window"] == 1


def test_the_busiest_window_is_chosen_and_the_earliest_of_equals(tmp_path: Path) -> None:
    day = 86_400
    rows = [(0, 1), (3, 5), (4, 5), (6, 10), (9, 1)]
    text = "job_id,submit_s,duration_s,gpus\n" + "".join(f"j{d},{d * day + 5},3600,{g}\n" for d, g in rows)
    path = log(tmp_path, text)
    for slots, first, jobs in [(24, 6, 1), (48, 3, 2), (96, 3, 3), (168, 0, 4), (2400, 0, 5)]:
        book = import_trace(path, "generic", TraceOptions(slots=slots))
        assert (value(book, "from_day"), book.tables["orders"].height) == (first, jobs), slots


def test_day_zero_is_the_day_of_the_first_submission(tmp_path: Path) -> None:
    since_1970 = 1_760_000_000
    text = f"job_id,submit_s,duration_s,gpus\na,{since_1970},60,1\nb,{since_1970 + 3600},60,1\n"
    book = import_trace(log(tmp_path, text), "generic", ALL)
    assert order(book, "b")["release"] - order(book, "a")["release"] == 1


def test_a_sample_has_the_asked_size_and_sizes_the_capacity(tmp_path: Path) -> None:
    text = "job_id,submit_s,duration_s,gpus,vc\n" + "".join(f"j{i},{i},36000,1,v\n" for i in range(1_000))
    path = log(tmp_path, text)
    book = import_trace(path, "generic", replace(ALL, max_orders=100))
    assert book.tables["orders"].height == 100
    assert value(book, "rows")["not_in_sample"] == 900
    assert book.tables["pools"]["gpus"].to_list() == [-(-125 * 100 * 10 // (100 * 168))]
    other = import_trace(path, "generic", replace(ALL, max_orders=100, seed=2))
    assert set(book.tables["orders"]["order_id"]) != set(other.tables["orders"]["order_id"])


def test_a_log_without_virtual_clusters_is_spread_by_user_or_job_name(tmp_path: Path) -> None:
    text = "job_id,submit_s,duration_s,gpus\n" + "".join(
        f"pai-{name:x}-{task}#{name}{i},60,60,1\n" for name in range(200) for i, task in enumerate(("worker", "ps"))
    )
    book = import_trace(log(tmp_path, text), "pai", replace(ALL, vcs=12))
    orders = book.tables["orders"].with_columns(pl.col("order_id").str.split("-").list.get(1).alias("name"))
    assert orders.group_by("name").agg(pl.col("origin_centre").n_unique())["origin_centre"].max() == 1
    assert sorted(orders["origin_centre"].unique()) == [f"vc{i:02d}" for i in range(1, 13)]
    users = "job_id,submit_s,duration_s,gpus,user_hash\na,0,60,1,u\nb,0,60,1,u\nc,0,60,1,w\n"
    by_user = import_trace(log(tmp_path, users), "generic", ALL).tables["orders"]
    assert by_user["enterprise_id"].to_list() == ["u-u", "u-u", "u-w"]
    assert by_user["origin_centre"][0] == by_user["origin_centre"][1]


def test_virtual_clusters_of_several_clusters_keep_apart(tmp_path: Path) -> None:
    text = "job_id,cluster,submit_s,duration_s,gpus,vc\na,k,0,60,1,x\nb,l,0,60,1,x\nc,l,0,60,1,\n"
    book = import_trace(log(tmp_path, text), "generic", ALL)
    assert book.tables["centres"]["centre_id"].to_list() == ["k-x", "l-none", "l-x"]


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "Job,begin,secs,n_gpu\na,0,3600,4\n"
    columns = {"job_id": "Job", "submit_s": "begin", "duration_s": "secs", "gpus": "n_gpu"}
    assert order(import_trace(log(tmp_path, text), "generic", replace(ALL, columns=columns)), "a")["gpus"] == 4


def test_the_helios_release_is_read_with_its_own_columns(tmp_path: Path) -> None:
    text = (
        "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue\n"
        "1425511,uXBbc,vcJkd,1,1,1,COMPLETED,2020-06-09 18:41:01,2020-06-09 18:41:01,2020-06-10 04:55:09,36848,0\n"
        "1425512,uVMrF,vchbv,4,16,1,FAILED,2020-06-09 18:41:27,2020-06-09 18:41:27,2020-06-09 18:45:36,249,0\n"
        "1425513,uVMrF,vchbv,4,16,1,FAILED,yesterday,2020-06-09 18:41:27,2020-06-09 18:45:36,249,0\n"
    )
    book = import_trace(log(tmp_path, text), "helios", ALL)
    assert order(book, "1425512")["release"] == 19
    assert order(book, "1425511")["enterprise_id"] == "u-uXBbc"
    assert value(book, "rows")["unusable"] == {"bad-type": 1}
    assert book.remarks[0].where == "log.csv:4:submit_time"


BAD = [
    (",0,60,1", "missing-value", "job_id"),
    ("z,soon,60,1", "bad-type", "submit_s"),
    ("z,0,,1", "missing-value", "duration_s"),
    ("z,0,0,1", "not-positive", "duration_s"),
    ("z,0,-5,1", "not-positive", "duration_s"),
    ("z,0,nan,1", "not-finite", "duration_s"),
    ("z,inf,60,1", "not-finite", "submit_s"),
    ("z,1e15,60,1", "out-of-range", "submit_s"),
    ("z,0,60,0", "no-gpus", "gpus"),
    ("z,0,60,-1", "not-positive", "gpus"),
    ("z,0,60,0.5", "fractional-gpus", "gpus"),
    ("z,0,60,1e9", "out-of-range", "gpus"),
    ("z,0,60,NaN", "not-finite", "gpus"),
    ("a,0,60,1", "duplicate", "job_id"),
    ("x" * 151 + ",0,60,1", "bad-id", "job_id"),
]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("row,code,field", BAD, ids=[f"{code}-{field}-{i}" for i, (_, code, field) in enumerate(BAD)])
def test_a_row_that_is_no_order_is_listed_and_counted(
    tmp_path: Path, row: str, code: str, field: str, kind: str
) -> None:
    path = log(tmp_path, f"job_id,submit_s,duration_s,gpus\na,0,60,1\n{row}\n")
    line = 3
    if kind == "parquet":
        frame = pl.read_csv(path, infer_schema=False)
        line, path = 2, tmp_path / "log.parquet"
        frame.write_parquet(path)
    book = import_trace(path, "generic", ALL)
    assert book.tables["orders"]["order_id"].to_list() == ["a"]
    assert value(book, "rows")["unusable"] == {code: 1}
    assert [(p.code, p.row, p.field) for p in book.remarks] == [(code, line, field)]


def test_many_bad_rows_are_shown_in_part_and_counted_in_full(tmp_path: Path) -> None:
    rows = "".join(f"j{i},0,0,1\n" for i in range(50))
    book = import_trace(log(tmp_path, f"job_id,submit_s,duration_s,gpus\na,0,60,1\n{rows}"), "generic", ALL)
    assert value(book, "rows")["unusable"] == {"not-positive": 50}
    assert len(book.remarks) == 21
    assert book.remarks[-1].found == "30 more of the same"


def test_shared_accelerators_can_be_rounded_up(tmp_path: Path) -> None:
    path = log(tmp_path, "job_id,submit_s,duration_s,gpus\na,0,60,0.46\nb,0,60,0\nc,0,60,1.5\n")
    book = import_trace(path, "generic", replace(ALL, fractional_gpus="round_up"))
    assert dict(book.tables["orders"].select("order_id", "gpus").iter_rows()) == {"a": 1, "c": 2}
    assert value(book, "rows")["unusable"] == {"no-gpus": 1}


@pytest.mark.parametrize(
    "name,data,code",
    [
        ("log.csv", b"job_id,submit_s,duration_s\na,0,60\n", "missing-column"),
        ("log.csv", b"job_id,submit_s,duration_s,gpus\n", "no-jobs"),
        ("log.csv", b"job_id,submit_s,duration_s,gpus\na,0,0,1\n", "no-jobs"),
        ("log.csv", b"job_id,submit_s,duration_s,gpus\na,0,60\n", "ragged-row"),
        ("log.csv", b"", "empty-file"),
        ("log.csv", b"job_id\xff\xfe\n", "bad-encoding"),
        ("log.parquet", b"PAR1 no", "bad-parquet"),
        ("log.parquet", b"", "bad-parquet"),
    ],
)
def test_a_log_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        import_trace(tmp_path / name, "generic", ALL)
    assert code in [p.code for p in caught.value.problems]


def test_a_log_that_is_not_there_or_has_no_job_in_the_window_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file that can be read"):
        import_trace(tmp_path / "none.csv", "generic")
    with pytest.raises(InputError, match="a job in the 168 h from day 400"):
        import_trace(log(tmp_path, JOBS), "generic", TraceOptions(from_day=400))


@pytest.mark.parametrize(
    "options",
    [
        {"columns": {"colour": "x"}},
        {"from_day": -1},
        {"slots": 0},
        {"start": datetime(2025, 11, 3, 0, 30, tzinfo=UTC)},
        {"start": datetime(2025, 11, 3)},  # noqa: DTZ001
        {"gpus_per_vc": "0x"},
        {"gpus_per_vc": "many"},
        {"gpus_per_vc": "-4"},
        {"vcs": 0},
        {"ask_ucny_per_gpu_hour": 0},
        {"deadline_stretch": 0.5},
        {"deadline_stretch": float("nan")},
        {"deadline_slack_h": -1},
        {"limit_markup_median": 0.0},
        {"limit_markup_sigma": -0.1},
        {"long_jobs": "shrink"},
        {"fractional_gpus": "down"},
        {"max_orders": 0},
        {"seed": -1},
        {"region": " "},
        {"accelerator": ""},
    ],
)
def test_wrong_options_are_problems_that_name_the_option(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        import_trace(log(tmp_path, JOBS), "generic", replace(ALL, **options))
    assert [p.field for p in caught.value.problems] == list(options)


def test_every_assumption_stands_in_the_book_with_a_sentence_in_both_languages(tmp_path: Path) -> None:
    book = import_trace(log(tmp_path, JOBS), "generic", ALL)
    written = book.header["assumptions"]
    assert set(written) == {name.partition("/")[0] for name in sentences()["trace"]}
    for entry in written.values():
        assert set(entry) == {"value", "en", "zh"}
        assert entry["en"].endswith(".")
        assert entry["zh"].endswith("。")
    assert checked(book, tmp_path / "book").assumptions == written


jobs_strategy = st.lists(
    st.tuples(
        st.integers(0, 400_000), st.integers(-5, 900_000), st.sampled_from([0, 0.5, 1, 1, 2, 8]), st.integers(0, 3)
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(
    jobs=jobs_strategy,
    slots=st.sampled_from([7, 24, 50, 168]),
    long_jobs=st.sampled_from(["cut", "leave_out"]),
    sample=st.sampled_from([None, 3]),
    turn=st.randoms(use_true_random=False),
)
def test_every_row_counts_once_and_their_order_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, jobs, slots, long_jobs, sample, turn
) -> None:
    folder = tmp_path_factory.mktemp("trace")
    rows = [f"j{i},{s},{d},{g},v{v}\n" for i, (s, d, g, v) in enumerate(jobs)]
    options = TraceOptions(slots=slots, long_jobs=long_jobs, max_orders=sample)
    header = "job_id,submit_s,duration_s,gpus,vc\n"
    book = attempt(log(folder, header + "".join(rows)), options)
    if isinstance(book, InputError):
        assert book.problems[-1].code == "no-jobs"
        return
    counts = dict(value(book, "rows"))
    assert counts.pop("in_file") == len(jobs)
    counts.pop("of_which_cut_at_end")
    assert sum(counts.pop("unusable").values()) + sum(counts.values()) == len(jobs)
    read = checked(book, folder / "book")
    biggest = read.orders.join(read.pools, left_on="origin_centre", right_on="centre_id", suffix="_pool")
    assert (biggest["gpus"] <= biggest["gpus_pool"]).all()
    fits = read.orders["release"] + -(-read.orders["hours_micro"] // 1_000_000)
    assert (fits <= read.orders["deadline"]).all()
    assert read.orders["deadline"].max() <= slots
    turn.shuffle(rows)
    again = import_trace(log(folder, header + "".join(rows)), "generic", options)
    for name, table in book.tables.items():
        assert table.equals(again.tables[name]), name


def test_same_log_same_bytes(tmp_path: Path) -> None:
    path = log(tmp_path, JOBS)
    assert book_bytes(import_trace(path, "generic", ALL)) == book_bytes(import_trace(path, "generic", ALL))


REAL: list[tuple[str, TraceFormat, int]] = [
    ("jobs_philly_early.parquet", "philly", 11),
    ("jobs_alibaba_pai_sample.parquet", "pai", 8),
]


@needs_data
@pytest.mark.parametrize("name,trace_format,centres", REAL)
def test_a_week_of_a_real_log_is_a_sound_book(
    tmp_path: Path, name: str, trace_format: TraceFormat, centres: int
) -> None:
    assert DATA is not None
    book = import_trace(DATA / name, trace_format, TraceOptions(max_orders=2_000))
    read = checked(book, tmp_path / "book")
    assert read.orders.height == 2_000
    assert read.centres.height == centres
    assert not book.remarks
    assert 0.05 < value(book, "demand_by_vc")["load"] < 0.85


@needs_data
def test_the_busiest_philly_week_is_loaded_as_the_option_says() -> None:
    assert DATA is not None
    book = import_trace(DATA / "jobs_philly_early.parquet", "philly")
    assert value(book, "from_day") == 48
    for vc, row in value(book, "demand_by_vc")["by_vc"].items():
        assert row["load"] <= 0.8, vc
    assert value(book, "demand_by_vc")["load"] == pytest.approx(0.77, abs=0.02)
    assert value(book, "enterprises") == "virtual cluster"


@needs_data
def test_a_log_full_of_gaps_is_imported_with_a_list_of_them() -> None:
    assert DATA is not None
    book = import_trace(DATA / "jobs_alibaba_openb_2023.parquet", "generic", TraceOptions(fractional_gpus="round_up"))
    rows = value(book, "rows")
    assert set(rows["unusable"]) == {"missing-value", "no-gpus"}
    assert {p.field for p in book.remarks} == {"duration_s", "gpus"}
    assert rows["in_file"] == 8_152
