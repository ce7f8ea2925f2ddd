"""From raw tables to a checked book: every problem of every table, all at once (design 7)."""

from collections.abc import Mapping

import polars as pl

from dujiang.core.money import MAX_UCNY, MICRO, cny
from dujiang.core.problem import Problem, ProblemList, did_you_mean, shown
from dujiang.core.text import Text
from dujiang.registry.book import Book
from dujiang.registry.cells import EXPECTED, absent_cell, found_in, on_calendar, parse_cells
from dujiang.registry.columns import Column, book_columns
from dujiang.registry.header import Header, parse_header
from dujiang.registry.raw import RawBook, RawTable
from dujiang.registry.running import in_range, over_use

KEYS: Mapping[str, tuple[str, ...]] = {
    "centres": ("centre_id",),
    "pools": ("pool_id",),
    "capacity": ("pool_id", "slot"),
    "links": ("origin_region", "region"),
    "enterprises": ("enterprise_id",),
    "orders": ("order_id",),
    "claims": ("enterprise_id", "programme_id", "period"),
    "running": ("order_id",),
}
SORTED: Mapping[str, tuple[str, ...]] = {"orders": ("submitted", "order_id")}
"""Order of rows where it is not that of the key; an empty cell comes last."""
REQUIRED = ("centres", "pools", "enterprises", "orders")
OPEN = frozenset({"enterprises"})
"""Tables that may have further columns: facts for a programme's conditions."""

_GROWING = frozenset({"orders", "running"})
"""Tables so large that their cells are let go as soon as they are parsed."""
_WINDOW_MAX = 1_000_000
"""Longest window that the columns' ranges allow, slots."""
_COLUMNS_AT_ONCE = 4
_LEAVE_OUT = Text("leave the row out", "请删除此行")
_INDEX = "\x00row"
"""Row of the file; a name that CSV cannot hold, and that is left out of parquet."""


def _columns_problems(table: RawTable, columns: tuple[Column, ...], is_open: bool) -> list[Problem]:
    known = [c.column for c in columns]
    problems = []
    for column in columns:
        if column.required and column.column not in table.frame.columns:
            near = did_you_mean(column.column, [c for c in table.frame.columns if c not in known])
            fix = None
            if near is not None:
                guess = near.en.split("'")[1]
                fix = Text(f"rename '{guess}' to '{column.column}'?", f"是否应将“{guess}”改名为“{column.column}”？")
            expected = Text(f"a column '{column.column}' ({column.en})", f"列“{column.column}”（{column.zh}）")
            problems.append(Problem("missing-column", table.file, None, column.column, "no such column", expected, fix))
    if not is_open:
        expected = Text("one of " + ", ".join(known), "以下之一：" + "、".join(known))
        for name in table.frame.columns:
            if name not in known:
                problems.append(
                    Problem("unknown-column", table.file, None, name, shown(name), expected, did_you_mean(name, known))
                )
    return problems


def _parse_table(name: str, raw: RawBook, problems: ProblemList) -> pl.DataFrame:
    columns = book_columns()[name]
    table = raw.tables.get(name)
    if table is None:
        if name in REQUIRED and name not in raw.unreadable:
            expected = Text(f"a file {name}.csv or {name}.parquet", f"文件 {name}.csv 或 {name}.parquet")
            problems.add(Problem("missing-file", name, None, None, "no such file", expected))
        table = RawTable(f"{name}.csv", "csv", pl.DataFrame(), [])
    else:
        problems.extend(_columns_problems(table, columns, name in OPEN))
    frame = _parse_columns(table, columns, problems)
    if name in OPEN:
        known = {c.column for c in columns} | {c.stored for c in columns} | {_INDEX}
        frame = frame.with_columns(_further(table, c, problems) for c in table.frame.columns if c not in known)
    _check_duplicates(name, table, frame, problems)
    return frame


def _parse_columns(table: RawTable, columns: tuple[Column, ...], problems: ProblemList) -> pl.DataFrame:
    """Parse all columns that the manual knows; those of demand are taken out of the table one by one on the way."""
    rows = table.frame.height
    parsed: list[pl.Series] = []
    for column in columns:
        if column.column in table.frame.columns:
            parsed.append(parse_cells(table, column, problems))
            if column.table in _GROWING:
                table.frame.drop_in_place(column.column)
    there = {series.name for series in parsed}
    # A column that the file lacks is one cell, not a row of them for each order.
    lacking = [absent_cell(column).alias(column.stored) for column in columns if column.stored not in there]
    frame = pl.DataFrame({_INDEX: pl.int_range(rows, dtype=pl.UInt32, eager=True)}).with_columns(*parsed, *lacking)
    return frame.select(_INDEX, *(column.stored for column in columns))


def _further(table: RawTable, name: str, problems: ProblemList) -> pl.Series:
    """Return a column that the manual does not know, as it is; only days that no calendar has are problems."""
    cells = table.frame[name]
    if not isinstance(cells.dtype, pl.Date | pl.Datetime):
        return cells
    fine = on_calendar(cells)
    for index in (cells.is_not_null() & fine.is_null()).arg_true():
        problems.add(Problem("bad-type", table.file, table.row(index), name, found_in(cells, index), EXPECTED["date"]))
    return fine


def _check_duplicates(name: str, table: RawTable, frame: pl.DataFrame, problems: ProblemList) -> None:
    key = list(KEYS[name])
    full = frame.select(_INDEX, *key).drop_nulls()
    first = full.filter(_first_of(full.select(key)))
    if first.height == full.height:
        return
    again = full.join(first.rename({_INDEX: "first"}), on=key, maintain_order="left").filter(
        pl.col("first") < pl.col(_INDEX)
    )
    for index, *values, earlier in again.iter_rows():
        where = table.row(earlier)
        expected = Text(f"an id used once (first in row {where})", f"不重复的编号（首次出现在第 {where} 行）")
        found = shown(", ".join(str(value) for value in values))
        problems.add(Problem("duplicate", table.file, table.row(index), key[0], found, expected))


def _first_of(keys: pl.DataFrame) -> pl.Series:
    """Return whether a row's key is not that of an earlier row."""
    return keys.to_series().is_first_distinct() if keys.width == 1 else keys.to_struct().is_first_distinct()


class _Checker:
    """Cross-checks between tables; each method is one family of mistakes."""

    def __init__(self, raw: RawBook, frames: dict[str, pl.DataFrame], header: Header, problems: ProblemList) -> None:
        self.raw = raw
        self.frames = frames
        self.header = header
        self.problems = problems

    def _report(
        self, table: str, rows: pl.DataFrame, field: str, code: str, expected: Text, fix: Text | None = None
    ) -> None:
        source = self.raw.tables.get(table)
        if source is None:
            return
        for index, found in rows.select(_INDEX, field).iter_rows():
            column = next((c.column for c in book_columns()[table] if c.stored == field), field)
            self.problems.add(Problem(code, source.file, source.row(index), column, shown(found), expected, fix))

    def running(self) -> None:
        """Awards of earlier rounds are not asked for again, have not ended, and are within what is offered."""
        running = self.frames["running"]
        again = self.frames["orders"].join(running.select("order_id").drop_nulls(), on="order_id", how="semi")
        expected = Text("an order that is not in running", "不在 running 中的订单")
        self._report("orders", again, "order_id", "already-running", expected)
        ended = in_range(running).filter(pl.col("start") + pl.col("slots") <= 0)
        expected = Text("enough slots to reach into the round", "延续至本轮之内的时段数")
        self._report("running", ended, "slots", "already-ended", expected, _LEAVE_OUT)
        source = self.raw.tables.get("running")
        if source is not None and self.header.slots:
            for use in over_use(self.frames, self.header.slots):
                self.problems.add(
                    Problem("over-use", source.file, source.row(use.row), use.field, use.found, use.expected)
                )

    def references(self) -> None:
        """Ids that point to another table exist there."""
        pointers = [
            ("pools", "centre_id", "centres", "centre_id"),
            ("capacity", "pool_id", "pools", "pool_id"),
            ("orders", "enterprise_id", "enterprises", "enterprise_id"),
            ("orders", "origin_centre", "centres", "centre_id"),
            ("claims", "enterprise_id", "enterprises", "enterprise_id"),
            ("running", "pool_id", "pools", "pool_id"),
        ]
        for table, field, target, key in pointers:
            if target not in self.raw.tables:
                continue
            known = self.frames[target].select(pl.col(key).alias(field)).drop_nulls()
            rows = self.frames[table].drop_nulls(field).join(known, on=field, how="anti")
            expected = Text(f"an id of {target}", f"{target} 中的编号")
            self._report(
                table,
                rows,
                field,
                "dangling",
                expected,
                Text(f"add it to {target} or correct it", f"请在 {target} 中补充或更正"),
            )

    def windows(self) -> None:
        """Every order has a window that begins inside the round and can hold it at the fastest speed."""
        if self.header.slots:
            self._inside_the_round(self.header.slots)
        orders = self.frames["orders"]
        empty = orders.filter(pl.col("deadline") <= pl.col("release"))
        self._report("orders", empty, "deadline", "bad-window", Text("a slot after release", "晚于 release 的时段"))
        if "pools" not in self.raw.tables:
            return
        fastest = self.frames["pools"]["speed_micro"].max()
        fastest_micro = fastest if isinstance(fastest, int) and fastest > 0 else MICRO
        window = pl.col("deadline") - pl.col("release")
        # A release or deadline far out of its range is a problem already, and its product would not fit 64 bits.
        short = orders.filter(window.is_between(1, _WINDOW_MAX) & (pl.col("hours_micro") > window * fastest_micro))
        expected = Text(
            "a window of at least ceil(hours / speed of the fastest pool) slots", "时间窗不短于最快资源池所需时段数"
        )
        self._report("orders", short, "deadline", "short-window", expected)

    def _inside_the_round(self, slots: int) -> None:
        """Windows begin, and exceptions to capacity lie, before the end of the round."""
        late = self.frames["orders"].filter(pl.col("release") >= slots)
        self._report(
            "orders",
            late,
            "release",
            "out-of-range",
            Text(f"a slot below {slots}, the end of the round", f"小于 {slots} 的时段"),
        )
        outside = self.frames["capacity"].filter(pl.col("slot") >= slots)
        self._report("capacity", outside, "slot", "out-of-range", Text(f"a slot below {slots}", f"小于 {slots} 的时段"))

    def origins(self) -> None:
        """Data and round-trip time need a place that they are counted from."""
        orders = self.frames["orders"]
        known = Text("an origin_region in the same row", "同一行填写 origin_region")
        for table in ("orders", "running"):
            data = self.frames[table].filter((pl.col("data_gb_micro") > 0) & pl.col("origin_region").is_null())
            self._report(table, data, "data_gb_micro", "missing-origin", known)
        rtt = orders.filter(pl.col("rtt_ms_max").is_not_null() & pl.col("origin_region").is_null())
        self._report("orders", rtt, "rtt_ms_max", "missing-origin", known)
        links = self.frames["links"]
        dearest = links["ucny_per_gb"].max()
        if isinstance(dearest, int) and dearest > 0:
            most_gb_micro = MAX_UCNY * MICRO // dearest
            dear = orders.filter(pl.col("data_gb_micro") > most_gb_micro)
            most = cny(most_gb_micro)
            expected = Text(
                f"at most {most} GB, which cost a billion yuan on the dearest link",
                f"不大于 {most} GB（按最贵链路计价为十亿元）",
            )
            self._report("orders", dear, "data_gb_micro", "out-of-range", expected)
        inside = links.filter(
            (pl.col("origin_region") == pl.col("region"))
            & ((pl.col("ucny_per_gb") != 0) | (pl.col("rtt_ms") != 0) | pl.col("gb_per_slot_micro").is_not_null())
        )
        expected = Text(
            "no cost, no round-trip time and no limit within one region", "同一区域内费用与时延均为 0，且无传输上限"
        )
        self._report("links", inside, "region", "link-to-itself", expected, _LEAVE_OUT)

    def carbon(self) -> None:
        """A carbon price needs the carbon of every pool."""
        if not self.header.objective.carbon_ucny_per_kg:
            return
        expected = Text(
            "a value, because objective.carbon_cny_per_kg is set", "因设置了 objective.carbon_cny_per_kg 而需要填写"
        )
        for table, field in (("pools", "watts_per_gpu"), ("centres", "pue"), ("centres", "grid_kgco2_per_kwh")):
            self._report(table, self._left_empty(table, field), field, "missing-value", expected)

    def _left_empty(self, table: str, field: str) -> pl.DataFrame:
        """Return the rows in which the file says nothing; a cell that says something wrong is a problem already."""
        unknown = self.frames[table].filter(pl.col(field).is_null())
        source = self.raw.tables.get(table)
        if source is None or field not in source.frame.columns:
            return unknown
        cells = source.frame[field][unknown[_INDEX]]
        empty = cells.is_null()
        return unknown.filter(empty | (cells.str.strip_chars() == "") if cells.dtype == pl.String else empty)


def in_order(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return a parsed table in canonical order, a few columns at a time: both orders of all of them need much room."""
    order = frame.select(*key).with_row_index(_INDEX).sort(key, nulls_last=True)[_INDEX]
    frame.drop_in_place(_INDEX)
    names = frame.columns
    parts = []
    for first in range(0, len(names), _COLUMNS_AT_ONCE):
        some = names[first : first + _COLUMNS_AT_ONCE]
        parts.append(frame.select(some)[order])
        for name in some:
            frame.drop_in_place(name)
    return pl.concat(parts, how="horizontal")


def parse_book(raw: RawBook, problems: ProblemList) -> Book | None:
    """Check a raw book and turn it into exact columns.

    Parameters
    ----------
    raw : the book as read; columns of its large tables are taken out as they are parsed, to make room
    problems : takes every problem found; may already hold those of reading the files

    Returns
    -------
    the book; None if there is any problem
    """
    header = Header() if raw.header is None else parse_header(raw.header, problems)
    frames = {name: _parse_table(name, raw, problems) for name in KEYS}
    checker = _Checker(raw, frames, header, problems)
    checker.references()
    checker.windows()
    checker.origins()
    checker.carbon()
    checker.running()
    if problems:
        return None
    tables = {name: in_order(frames.pop(name), SORTED.get(name, key)) for name, key in KEYS.items()}
    return Book(
        start=header.start,
        slots=header.slots,
        title=header.title,
        objective=header.objective,
        use=header.use,
        facts=header.facts,
        assumptions=header.assumptions,
        centres=tables["centres"],
        pools=tables["pools"],
        capacity=tables["capacity"],
        links=tables["links"],
        enterprises=tables["enterprises"],
        orders=tables["orders"],
        claims=tables["claims"],
        running=tables["running"],
    )
