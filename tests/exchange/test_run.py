"""A whole round with real processes: every outcome, and every file against the ledger."""

import csv
import json
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from beancount import loader
from beancount.core import realization
from rounds import Order, balances, dujiang, jobs, ledger, processes_in, results, write_book

from dujiang.exchange.run import RunOptions, run_round
from dujiang.settlement import account
from dujiang.verify import verify

YUAN = 1_000_000
SPEEDUP = 3600
LONG_ID = "长" * 150 + "x" * 50


def orders(log: Path) -> list[Order]:
    """25 orders: stand-ins and commands of every kind, from all enterprises, with and without data and vouchers."""
    said = f'echo "$DUJIANG_JOB_ID|$DUJIANG_GPUS|$DUJIANG_POOL_ID|$DUJIANG_AWARD_START" >> {log}'
    e2, e3 = "企业/二 号", "E~3"
    commands = [
        Order("ok", 3, 1, 0, 2, command=said),
        Order("fails", 2, 2, 0, 3, command=f"{said}; exit 7", enterprise_id=e2),
        Order("killed", 1, 1, 1, 3, command=f"{said}; kill -9 $$", enterprise_id=e3),
        Order("too long", 4, 1, 0, 1, command=f"{said}; sleep 60", origin_region="east", data_gb=100),
        Order("too/long/2", 5, 1.5, 1, 4, command=f"{said}; sleep 60", enterprise_id=e3),
        Order("writes", 1, 1, 0, 2, command=f"{said}; mkdir out && echo 模型 > out/model.bin; echo gone >&2"),
        Order("not-there", 1, 1, 2, 4, command=f"{said}; /no/such/program"),
    ]
    ids = ["订单-一", "o/2", "a b'c\"", "Ω~100%", "..", LONG_ID, "/", "-o", "%41", "A", "a"]
    stand_ins = [
        Order(
            key,
            1 + n,
            round(0.4 + 0.37 * n, 2),
            n % 3,
            8,
            3000,
            ("e1", e2, e3)[n % 3],
            "east" if n % 2 else "",
            3.3 * (n % 2),
        )
        for n, key in enumerate(ids)
    ]
    same = [Order(f"same{n}", 2, 0.333333, 0, 5, 77.777777, "e1", "east", 0.5) for n in range(4)]
    refused = [
        Order("too big", 65, 1, 0, 5),
        Order("too poor", 8, 1, 0, 5, 0.01),
        Order("no such card", 1, 1, 0, 5, accelerators="tpu"),
    ]
    return [*commands, *stand_ins, *same, *refused]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The round, once for all tests here."""
    place = tmp_path_factory.mktemp("round")
    book = write_book(place / "book", orders(place / "said"), slots=8)
    ended = dujiang("run", book, "--out", place / "out", "--speedup", SPEEDUP, "--json")
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert processes_in(place) == []
    return place, ended.document


@pytest.fixture
def place(done):
    return done[0]


@pytest.fixture
def summary(done):
    return done[1]


def usage(place: Path) -> dict[str, dict]:
    return {row["order_id"]: row for row in pl.read_parquet(place / "out/usage.parquet").iter_rows(named=True)}


def awards(place: Path) -> dict[str, dict]:
    return {row["order_id"]: row for row in pl.read_parquet(place / "out/awards.parquet").iter_rows(named=True)}


def test_every_order_is_served_once_or_refused_with_its_reason(place, summary) -> None:
    refused = dict(pl.read_parquet(place / "out/rejections.parquet").select("order_id", "reason").iter_rows())
    assert refused == {"too big": "no_room", "too poor": "limit_below_ask", "no such card": "no_compatible_pool"}
    assert len(awards(place)) == summary["awards"] == 22
    assert set(awards(place)) | set(refused) == {order.order_id for order in orders(place)}


def test_each_award_ended_as_its_command_did(place, summary) -> None:
    expected = dict.fromkeys(awards(place), "ended")
    expected |= dict.fromkeys(["fails", "killed", "not-there"], "failed")
    expected |= dict.fromkeys(["too long", "too/long/2"], "cancelled")
    assert {key: row["outcome"] for key, row in usage(place).items()} == expected
    assert summary["run"]["outcomes"] == {"cancelled": 2, "ended": 17, "failed": 3}
    codes = {key: status["exit_code"] for key, status in jobs(place / "out").items()}
    assert (codes["fails"], codes["killed"], codes["not-there"], codes["ok"]) == (7, 137, 127, 0)
    assert set(codes) == set(awards(place))


def test_commands_ran_once_and_knew_their_award(place) -> None:
    said = sorted((place / "said").read_text(encoding="utf-8").splitlines())
    expected = []
    for order in orders(place):
        if order.command:
            row = awards(place)[order.order_id]
            begin = f"2025-11-02T{16 + row['start']:02d}:00:00Z"
            expected.append(f"{order.order_id}|{order.gpus}|{row['pool_id']}|{begin}")
    assert said == sorted(expected)
    files = list((place / "out/jobs/local/writes").rglob("*"))
    assert (place / "out/jobs/local/writes/work/out/model.bin").read_text(encoding="utf-8") == "模型\n", files


def test_readings_are_exact_where_they_do_not_come_from_a_wall_clock(place) -> None:
    for key, row in usage(place).items():
        award = awards(place)[key]
        command = next(order.command for order in orders(place) if order.order_id == key)
        if not command:
            assert row["run_hours_micro"] == award["hours_micro"], key
        elif row["outcome"] == "cancelled":
            assert row["run_hours_micro"] == award["slots"] * YUAN, key
        else:
            # All others end at once: well under a second, which is an hour here.
            assert 0 < row["run_hours_micro"] < 0.9 * YUAN, key
        assert row["gpu_hours_micro"] == row["gpus"] * row["run_hours_micro"]
        assert (row["kwh"] is None) == (row["pool_id"] == "pool 2")
    slow = [row for row in awards(place).values() if row["pool_id"] == "pool 2"]
    assert slow
    assert len(slow) < len(awards(place))


def test_the_ledger_sums_to_zero_and_each_award_is_reserved_and_settled_to_the_micro_yuan(place) -> None:
    lines = ledger(place / "out")
    sums = lines.group_by("entry_id").agg(pl.col("amount_ucny").sum())
    assert set(sums["amount_ucny"]) == {0}
    for key, row in awards(place).items():
        name = account.enterprise_reserved(row["enterprise_id"])
        own = lines.filter(pl.col("order_id") == key)
        moved = own.group_by("kind", "account").agg(pl.col("amount_ucny").sum())
        by_kind = {(kind, acc): ucny for kind, acc, ucny in moved.iter_rows()}
        reserved, posted, voided = (by_kind.get((kind, name), 0) for kind in ("reserve", "post", "void"))
        assert -reserved == posted + voided, key
        assert posted + YUAN // 100 >= 0
        assert -reserved <= 5000 * YUAN
        limit = next(order.limit_cny for order in orders(place) if order.order_id == key)
        assert posted <= round(limit * YUAN), key
    left = balances(place / "out")
    assert [name for name in left if name.endswith(":Reserved") and left[name]] == []
    cut = usage(place)["fails"]
    assert cut["run_hours_micro"] < awards(place)["fails"]["hours_micro"]
    assert "fails/void" in set(lines["entry_id"])


def test_vouchers_stay_within_budget_and_caps(place) -> None:
    spent: dict[tuple[str, str], int] = defaultdict(int)
    rows = ledger(place / "out").filter(pl.col("kind") == "post")
    for key, row in awards(place).items():
        if row["programme_id"] is not None:
            name = account.programme_reserved(row["programme_id"])
            posted = rows.filter((pl.col("order_id") == key) & (pl.col("account") == name))["amount_ucny"].sum()
            assert 0 <= posted <= row["voucher_ucny"]
            unit = YUAN if row["programme_id"] == "gz-voucher" else YUAN // 100
            assert posted % unit == 0
            spent[row["programme_id"], row["enterprise_id"]] += posted
    assert {programme for programme, _ in spent} == {"sz", "gz-voucher"}
    assert sum(ucny for (programme, _), ucny in spent.items() if programme == "sz") <= 300 * YUAN
    assert all(ucny <= (220 if programme == "sz" else 90.55) * YUAN for (programme, _), ucny in spent.items())
    # One by one as they stand in the file, nothing guarded is ever overdrawn.
    running: dict[str, int] = defaultdict(int)
    for name, ucny in ledger(place / "out").select("account", "amount_ucny").iter_rows():
        running[name] += ucny
        assert not account.is_guarded(name) or running[name] <= 0, name


def test_invoices_and_the_cost_export_add_up_to_the_ledger(place) -> None:
    posts = ledger(place / "out").filter(pl.col("kind") == "post").group_by("account").agg(pl.col("amount_ucny").sum())
    posted = dict(posts.iter_rows())
    with (place / "out/invoices/index.csv").open(encoding="utf-8", newline="") as file:
        pages = list(csv.DictReader(file))
    accounts = {
        "enterprise": account.enterprise_reserved,
        "centre": lambda key: account.centre(key),
        "programme": account.programme_reserved,
    }
    for page in pages:
        total = int(Decimal(page["total_cny"]) * YUAN)
        assert total == abs(posted[accounts[page["kind"]](page["party_id"])]), page
        assert (place / "out/invoices" / page["file"]).is_file()
    assert {page["party_id"] for page in pages} == {"e1", "企业/二 号", "E~3", "东-1", "west/2", "sz", "gz-voucher"}
    on_disk = {path.relative_to(place / "out/invoices").as_posix() for path in (place / "out/invoices").rglob("*.html")}
    assert on_disk == {page["file"] for page in pages}
    billed: dict[str, Decimal] = defaultdict(Decimal)
    credit = Decimal()
    with (place / "out/focus.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            billed[row["BillingAccountId"]] += Decimal(row["BilledCost"])
            credit -= Decimal(row["BilledCost"]) if row["ChargeCategory"] == "Credit" else 0
    assert {key: int(cny * YUAN) for key, cny in billed.items()} == {
        key: posted[account.enterprise_reserved(key)] for key in billed
    }
    assert (
        int(credit * YUAN)
        == posted[account.programme_reserved("sz")] + posted[account.programme_reserved("gz-voucher")]
    )


def test_the_summary_says_what_the_ledger_says(place, summary) -> None:
    assert json.loads((place / "out/summary.json").read_bytes()) == summary
    left = balances(place / "out")
    run = summary["run"]
    assert run["posted_gross_cny"] == -sum(v for k, v in left.items() if k.startswith("Liabilities:Centre:")) / YUAN
    assert run["posted_transfer_cny"] == -left[account.CARRIER] / YUAN
    assert run["posted_rounding_cny"] == left.get(account.ROUNDING, 0) / YUAN
    assert run["posted_net_cny"] == sum(v for k, v in left.items() if k.startswith("Assets:Enterprise:")) / YUAN
    paid = Decimal(str(run["posted_net_cny"])) + Decimal(str(run["posted_voucher_cny"]))
    paid += Decimal(str(run["posted_rounding_cny"]))
    assert paid == Decimal(str(run["posted_gross_cny"])) + Decimal(str(run["posted_transfer_cny"]))
    hours = sum(row["gpu_hours_micro"] for row in usage(place).values())
    assert run["gpu_hours_metered"] == hours / YUAN
    assert run["without_energy_reading"] == sum(row["kwh"] is None for row in usage(place).values())


def test_the_independent_program_finds_nothing(place) -> None:
    verdict = verify(place / "book", place / "out")
    assert verdict.findings == []
    assert {"usage", "ledger", "ledger_budget", "certificate"} <= set(verdict.checks)
    assert verdict.checks["ledger"] > 100


def test_beancount_comes_to_the_same_balances(place) -> None:
    path = place / "out/ledger.beancount"
    program = Path(sys.executable).with_name("bean-check")
    assert subprocess.run([program, path], check=False, capture_output=True, text=True).stdout == ""
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    theirs = {
        node.account: int(position.units.number * YUAN)
        for node in realization.iter_children(realization.realize(entries))
        for position in node.balance
    }
    assert theirs == {name: ucny for name, ucny in balances(place / "out").items() if ucny}


def test_no_draft_is_left_and_a_resume_changes_nothing(place) -> None:
    before = results(place / "out")
    assert not [name for name in before if Path(name).name.startswith(".")]
    ended = dujiang("run", place / "book", "--out", place / "out", "--resume")
    assert ended.code == 0, ended.err
    assert results(place / "out") == before
    said = (place / "said").read_text(encoding="utf-8").splitlines()
    assert len(said) == sum(bool(order.command) for order in orders(place))


@pytest.mark.parametrize("lang, words", [("en", "metered and settled"), ("zh", "计量与结算")])
def test_people_are_told_what_was_settled(place, lang, words) -> None:
    ended = dujiang("--lang", lang, "run", place / "book", "--out", place / "out", "--resume")
    assert words in ended.out
    assert "cancelled 2, ended 17, failed 3" in ended.out


def test_no_more_jobs_at_once_than_asked_for(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order(f"o{n}", 1, 1, 0, 1) for n in range(9)], slots=1)
    ended = dujiang("run", book, "--out", tmp_path / "out", "--speedup", 18000, "--parallel", 2, "--json")
    assert ended.document["run"]["outcomes"] == {"ended": 9}
    spans = [(status["began_ns"], status["ended_ns"]) for status in jobs(tmp_path / "out").values()]
    most = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
    assert most == 2


def test_the_market_clock_waits_for_the_clearing_and_jobs_for_their_slot(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order(f"o{n}", 1, 0.5, n, n + 1) for n in range(4)], slots=4)
    assert dujiang("run", book, "--out", tmp_path / "out", "--speedup", 7200).code == 0
    began = [jobs(tmp_path / "out")[f"o{n}"]["began_ns"] for n in range(4)]
    waits = [(later - earlier) / 1e9 for earlier, later in pairwise(began)]
    assert min(waits) > 0.3, waits


def test_a_round_without_awards_has_papers_too(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order("big", 100, 1, 0, 1)], slots=1)
    ended = dujiang("run", book, "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["run"]["outcomes"] == {}
    assert ended.document["run"]["posted_gross_cny"] == 0
    assert verify(book, tmp_path / "out").findings == []
    assert pl.read_parquet(tmp_path / "out/usage.parquet").height == 0
    assert set(ledger(tmp_path / "out")["kind"]) == {"open"}
    program = Path(sys.executable).with_name("bean-check")
    assert subprocess.run([program, tmp_path / "out/ledger.beancount"], check=False).returncode == 0


def test_an_unknown_connector_is_refused_before_anything_happens(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order("o", 1, 0.1, 0, 1)], slots=1, east="slurn")
    ended = dujiang("run", book, "--out", tmp_path / "out")
    assert ended.code == 1
    assert "centres::connector: found 'slurn' for '东-1', expected one of local" in ended.err
    assert not (tmp_path / "out").exists()
    ended = dujiang("run", book, "--out", tmp_path / "out", "--connector", "slurn")
    assert ended.code == 1
    assert "options::connector" in ended.err
    assert not (tmp_path / "out").exists()
    # The name of a connector for all centres counts instead, also when the run is resumed without saying it again.
    assert dujiang("run", book, "--out", tmp_path / "out", "--connector", "local", "--speedup", 36000).code == 0
    before = results(tmp_path / "out")
    assert dujiang("run", book, "--out", tmp_path / "out", "--resume").code == 0
    assert results(tmp_path / "out") == before


def test_progress_is_told_from_nothing_to_all(tmp_path) -> None:
    book = write_book(tmp_path / "book", [Order("o", 1, 0.5, 0, 1)], slots=1)
    told = []
    options = RunOptions(speedup=Fraction(36000))
    run_round(book, tmp_path / "out", options, progress=lambda phase, share, gap: told.append((phase, share)))
    assert {phase for phase, _ in told} == {"prices", "placement", "improvement", "dispatch"}
    assert told[-1] == ("dispatch", 1.0)
