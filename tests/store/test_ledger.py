import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.errors import OperationError
from dujiang.settlement import account
from dujiang.settlement.award import Award, Voucher
from dujiang.settlement.entry import Entry, EntryKind, Posting, balances, in_reading_order
from dujiang.settlement.postings import correct, open_budget, open_cap, reserve, reversed_postings
from dujiang.store.ledger import LEDGER_SCHEMA, Ledger

START = datetime(2025, 1, 6, tzinfo=UTC)
YUAN = 1_000_000
SPAWN = multiprocessing.get_context("spawn")


def award(order_id: str, *, enterprise_id: str = "e", capped: bool = False) -> Award:
    """Gross 10 yuan, of which the programme pays 4."""
    voucher = Voucher("k", 4 * YUAN, 400_000, budgeted=True, capped=capped)
    prices = (10 * YUAN,)
    return Award(order_id, enterprise_id, "c", 1, YUAN, prices, prices, 10 * YUAN, 0, 6 * YUAN, 6 * YUAN, (voucher,))


def reserved(order_id: str, **more) -> Entry:
    entry = reserve(award(order_id, **more), START)
    assert entry is not None
    return entry


def budget(yuan: int) -> Entry:
    entry = open_budget("k", yuan * YUAN, START)
    assert entry is not None
    return entry


def moved(entry_id: str, kind: EntryKind, *lines: tuple[str, int], order_id: str = "o", to: str | None = None) -> Entry:
    return Entry(entry_id, kind, START, order_id, to, "", tuple(Posting(*line) for line in lines))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_what_was_written_is_read_back(path):
    entries = [budget(100), reserved("o2"), reserved("o1"), reserved("甲 \"#'\n")]
    with Ledger(path) as ledger:
        assert ledger.write(entries) == 4
    with Ledger(path) as ledger:
        assert list(ledger.entries()) == in_reading_order(entries)
        assert ledger.balances() == balances(entries)
        assert ledger.balances("Liabilities:Programme:") == {
            "Liabilities:Programme:Xk:Available": -88 * YUAN,
            "Liabilities:Programme:Xk:Reserved": -12 * YUAN,
        }
        assert ledger.entry("o1/reserve") == reserved("o1")
        assert ledger.entry("nothing") is None


def test_repeating_a_step_changes_nothing(path):
    with Ledger(path) as ledger:
        assert ledger.write([budget(10), reserved("o1")]) == 2
        before = ledger.frame()
        assert ledger.write([budget(10), reserved("o1")]) == 0
        assert ledger.write([reserved("o1"), reserved("o2")]) == 1
        assert ledger.frame().filter(pl.col("order_id").ne_missing("o2")).equals(before)


@pytest.mark.parametrize(
    "change",
    [
        {"why": "another reason"},
        {"instant": START + timedelta(microseconds=1)},
        {"order_id": "o9"},
        {"postings": (Posting("Assets:A", 1), Posting("Assets:B", -1))},
    ],
)
def test_the_same_id_with_other_content_is_refused_and_nothing_of_the_step_stays(path, change):
    with Ledger(path) as ledger:
        ledger.write([budget(100), reserved("o1")])
        with pytest.raises(OperationError, match="o1/reserve"):
            ledger.write([reserved("o2"), replace(reserved("o1"), **change)])
        assert list(ledger.entries()) == [budget(100), reserved("o1")]


def test_a_budget_cannot_be_overdrawn(path):
    with Ledger(path) as ledger:
        ledger.write([budget(9), reserved("o1"), reserved("o2")])
        with pytest.raises(OperationError, match=r"o3/reserve.*more than is left"):
            ledger.write([reserved("o3")])
        assert ledger.balances()[account.programme_available("k")] == -YUAN


def test_a_cap_cannot_be_overdrawn_while_the_budget_lasts(path):
    cap = open_cap("k", "e", 5 * YUAN, START)
    assert cap is not None
    with Ledger(path) as ledger:
        ledger.write([budget(100), cap, reserved("o1", capped=True)])
        with pytest.raises(OperationError, match="more than is left"):
            ledger.write([reserved("o2", capped=True)])
        with pytest.raises(OperationError, match="more than is left"):
            ledger.write([reserved("o3", capped=True, enterprise_id="has-no-cap")])


def test_an_order_cannot_spend_what_another_order_reserved(path):
    lines = (account.enterprise_reserved("e"), 7 * YUAN), (account.centre("c"), -7 * YUAN)
    post = moved("o2/post", EntryKind.POST, *lines, order_id="o2", to="o2/reserve")
    with Ledger(path) as ledger:
        ledger.write([budget(100), reserved("o1"), reserved("o2")])
        with pytest.raises(OperationError, match="o2/post"):
            ledger.write([post])


@pytest.mark.parametrize("kind", [EntryKind.RESERVE, EntryKind.POST, EntryKind.VOID])
def test_an_order_is_reserved_posted_and_voided_at_most_once(path, kind):
    target = None if kind is EntryKind.RESERVE else "k/open"
    first = moved("first", kind, ("Assets:A", 1), ("Assets:B", -1), to=target)
    with Ledger(path) as ledger:
        ledger.write([budget(1), first])
        with pytest.raises(OperationError, match="second"):
            ledger.write([replace(first, entry_id="second")])


def test_an_entry_cannot_point_nowhere(path):
    lost = moved("o/void", EntryKind.VOID, ("Assets:A", 1), ("Assets:B", -1), to="o/reserve")
    with Ledger(path) as ledger, pytest.raises(OperationError, match="o/void"):
        ledger.write([lost])


def test_a_correction_is_a_new_entry_and_the_old_one_stays(path):
    wrong = reserved("o1")
    undone = correct(wrong, 1, reversed_postings(wrong), START, "awarded by mistake / 误中标")
    with Ledger(path) as ledger:
        ledger.write([budget(4), wrong, undone])
        assert ledger.entry("o1/reserve") == wrong
        assert ledger.balances()[account.programme_available("k")] == -4 * YUAN
        ledger.write([reserved("o2")])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["reserve", "void"]), st.integers(0, 5)), max_size=14), st.integers(0, 20))
def test_whatever_is_tried_nothing_is_overdrawn_and_a_refusal_leaves_no_trace(tmp_path_factory, steps, yuan):
    """Model: a budget in yuan, orders that hold 4 of it; the ledger refuses exactly what the model refuses."""
    held, voided, left = set(), set(), yuan
    with Ledger(tmp_path_factory.mktemp("model") / "ledger.sqlite") as ledger:
        ledger.write([budget(yuan)] if yuan else [])
        for step, number in steps:
            order_id = f"o{number}"
            wanted = reserved(order_id)
            if step == "void":
                lines = reversed_postings(wanted)
                wanted = Entry(f"{order_id}/void", EntryKind.VOID, START, order_id, f"{order_id}/reserve", "", lines)
            known = order_id in (held if step == "reserve" else voided)
            allowed = known or (left >= 4 if step == "reserve" else order_id in held)
            before = ledger.frame()
            if not allowed:
                with pytest.raises(OperationError):
                    ledger.write([wanted])
                assert ledger.frame().equals(before)
                continue
            assert ledger.write([wanted]) == (0 if known else 1)
            if not known:
                (held if step == "reserve" else voided).add(order_id)
                left += -4 if step == "reserve" else 4
        assert -ledger.balances().get(account.programme_available("k"), 0) == left * YUAN
        assert all(ucny <= 0 for name, ucny in ledger.balances().items() if account.is_guarded(name))


# ---- several processes --------------------------------------------------------------------------------------------


def _reserve_many(path: Path, worker: int, count: int, ready, results) -> None:
    said = []
    with Ledger(path) as ledger:
        ready.wait(60)
        for number in range(count):
            try:
                said.append(str(ledger.write([reserved(f"w{worker}-{number}")])))
            except OperationError as error:
                said.append(str(error))
    results.put(said)


def test_processes_that_draw_on_one_budget_at_once_get_exactly_what_there_is(path):
    with Ledger(path) as ledger:
        ledger.write([budget(4 * 25 + 3)])
    ready, results = SPAWN.Barrier(3), SPAWN.Queue()
    workers = [SPAWN.Process(target=_reserve_many, args=(path, n, 20, ready, results)) for n in range(3)]
    for worker in workers:
        worker.start()
    said = [answer for _ in workers for answer in results.get(timeout=60)]
    for worker in workers:
        worker.join(60)
    assert said.count("1") == 25
    assert sum("more than is left" in answer for answer in said) == 60 - 25
    with Ledger(path) as ledger:
        assert ledger.balances(account.programme_available("k")) == {account.programme_available("k"): -3 * YUAN}
        assert ledger.balances()[account.programme_reserved("k")] == -100 * YUAN
        assert sum(entry.kind is EntryKind.RESERVE for entry in ledger.entries()) == 25


def _open_and_write(path: Path, ready, results) -> None:
    ready.wait(60)
    with Ledger(path) as ledger:
        results.put(ledger.write([budget(10), reserved("o1")]))


def test_processes_that_make_the_file_and_write_the_same_step_at_once_write_it_once(path):
    ready, results = SPAWN.Barrier(2), SPAWN.Queue()
    workers = [SPAWN.Process(target=_open_and_write, args=(path, ready, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert sorted(results.get(timeout=60) for _ in workers) == [0, 2]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0


def _write_until_killed(path: Path, started) -> None:
    with Ledger(path) as ledger:
        for number in range(1_000_000):
            ledger.write([reserved(f"{number:06d}-a"), reserved(f"{number:06d}-b")])
            if number == 2:
                started.set()


def test_a_process_killed_while_writing_leaves_whole_steps_only(path):
    with Ledger(path) as ledger:
        ledger.write([budget(8 * YUAN)])
    for delay_s in (0.0, 0.013, 0.031):
        started = SPAWN.Event()
        writer = SPAWN.Process(target=_write_until_killed, args=(path, started))
        writer.start()
        assert started.wait(60)
        time.sleep(delay_s)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(60)
        with Ledger(path) as ledger:  # opening checks that every entry is whole and every balance a sum
            orders = [entry.order_id for entry in ledger.entries() if entry.kind is EntryKind.RESERVE]
        assert len(orders) >= 6
        assert {order[:-2] for order in orders if order.endswith("-a")} == {o[:-2] for o in orders if o.endswith("-b")}


def test_a_reader_does_not_hold_up_a_writer_and_sees_what_was_there_when_it_began(path, monkeypatch):
    monkeypatch.setattr("dujiang.store.ledger.BUSY_S", 0.2)
    count = "SELECT count(*) FROM entries"
    with Ledger(path) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute(count).fetchone() == (0,)
        assert ledger.write([budget(10)]) == 1
        assert other.execute(count).fetchone() == (0,)


# ---- rules of the database itself ---------------------------------------------------------------------------------

_POSTING = "INSERT OR {how} INTO postings VALUES ('{account}', {turn}, '{entry}', {line}, {amount}, {balance})"
_ENTRY = "INSERT OR {how} INTO entries VALUES ('{entry}', '{kind}', 0, {order}, NULL, '', {lines})"


def posting(acct: str, turn: int, entry: str, line: int, amount: int, balance: int, how: str = "ABORT") -> str:
    return _POSTING.format(how=how, account=acct, turn=turn, entry=entry, line=line, amount=amount, balance=balance)


def entry_row(entry: str, lines: int, kind: str = "open", order: str = "NULL", how: str = "ABORT") -> str:
    return _ENTRY.format(how=how, entry=entry, kind=kind, order=order, lines=lines)


@pytest.mark.parametrize(
    "statements, why",
    [
        (["UPDATE entries SET why = 'x'"], "immutable"),
        (["UPDATE postings SET amount_ucny = 1"], "immutable"),
        (["DELETE FROM entries"], "immutable"),
        (["DELETE FROM postings"], "immutable"),
        ([entry_row("o1/reserve", 4, how="REPLACE")], "already"),
        ([posting("A", 1, "o1/reserve", 0, 1, 1, how="REPLACE")], "complete"),
        ([posting("A", 1, "n", 0, 1, 1), posting("B", 1, "n", 0, -1, -1, how="REPLACE")], "complete"),
        ([posting("Assets:Programme:Xk", 1, "n", 0, 1, 1, how="REPLACE")], "continue"),
        ([posting("A", 1, "n", 0, 1, 2)], "continue"),
        ([posting("A", 2, "n", 0, 1, 1)], "continue"),
        ([posting("Liabilities:Programme:Xz:Available", 1, "n", 0, 1, 1)], "overdrawn"),
        ([posting("Liabilities:Enterprise:Xz:Reserved", 1, "n", 0, 1, 1)], "overdrawn"),
        ([posting("Equity:Cap:Xz:Xz:Left", 1, "n", 0, 1, 1)], "overdrawn"),
        ([posting("A", 1, "n", 0, 1, 1), posting("B", 1, "n", 1, -2, -2), entry_row("n", 2)], "sum to zero"),
        ([posting("A", 1, "n", 0, 1, 1), posting("A", 2, "n", 1, -1, 0), entry_row("n", 2)], "sum to zero"),
        ([posting("A", 1, "n", 0, 1, 1), posting("B", 1, "n", 1, -1, -1), entry_row("n", 3)], "lacks a line"),
        ([entry_row("n", 2)], "lacks a line"),
        (
            [
                posting("A", 1, "n", 0, 1, 1),
                posting("B", 1, "n", 1, -1, -1),
                entry_row("n", 2, "reserve", "'o1'", how="REPLACE"),
            ],
            "already",
        ),
        ([posting("A", 1, "n", 0, 1.5, 1.5)], "cannot store REAL"),
        (["PRAGMA foreign_keys = ON", "BEGIN", posting("A", 1, "n", 0, 1, 1), "COMMIT"], "FOREIGN KEY"),
    ],
)
def test_the_database_refuses_what_would_break_the_ledger_whoever_writes(path, statements, why):
    with Ledger(path) as ledger:
        ledger.write([budget(10), reserved("o1")])
        before = ledger.frame()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for statement in statements[:-1]:
                other.execute(statement)
            with pytest.raises(sqlite3.IntegrityError, match=why):
                other.execute(statements[-1])
        assert ledger.frame().equals(before)


# ---- files that are not what they should be -----------------------------------------------------------------------


def _text(path: Path) -> None:
    path.write_text("not a database, but long enough to have a header " * 40)


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")


def _marked_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 77")


def _folder(path: Path) -> None:
    path.mkdir()


def _whole(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.write([budget(10**6), *(reserved(f"o{n}") for n in range(200))])


def _cut(path: Path) -> None:
    _whole(path)
    os.truncate(path, path.stat().st_size // 2)


def _overwritten(path: Path) -> None:
    _whole(path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x5a" * 5000)


def _by_hand(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        _whole(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            rules = other.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            for name, _ in rules:
                other.execute(f"DROP TRIGGER {name}")
            other.execute(statement)
            for _, sql in rules:
                other.execute(sql)

    return change


def _newer(path: Path) -> None:
    _whole(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")


def _without_rules(path: Path) -> None:
    _whole(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TRIGGER no_update_postings")


@pytest.mark.parametrize(
    "spoil, why",
    [
        (_text, "damaged or not a ledger"),
        (_foreign, "not a ledger"),
        (_marked_foreign, "not a ledger"),
        (_folder, "cannot be used"),
        (_cut, "damaged"),
        (_overwritten, "damaged"),
        (_newer, "another version"),
        (_without_rules, "another version"),
        (
            _by_hand("UPDATE postings SET amount_ucny = 1 WHERE entry_id = 'o7/reserve' AND line = 0"),
            "balances",
        ),
        (_by_hand("DELETE FROM entries WHERE entry_id = 'o7/reserve'"), "a line has no entry"),
        (_by_hand("UPDATE entries SET lines = 9 WHERE entry_id = 'o7/reserve'"), "does not sum to zero"),
    ],
)
def test_a_file_that_is_no_whole_ledger_is_refused_with_a_reason(path, spoil, why):
    spoil(path)
    with pytest.raises(OperationError, match=why) as refused:
        Ledger(path)
    assert path.name in refused.value.say("zh")


def test_a_missing_folder_is_refused_with_a_reason(tmp_path):
    with pytest.raises(OperationError, match="cannot be used"):
        Ledger(tmp_path / "no" / "ledger.sqlite")


def test_an_empty_file_becomes_a_ledger(path):
    path.touch()
    with Ledger(path) as ledger:
        assert ledger.frame().height == 0
        assert dict(ledger.frame().schema) == LEDGER_SCHEMA


# ---- the table ----------------------------------------------------------------------------------------------------


def test_the_table_is_the_same_bytes_for_the_same_content(tmp_path):
    entries = [budget(100), *(reserved(f"o{n}") for n in range(5))]
    files = []
    for number, order in enumerate((entries, [entries[0], *entries[:0:-1]])):
        with Ledger(tmp_path / f"{number}.sqlite") as ledger:
            for entry in order:
                ledger.write([entry])
            ledger.frame().write_parquet(tmp_path / f"{number}.parquet")
        files.append((tmp_path / f"{number}.parquet").read_bytes())
    assert files[0] == files[1]


def test_the_table_has_a_row_for_each_line(path):
    with Ledger(path) as ledger:
        ledger.write([budget(10), reserved("o1")])
        frame = ledger.frame()
    assert dict(frame.schema) == LEDGER_SCHEMA
    assert frame.row(0, named=True) == {
        "entry_id": "k/open",
        "kind": "open",
        "instant": START,
        "order_id": None,
        "points_to": None,
        "why": "budget left / 可用预算",
        "line": 0,
        "account": "Assets:Programme:Xk",
        "amount_ucny": 10 * YUAN,
    }
    assert frame.group_by("entry_id").agg(pl.col("amount_ucny").sum())["amount_ucny"].to_list() == [0, 0]
