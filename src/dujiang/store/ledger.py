"""The ledger on disk: entries that nobody can change, and balances that nobody can overdraw (design 6.1 to 6.3).

The rules stand in the database itself, as triggers, so that they hold for every process and program that writes:

- An entry and its lines are written together or not at all, sum to zero, and are never changed or removed.
- Every line carries the balance of its account after it, and the next line has to continue from there. So a balance
  costs one index look-up however long the ledger is, and a line changed behind our back is found on opening.
- The balance of a guarded account (`settlement.account`: Available, Reserved, Left) may not rise above zero; of what
  was reserved for an order no more can be taken than was put there; an order is reserved, posted and voided at most
  once.

A write takes the write lock first (`BEGIN IMMEDIATE`), then looks whether its entry is there, then writes: two
processes cannot both find a budget untouched. Lines go in before their entry, whose trigger then sees all of them;
the foreign key from line to entry is checked at commit, so that lines without an entry cannot stay.

Journal: write-ahead (WAL) where the file system can do it, since a reader then never holds up a round; SQLite's
rollback journal elsewhere. Nothing here depends on which. `synchronous=FULL`: what was confirmed survives a power cut.
Entries of one step go in one transaction (`write`), which is faster and is what a round means: all of it or nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from dujiang.core.errors import OperationError
from dujiang.core.text import Text
from dujiang.settlement.account import GUARDED
from dujiang.settlement.entry import SUM_MAX_UCNY, Entry, EntryKind, Posting

APPLICATION_ID = 0x444A4C47
"""Marks the file as a ledger of ours ("DJLG")."""
FORMAT = 1
"""Version of the tables."""
BUSY_S = 120.0
"""How long to wait for another writer. The settlement of 100 000 awards holds the lock for some twenty seconds."""

LEDGER_SCHEMA: dict[str, pl.DataType] = {
    "entry_id": pl.String(),
    "kind": pl.String(),
    "instant": pl.Datetime("us", "UTC"),
    "order_id": pl.String(),
    "points_to": pl.String(),
    "why": pl.String(),
    "line": pl.Int64(),
    "account": pl.String(),
    "amount_ucny": pl.Int64(),
}
"""Columns of `ledger.parquet`: one row per line of an entry, entries in canonical order, lines from 0."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = ", ".join(f"'{kind}'" for kind in EntryKind)
_GUARDED = " OR ".join(f"NEW.account GLOB '{root}:*:{last}'" for root in ("Liabilities", "Equity") for last in GUARDED)
_RANK = "CASE kind " + " ".join(f"WHEN '{kind}' THEN {kind.rank}" for kind in EntryKind) + " END"


def _last(column: str, account: str) -> str:
    """Write the expression for a column of the last line of an account; 0 before its first."""
    return f"coalesce((SELECT {column} FROM postings WHERE account = {account} ORDER BY turn DESC LIMIT 1), 0)"  # noqa: S608


# The statements below are put together from constants of this module only, whatever S608 suspects.
_SCHEMA = (
    f"""CREATE TABLE entries (
        entry_id TEXT PRIMARY KEY NOT NULL CHECK (entry_id <> ''),
        kind TEXT NOT NULL CHECK (kind IN ({_KINDS})),
        instant_us INTEGER NOT NULL,
        order_id TEXT,
        points_to TEXT,
        why TEXT NOT NULL,
        lines INTEGER NOT NULL CHECK (lines >= 2)
    ) STRICT""",
    f"""CREATE TABLE postings (
        account TEXT NOT NULL CHECK (account <> ''),
        turn INTEGER NOT NULL,
        entry_id TEXT NOT NULL REFERENCES entries (entry_id) DEFERRABLE INITIALLY DEFERRED,
        line INTEGER NOT NULL CHECK (line >= 0),
        amount_ucny INTEGER NOT NULL CHECK (amount_ucny <> 0),
        balance_ucny INTEGER NOT NULL CHECK (abs(balance_ucny) < {SUM_MAX_UCNY}),
        PRIMARY KEY (account, turn),
        UNIQUE (entry_id, line)
    ) STRICT, WITHOUT ROWID""",
    "CREATE UNIQUE INDEX once_per_order ON entries (order_id, kind) WHERE kind IN ('reserve', 'post', 'void')",
    "CREATE INDEX entries_by_order ON entries (order_id)",
    # The first check of each trigger stops INSERT OR REPLACE, which removes rows without asking a DELETE trigger.
    f"""CREATE TRIGGER posting_continues BEFORE INSERT ON postings BEGIN
        SELECT RAISE(ABORT, 'the entry is complete')
        WHERE EXISTS (SELECT 1 FROM entries WHERE entry_id = NEW.entry_id)
           OR EXISTS (SELECT 1 FROM postings WHERE entry_id = NEW.entry_id AND line = NEW.line);
        SELECT RAISE(ABORT, 'the balance does not continue from the line before')
        WHERE NEW.turn - 1 <> {_last("turn", "NEW.account")}
           OR NEW.balance_ucny - NEW.amount_ucny <> {_last("balance_ucny", "NEW.account")};
        SELECT RAISE(ABORT, 'overdrawn') WHERE NEW.balance_ucny > 0 AND ({_GUARDED});
    END""",  # noqa: S608
    """CREATE TRIGGER entry_balances BEFORE INSERT ON entries BEGIN
        SELECT RAISE(ABORT, 'the order has such an entry already')
        WHERE EXISTS (SELECT 1 FROM entries WHERE entry_id = NEW.entry_id)
           OR NEW.kind IN ('reserve', 'post', 'void')
              AND EXISTS (SELECT 1 FROM entries WHERE order_id = NEW.order_id AND kind = NEW.kind);
        SELECT RAISE(ABORT, 'the entry does not sum to zero or lacks a line')
        WHERE (SELECT count(DISTINCT account) <> NEW.lines OR count(*) <> NEW.lines OR sum(amount_ucny) <> 0
               FROM postings WHERE entry_id = NEW.entry_id);
        SELECT RAISE(ABORT, 'it points to an entry that is not there')
        WHERE NEW.points_to IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entries WHERE entry_id = NEW.points_to);
    END""",
    """CREATE TRIGGER order_within_reserved AFTER INSERT ON entries WHEN NEW.order_id IS NOT NULL BEGIN
        SELECT RAISE(ABORT, 'overdrawn') WHERE EXISTS (
            SELECT 1 FROM entries JOIN postings USING (entry_id)
            WHERE order_id = NEW.order_id AND account GLOB 'Liabilities:*:Reserved'
            GROUP BY account HAVING sum(amount_ucny) > 0);
    END""",
    *(
        f"CREATE TRIGGER no_{verb.lower()}_{table} BEFORE {verb} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'immutable: correct with a new entry'); END"
        for table in ("entries", "postings")
        for verb in ("UPDATE", "DELETE")
    ),
)

_INSERT_LINE = (
    f"INSERT INTO postings VALUES (?3, 1 + {_last('turn', '?3')}, ?1, ?2, ?4, ?4 + {_last('balance_ucny', '?3')})"  # noqa: S608
)
_ALL_LINES = f"""SELECT entry_id, kind, instant_us, order_id, points_to, why, line, account, amount_ucny
    FROM entries JOIN postings USING (entry_id) ORDER BY instant_us, {_RANK}, entry_id, line"""  # noqa: S608
_BROKEN_BALANCES = (
    "SELECT 1 FROM (SELECT balance_ucny - sum(amount_ucny) OVER (PARTITION BY account ORDER BY turn) AS off "
    "FROM postings) WHERE off <> 0"
)
_BROKEN_ENTRIES = (
    "SELECT 1 FROM entries LEFT JOIN postings USING (entry_id) "
    "GROUP BY entry_id HAVING count(account) <> lines OR sum(amount_ucny) <> 0"
)


class Ledger:
    """An open ledger file, for use as a context manager in one thread; several processes may have it open at once."""

    def __init__(self, path: Path) -> None:
        """Open a ledger, making it if there is none.

        Raises
        ------
        OperationError : the file is damaged, not a ledger, of another format, or cannot be opened
        """
        self.path = path
        with self._said():
            # autocommit: every transaction below is begun and ended by us
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            with self._said():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def write(self, entries: Iterable[Entry]) -> int:
        """Write entries in one transaction: all of them, or, if one is refused or the process dies, none.

        An entry that is there already with the same content is left alone, so every step can be repeated.

        Parameters
        ----------
        entries : in the order in which they take effect

        Returns
        -------
        int, number of entries that were new

        Raises
        ------
        OperationError : an entry would overdraw a budget, a cap or a reservation; an id is taken by other content; an
            order is reserved, posted or voided a second time under another id; or the file cannot be written
        """
        with self._said(), self._transaction():
            return sum(self._write_one(entry) for entry in entries)

    def entries(self) -> Iterator[Entry]:
        """Return all entries in canonical order (instant, kind, id); what is written meanwhile is not among them."""
        with self._said():
            rows = self._db.execute(_ALL_LINES).fetchall()
        for (entry_id, kind, instant_us, order_id, points_to, why), lines in groupby(rows, key=lambda row: row[:6]):
            postings = tuple(Posting(account, amount) for *_, account, amount in lines)
            yield Entry(entry_id, EntryKind(kind), _instant(instant_us), order_id, points_to, why, postings)

    def entry(self, entry_id: str) -> Entry | None:
        """Return one entry, or None if there is none of that id."""
        with self._said():
            return self._read_one(entry_id)

    def balances(self, prefix: str = "") -> dict[str, int]:
        """Return the balance of every account whose name begins with `prefix`, micro-yuan, by name.

        Computed as the sums of the lines (design 6.1), not read from the running balances.
        """
        with self._said():
            rows = self._db.execute(
                "SELECT account, sum(amount_ucny) FROM postings WHERE substr(account, 1, ?) = ? "
                "GROUP BY account ORDER BY account",
                (len(prefix), prefix),
            )
            return dict(rows.fetchall())

    def frame(self) -> pl.DataFrame:
        """Return the ledger as a table, `LEDGER_SCHEMA`; the same content gives the same bytes."""
        with self._said():
            rows = self._db.execute(_ALL_LINES).fetchall()
        stored = {**LEDGER_SCHEMA, "instant": pl.Int64()}
        return pl.DataFrame(rows, schema=stored, orient="row").with_columns(
            pl.col("instant").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        )

    def _prepare(self) -> None:
        """Make the tables if the file is new; refuse it if it is not ours or not whole."""
        self._db.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            if not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] and not self._mark()[0]:
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
            mark = self._mark()
            tables = self._db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")
            whole = {sql for (sql,) in tables} == set(_SCHEMA)
        if mark[0] != APPLICATION_ID:
            raise OperationError(Text(f"{self.path.name} is not a ledger", f"{self.path.name} 不是账本文件"))
        if mark[1] != FORMAT or not whole:
            raise OperationError(
                Text(
                    f"{self.path.name} is a ledger of another version, or its rules were removed",
                    f"{self.path.name} 是其他版本的账本, 或其约束已被移除",
                )
            )
        self._check_whole()
        self._db.execute("PRAGMA foreign_keys = ON")
        with suppress(sqlite3.OperationalError):  # the file system cannot, or somebody else is at it: both are safe
            self._db.execute("PRAGMA journal_mode = WAL")

    def _check_whole(self) -> None:
        """Refuse a file that lost or changed something without SQLite's doing, or ours."""
        if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("a page is broken")
        if self._db.execute("SELECT 1 FROM postings LEFT JOIN entries USING (entry_id) WHERE kind IS NULL").fetchone():
            raise sqlite3.DatabaseError("a line has no entry")
        if self._db.execute(_BROKEN_BALANCES).fetchone():
            raise sqlite3.DatabaseError("balances are not the sums of the lines")
        if self._db.execute(_BROKEN_ENTRIES).fetchone():
            raise sqlite3.DatabaseError("an entry does not sum to zero")

    def _mark(self) -> tuple[int, int]:
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        return application, self._db.execute("PRAGMA user_version").fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write_one(self, entry: Entry) -> bool:
        present = self._read_one(entry.entry_id)
        if present is not None:
            if present != entry:
                raise OperationError(
                    Text(
                        f"{self.path.name} has an entry {entry.entry_id} with other content; an entry is never changed",
                        f"{self.path.name} 中已有内容不同的分录 {entry.entry_id}; 分录不得更改",
                    )
                )
            return False
        try:
            self._insert(entry)
        except sqlite3.IntegrityError as error:
            raise _refused(entry, str(error)) from error
        return True

    def _insert(self, entry: Entry) -> None:
        self._db.executemany(
            _INSERT_LINE,
            [(entry.entry_id, line, p.account, p.amount_ucny) for line, p in enumerate(entry.postings)],
        )
        self._db.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                entry.entry_id,
                entry.kind.value,
                (entry.instant - _EPOCH) // timedelta(microseconds=1),
                entry.order_id,
                entry.points_to,
                entry.why,
                len(entry.postings),
            ),
        )

    def _read_one(self, entry_id: str) -> Entry | None:
        head = self._db.execute(
            "SELECT kind, instant_us, order_id, points_to, why FROM entries WHERE entry_id = ?", (entry_id,)
        ).fetchone()
        if head is None:
            return None
        lines = self._db.execute(
            "SELECT account, amount_ucny FROM postings WHERE entry_id = ? ORDER BY line", (entry_id,)
        ).fetchall()
        kind, instant_us, order_id, points_to, why = head
        postings = tuple(Posting(account, amount) for account, amount in lines)
        return Entry(entry_id, EntryKind(kind), _instant(instant_us), order_id, points_to, why, postings)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say what SQLite could not do in words that help; our own errors pass."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a closed file, a wrong statement: our own mistake
        except sqlite3.OperationalError as error:
            raise OperationError(
                Text(f"{self.path.name} cannot be used now: {error}", f"{self.path.name} 暂时无法使用: {error}")
            ) from error
        except sqlite3.DatabaseError as error:
            raise OperationError(
                Text(
                    f"{self.path.name} is damaged or not a ledger: {error}",
                    f"{self.path.name} 已损坏或不是账本: {error}",
                )
            ) from error


def _instant(instant_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant_us)


def _refused(entry: Entry, reason: str) -> OperationError:
    """Return what to tell a user whose entry the rules of the database refuse."""
    if "overdrawn" in reason:
        return OperationError(
            Text(
                f"{entry.entry_id} is refused: it takes more than is left of a budget, a cap or a reservation",
                f"分录 {entry.entry_id} 被拒绝: 超出预算、额度或预留的余额",
            )
        )
    return OperationError(Text(f"{entry.entry_id} is refused: {reason}", f"分录 {entry.entry_id} 被拒绝: {reason}"))
