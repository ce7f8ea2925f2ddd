"""One mistake per case: the book is good but for it, and it is listed with its place; nothing is ever half-written."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from books import TINY, as_parquet, dujiang, edit, write_tiny

Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Mistake:
    """A way to spoil the tiny book, and where the problem is listed."""

    name: str
    spoil: Spoil
    code: str
    file: str
    row: int | None = None
    field: str | None = None
    found: str = ""
    """Part of what the problem says was found."""
    fix: str = ""
    """Part of what it says to do."""


def text(name: str, old: str, new: str) -> Spoil:
    """Replace a text in a file."""
    return lambda book: edit(book, name, old, new)


def data(name: str, content: bytes | str) -> Spoil:
    """Replace a whole file."""
    return lambda book: (book / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def gone(name: str) -> Spoil:
    """Remove a file."""
    return lambda book: (book / name).unlink()


def column(table: str, name: str, values: list[object], dtype: pl.DataType | None = None) -> Spoil:
    """Make a table a parquet file with one column of other values."""
    return lambda book: as_parquet(book, table, lambda frame: frame.with_columns(pl.Series(name, values, dtype=dtype)))


def instead(name: str, make: Callable[[Path], object]) -> Spoil:
    """Put something else in the place of a file or folder."""

    def spoil(book: Path) -> None:
        shutil.rmtree(book / name) if (book / name).is_dir() else (book / name).unlink()
        make(book / name)

    return spoil


def twice(book: Path) -> None:
    """Leave both forms of a table."""
    pl.read_csv(book / "links.csv").write_parquet(book / "links.parquet")


def cut(book: Path) -> None:
    """Cut the end off a parquet file."""
    as_parquet(book, "orders")
    whole = (book / "orders.parquet").read_bytes()
    (book / "orders.parquet").write_bytes(whole[:-20])


def laughs(book: Path) -> None:
    """Write nine lines that stand for a billion values."""
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (book / "book.yaml").write_text("\n".join(lines))


START = '"2025-11-03T00:00:00+08:00"'
O1 = "o1,e1,8,3.5,0,10,400,北京,10,50,2025-11-01T00:00:00Z,training"
VOUCHER = "programmes/test-voucher.yaml"

FILES = [
    Mistake("no book.yaml", gone("book.yaml"), "missing-file", "book.yaml"),
    Mistake("no orders", gone("orders.csv"), "missing-file", "orders"),
    Mistake("no pools", gone("pools.csv"), "missing-file", "pools"),
    Mistake("both forms", twice, "ambiguous-file", "links", None, None, "both links.csv and links.parquet"),
    Mistake("folder for a csv", instead("orders.csv", Path.mkdir), "unreadable", "orders.csv", found="directory"),
    Mistake("folder for the header", instead("book.yaml", Path.mkdir), "unreadable", "book.yaml", found="directory"),
    Mistake("link to itself", instead("links.csv", lambda p: p.symlink_to(p)), "unreadable", "links.csv"),
    Mistake("link to nowhere", instead("claims.csv", lambda p: p.symlink_to("gone")), "unreadable", "claims.csv"),
    Mistake("pipe", instead("orders.csv", os.mkfifo), "unreadable", "orders.csv", found="not a regular file"),
    Mistake("file for a folder", instead("programmes", Path.touch), "unreadable", "programmes"),
    Mistake("programmes loop", instead("programmes", lambda p: p.symlink_to(p)), "unreadable", "programmes"),
    Mistake("linked programmes", lambda b: (b / "programmes/x").symlink_to(".."), "unreadable", "programmes/x"),
    Mistake("folder for a programme", lambda b: (b / "programmes/x.yaml").mkdir(), "unreadable", "programmes/x.yaml"),
]
ENCODINGS = [
    Mistake(
        "GB18030",
        data("orders.csv", TINY["orders.csv"].encode("gb18030")),
        *("bad-encoding", "orders.csv", 2, None, "looks like GB18030", "UTF-8"),
    ),
    Mistake("UTF-16", data("links.csv", TINY["links.csv"].encode("utf-16")), "bad-encoding", "links.csv", 1),
    Mistake("UTF-16 without mark", data("links.csv", "a,b\n".encode("utf-16-le")), "bad-encoding", "links.csv", 1),
    Mistake("NUL", text("orders.csv", "inference", "infe\0rence"), "bad-encoding", "orders.csv", 3, None, "NUL"),
    Mistake("binary header", data("book.yaml", b"\x89PNG\r\n\x1a\n\x00\xff"), "bad-encoding", "book.yaml", 1),
    Mistake("NUL in the header", text("book.yaml", "小簿", "a\0b"), "bad-yaml", "book.yaml", 3, None, "U+0000"),
    Mistake("GB18030 programme", data(VOUCHER, "id: 算力券".encode("gb18030")), "bad-encoding", VOUCHER),
]
CSV = [
    Mistake("empty file", data("orders.csv", b""), "empty-file", "orders.csv"),
    Mistake("nothing but a mark", data("orders.csv", b"\xef\xbb\xbf\n \n"), "empty-file", "orders.csv"),
    Mistake("short row", text("links.csv", "甘肃,0.05,15", "甘肃,0.05"), "ragged-row", "links.csv", 2, None, "3 cells"),
    Mistake("long row", text("links.csv", "甘肃,0.05,15", "甘肃,0.05,15,1"), "ragged-row", "links.csv", 2),
    Mistake("unclosed quote", text("orders.csv", "o2,e2", '"o2,e2'), "bad-csv", "orders.csv", 3),
    Mistake("text after a quote", text("orders.csv", "o2,e2", '"o2"x,e2'), "bad-csv", "orders.csv", 3),
    Mistake("endless cell", text("orders.csv", "training", "x" * 200_000), "bad-csv", "orders.csv", 2),
    Mistake("column twice", text("links.csv", "rtt_ms", "region"), "bad-header", "links.csv", 1, "region"),
    Mistake("nameless column", text("links.csv", "rtt_ms", " "), "bad-header", "links.csv", 1),
    Mistake(
        "misspelt column",
        text("orders.csv", "purpose", "pupose"),
        *("unknown-column", "orders.csv", None, "pupose", "'pupose'", "did you mean 'purpose'?"),
    ),
    Mistake(
        "no such column",
        text("pools.csv", "accelerator", "accelarator_type"),
        *("missing-column", "pools.csv", None, "accelerator", "no such column", "rename 'accelarator_type'"),
    ),
]
CELLS = [
    Mistake("word for a number", text("orders.csv", ",3.5,", ",long,"), "bad-type", "orders.csv", 2, "hours", "'long'"),
    Mistake("half a card", text("orders.csv", "e1,8,", "e1,8.5,"), "bad-type", "orders.csv", 2, "gpus", "'8.5'"),
    Mistake("no cards", text("orders.csv", "e1,8,", "e1,0,"), "out-of-range", "orders.csv", 2, "gpus"),
    Mistake("negative limit", text("orders.csv", ",400,", ",-1,"), "out-of-range", "orders.csv", 2, "limit_cny"),
    Mistake("no limit", text("orders.csv", ",400,", ",,"), "missing-value", "orders.csv", 2, "limit_cny", "nothing"),
    Mistake("absurd limit", text("orders.csv", ",400,", ",1000000001,"), "out-of-range", "orders.csv", 2, "limit_cny"),
    Mistake("longer still", text("orders.csv", ",400,", f",{'9' * 40},"), "bad-type", "orders.csv", 2, "limit_cny"),
    Mistake("seven places", text("orders.csv", ",400,", ",0.1234567,"), "bad-type", "orders.csv", 2, "limit_cny"),
    Mistake("full-width", text("orders.csv", ",400,", ",４００,"), "bad-type", "orders.csv", 2, "limit_cny", "４００"),
    Mistake("thousands", text("orders.csv", ",400,", ',"1,400",'), "bad-type", "orders.csv", 2, "limit_cny"),
    Mistake("NaN", text("centres.csv", "1.25", "NaN"), "bad-type", "centres.csv", 2, "pue", "NaN"),
    Mistake("infinity", text("links.csv", ",15", ",inf"), "bad-type", "links.csv", 2, "rtt_ms", "inf"),
    Mistake("impossible PUE", text("centres.csv", "1.25", "0.9"), "out-of-range", "centres.csv", 2, "pue"),
    Mistake("standing still", text("pools.csv", ",1.25,", ",0,"), "out-of-range", "pools.csv", 3, "speed"),
    Mistake("naive instant", text("orders.csv", O1, O1.replace("Z", "")), "bad-type", "orders.csv", 2, "submitted"),
    Mistake(
        "before the calendar",
        text("orders.csv", O1, O1.replace("2025-11-01T00:00:00Z", "0001-01-01T00:00:00+08:00")),
        *("bad-type", "orders.csv", 2, "submitted"),
    ),
    Mistake(
        "no such day",
        text("enterprises.csv", "2021-05-06", "2021-02-29"),
        *("bad-type", "enterprises.csv", 2, "founded", "2021-02-29"),
    ),
    Mistake("year 0", text("enterprises.csv", "2021", "0000"), "bad-type", "enterprises.csv", 2, "founded"),
    Mistake(
        "short day", text("enterprises.csv", "2021-05-06", "2021-5-6"), "bad-type", "enterprises.csv", 2, "founded"
    ),
    Mistake(
        "neither true nor false",
        lambda b: (edit(b, "orders.csv", "purpose", "startup"), edit(b, "orders.csv", "training", "maybe")),
        *("bad-type", "orders.csv", 2, "startup", "maybe"),
    ),
    Mistake("unseen character", text("orders.csv", "o2,e2", "o\u200b2,e2"), "bad-type", "orders.csv", 3, "order_id"),
    Mistake("unseen in a name", text("links.csv", "甘肃", "甘\u200b肃"), "bad-type", "links.csv", 2, "region"),
    Mistake("same order twice", text("orders.csv", "o2,e2", "o1,e2"), "duplicate", "orders.csv", 3, "order_id", "'o1'"),
    Mistake(
        "same slot twice",
        text("capacity.csv", "qy-a,4,0,", "bj-a,3,0,"),
        *("duplicate", "capacity.csv", 3, "pool_id", "'bj-a, 3'"),
    ),
    Mistake(
        "same claim twice", text("claims.csv", "20.5\n", "20.5\ne1,test-voucher,2025,1\n"), "duplicate", "claims.csv", 3
    ),
]
CROSSED = [
    Mistake("nobody's order", text("orders.csv", "o2,e2", "o2,e9"), "dangling", "orders.csv", 3, "enterprise_id", "e9"),
    Mistake("nobody's pool", text("pools.csv", "qy-a,qy", "qy-a,xx"), "dangling", "pools.csv", 3, "centre_id", "xx"),
    Mistake("no such pool", text("capacity.csv", "bj-a", "zz"), "dangling", "capacity.csv", 2, "pool_id", "zz"),
    Mistake("nobody's claim", text("claims.csv", "e1", "e9"), "dangling", "claims.csv", 2, "enterprise_id", "e9"),
    Mistake(
        "no such centre",
        lambda b: (
            (edit(b, "orders.csv", "purpose", "origin_centre"), edit(b, "orders.csv", "training", "bj"))
            and edit(b, "orders.csv", "inference", "xx")
        ),
        *("dangling", "orders.csv", 3, "origin_centre", "xx"),
    ),
    Mistake(
        "window too short", text("orders.csv", ",3.5,0,10", ",3.5,0,2"), "short-window", "orders.csv", 2, "deadline"
    ),
    Mistake("no window", text("orders.csv", ",3.5,0,10", ",3.5,5,5"), "bad-window", "orders.csv", 2, "deadline"),
    Mistake(
        "after the round", text("orders.csv", ",3.5,0,10", ",3.5,24,40"), "out-of-range", "orders.csv", 2, "release"
    ),
    Mistake(
        "slot after the round", text("capacity.csv", "bj-a,3", "bj-a,24"), "out-of-range", "capacity.csv", 2, "slot"
    ),
    Mistake(
        "data from nowhere",
        text("orders.csv", "o2,e2,16,10,0,24,1200,北京,0", "o2,e2,16,10,0,24,1200,,7"),
        *("missing-origin", "orders.csv", 3, "data_gb"),
    ),
    Mistake(
        "round trip from nowhere",
        text("orders.csv", "o2,e2,16,10,0,24,1200,北京,0,", "o2,e2,16,10,0,24,1200,,0,9"),
        *("missing-origin", "orders.csv", 3, "rtt_ms_max"),
    ),
    Mistake(
        "transfer beyond all money",
        lambda b: (edit(b, "links.csv", "0.05", "100000"), edit(b, "orders.csv", "北京,10,", "北京,1000000000,")),
        *("out-of-range", "orders.csv", 2, "data_gb", "1000000000"),
    ),
    Mistake("paid at home", text("links.csv", "北京,甘肃", "甘肃,甘肃"), "link-to-itself", "links.csv", 2, "region"),
    Mistake(
        "carbon without watts", text("pools.csv", "cuda,400", "cuda,"), "missing-value", "pools.csv", 2, "watts_per_gpu"
    ),
    Mistake("carbon without PUE", text("centres.csv", "1.25", ""), "missing-value", "centres.csv", 2, "pue"),
]
PARQUET = [
    Mistake(
        "none", lambda b: (gone("links.csv")(b), data("links.parquet", b"PK\3\4")(b)), "bad-parquet", "links.parquet"
    ),
    Mistake("empty", lambda b: (gone("links.csv")(b), data("links.parquet", b"")(b)), "bad-parquet", "links.parquet"),
    Mistake("cut short", cut, "bad-parquet", "orders.parquet"),
    Mistake(
        "NaN",
        column("orders", "limit_cny", [1.0, float("nan"), 2.0]),
        "bad-type",
        "orders.parquet",
        2,
        "limit_cny",
        "nan",
    ),
    Mistake(
        "inf", column("orders", "hours", [1.0, 2.0, float("inf")]), "bad-type", "orders.parquet", 3, "hours", "inf"
    ),
    Mistake("null", column("orders", "gpus", [1, None, 2]), "missing-value", "orders.parquet", 2, "gpus"),
    Mistake("half a card", column("orders", "gpus", [1.0, 2.5, 2.0]), "bad-type", "orders.parquet", 2, "gpus", "2.5"),
    Mistake("truths", column("orders", "gpus", [True] * 3), "bad-type", "orders.parquet", None, "gpus", "Boolean"),
    Mistake("bytes", column("orders", "order_id", [b"a", b"b", b"c"]), "bad-type", "orders.parquet", None, "order_id"),
    Mistake("lists", column("orders", "hours", [[1], [2], [3]]), "bad-type", "orders.parquet", None, "hours", "List"),
    Mistake(
        "naive",
        column("orders", "submitted", [datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)] * 3),
        "bad-type",
        "orders.parquet",
        None,
        "submitted",
    ),
    Mistake(
        "more than 63 bits",
        column("orders", "limit_cny", [2**63 + 5, 1, 2], pl.UInt64()),
        *("bad-type", "orders.parquet", 1, "limit_cny", "9223372036854775813"),
    ),
    Mistake("least int64", column("orders", "data_gb", [-(2**63), 0, 0]), "bad-type", "orders.parquet", 1, "data_gb"),
    Mistake(
        "after the calendar",
        lambda b: as_parquet(
            b,
            "orders",
            lambda f: f.with_columns(submitted=pl.Series([None, 2**61, None]).cast(pl.Datetime("ms", "UTC"))),
        ),
        *("bad-type", "orders.parquet", 2, "submitted", "outside the calendar"),
    ),
    Mistake(
        "far day",
        lambda b: as_parquet(
            b, "enterprises", lambda f: f.with_columns(founded=pl.Series([2**30, None]).cast(pl.Date))
        ),
        *("bad-type", "enterprises.parquet", 1, "founded", "outside the calendar"),
    ),
    Mistake(
        "far day in a further column",
        lambda b: as_parquet(
            b, "enterprises", lambda f: f.with_columns(listed=pl.Series([None, -(2**30)]).cast(pl.Date))
        ),
        *("bad-type", "enterprises.parquet", 2, "listed", "outside the calendar"),
    ),
    Mistake(
        "NUL in a command", column("orders", "command", ["a\0b", "", ""]), "bad-type", "orders.parquet", 1, "command"
    ),
]
HEADER = [
    Mistake("empty", data("book.yaml", b""), "bad-type", "book.yaml", found="nothing"),
    Mistake("a list", data("book.yaml", b"- 1\n"), "bad-type", "book.yaml", 1),
    Mistake("no start", text("book.yaml", f"start: {START}\n", ""), "missing-field", "book.yaml", None, "start"),
    Mistake("half an hour", text("book.yaml", "00:00:00+", "00:30:00+"), "bad-start", "book.yaml", 1, "start"),
    Mistake("naive", text("book.yaml", "+08:00", ""), "bad-start", "book.yaml", 1, "start", "", "in quotes"),
    Mistake("naive, unquoted", text("book.yaml", START, "2025-11-03T00:00:00"), "bad-start", "book.yaml", 1, "start"),
    Mistake("a day", text("book.yaml", START, "2025-11-03"), "bad-start", "book.yaml", 1, "start"),
    Mistake("a word", text("book.yaml", START, "now"), "bad-start", "book.yaml", 1, "start", "'now'"),
    Mistake("first year", text("book.yaml", "2025-11", "0001-01"), "bad-start", "book.yaml", 1, "start"),
    Mistake("last year", text("book.yaml", "2025-11", "9998-12"), "bad-start", "book.yaml", 1, "start"),
    Mistake("impossible day", text("book.yaml", START, "2024-02-30"), "bad-yaml", "book.yaml", 1, None, "2024-02-30"),
    Mistake("no slots", text("book.yaml", "slots: 24\n", ""), "missing-field", "book.yaml", None, "slots"),
    Mistake("0 slots", text("book.yaml", "slots: 24", "slots: 0"), "out-of-range", "book.yaml", 2, "slots", "0"),
    Mistake("years of slots", text("book.yaml", "slots: 24", "slots: 8785"), "out-of-range", "book.yaml", 2, "slots"),
    Mistake(
        "slots in words", text("book.yaml", "slots: 24", 'slots: "24"'), "out-of-range", "book.yaml", 2, "slots", "'24'"
    ),
    Mistake(
        "true slots", text("book.yaml", "slots: 24", "slots: true"), "out-of-range", "book.yaml", 2, "slots", "True"
    ),
    Mistake(
        "endless slots",
        text("book.yaml", "slots: 24", f"slots: 0x{'f' * 6000}"),
        *("out-of-range", "book.yaml", 2, "slots", "a very large number"),
    ),
    Mistake("endless decimal", text("book.yaml", "slots: 24", f"slots: {'9' * 6000}"), "bad-yaml", "book.yaml", 2),
    Mistake(
        "unknown key",
        text("book.yaml", "slots: 24", "slots: 24\nslot: 3"),
        *("unknown-field", "book.yaml", 3, "slot", "'slot'", "did you mean 'slots'?"),
    ),
    Mistake(
        "key twice", text("book.yaml", "slots: 24", "slots: 24\nslots: 3"), "duplicate-key", "book.yaml", 3, "slots"
    ),
    Mistake("tab", text("book.yaml", "slots: 24", "\tslots: 24"), "bad-yaml", "book.yaml", 2),
    Mistake("anchor", text("book.yaml", "小簿", "&a 小簿"), "bad-yaml", "book.yaml", 3, None, "anchor"),
    Mistake("billion laughs", laughs, "bad-yaml", "book.yaml", 1, None, "anchor"),
    Mistake("object", text("book.yaml", "小簿", "!!python/object:os.system ls"), "bad-yaml", "book.yaml", 3),
    Mistake("bad tag", text("book.yaml", "24", "!!bool 24"), "bad-yaml", "book.yaml", 2),
    Mistake("half a character", text("book.yaml", "小簿", '"\\uD800"'), "bad-yaml", "book.yaml", 3, None, "surrogate"),
    Mistake("too deep", text("book.yaml", "小簿", "[" * 1500), "bad-yaml", "book.yaml", None, None, "nested"),
    Mistake("two documents", text("book.yaml", "slots: 24", "---\nslots: 24"), "bad-yaml", "book.yaml", 2),
    Mistake("title is a number", text("book.yaml", "小簿", "5"), "bad-type", "book.yaml", 3, "title"),
    Mistake(
        "negative carbon", text("book.yaml", "0.05", "-1"), "bad-type", "book.yaml", 4, "objective.carbon_cny_per_kg"
    ),
    Mistake(
        "infinite carbon", text("book.yaml", "0.05", ".inf"), "bad-type", "book.yaml", 4, "objective.carbon_cny_per_kg"
    ),
    Mistake(
        "endless carbon",
        text("book.yaml", "0.05", f"0x{'f' * 6000}"),
        *("bad-type", "book.yaml", 4, "objective.carbon_cny_per_kg", "a very large number"),
    ),
    Mistake(
        "small without a size",
        text("book.yaml", "carbon_cny_per_kg: 0.05", "small_firm_cny_per_gpu_hour: 1"),
        *("missing-field", "book.yaml", 4, "objective.small_firm_employees_max"),
    ),
    Mistake(
        "endless small firm",
        text("book.yaml", "carbon_cny_per_kg: 0.05", f"small_firm_employees_max: {10**30}"),
        *("bad-type", "book.yaml", 4, "objective.small_firm_employees_max"),
    ),
    Mistake("facts are a list", text("book.yaml", "{via_platform: true}", "[1]"), "bad-type", "book.yaml", 7, "facts"),
    Mistake(
        "fact is a list",
        text("book.yaml", "platform: true", "platform: []"),
        "bad-type",
        "book.yaml",
        7,
        "facts.via_platform",
    ),
    Mistake(
        "fact is NaN",
        text("book.yaml", "platform: true", "platform: .nan"),
        "bad-type",
        "book.yaml",
        7,
        "facts.via_platform",
    ),
    Mistake(
        "use is a word",
        text("book.yaml", "\n  - {id: sz-training-voucher, budget_cny: 1000}", " x"),
        "bad-type",
        "book.yaml",
        5,
        "use",
    ),
    Mistake("use of nothing", text("book.yaml", "id: sz-", "name: sz-"), "bad-type", "book.yaml", 6, "use.0"),
    Mistake("negative budget", text("book.yaml", "1000", "-1"), "bad-type", "book.yaml", 6, "use.0.budget_cny", "-1"),
    Mistake("absurd budget", text("book.yaml", "1000", "1000000001"), "bad-type", "book.yaml", 6, "use.0.budget_cny"),
]
PROGRAMMES = [
    Mistake(
        "unknown programme",
        text("book.yaml", "sz-training", "sz-trainning"),
        *("no-such-programme", "book.yaml", None, "use", "sz-trainning-voucher", "did you mean 'sz-training-voucher'?"),
    ),
    Mistake(
        "percent for a share",
        text(VOUCHER, "share: 0.5", "share: 50"),
        *("bad-share", VOUCHER, 19, "rate.share", "50", "write 0.5 for 50 %"),
    ),
    Mistake(
        "unknown field",
        text(VOUCHER, "budget: null", "budget: null\nminimum: 3"),
        *("unknown-field", VOUCHER, 22, "minimum", "'minimum'", "did you mean 'minimum_cny'?"),
    ),
    Mistake("missing field", text(VOUCHER, "good: compute\n", ""), "missing-field", VOUCHER, None, "good"),
    Mistake("broken", text(VOUCHER, "good: compute", "good: [compute"), "bad-yaml", VOUCHER),
    Mistake("empty", data(VOUCHER, b""), "bad-type", VOUCHER),
    Mistake(
        "no clause", text(VOUCHER, "not_above, clause: all", "not_above"), "missing-clause", VOUCHER, 19, "rate.clause"
    ),
    Mistake(
        "same id twice",
        lambda b: shutil.copy(b / VOUCHER, b / "programmes/zz.yaml"),
        *("overlapping-validity", "programmes/zz.yaml", 15, "valid", "'2025-01-01 - …'"),
    ),
]
KINDS = {
    "files": FILES,
    "encodings": ENCODINGS,
    "csv": CSV,
    "cells": CELLS,
    "crossed": CROSSED,
    "parquet": PARQUET,
    "header": HEADER,
    "programmes": PROGRAMMES,
}
MISTAKES = [pytest.param(m, id=f"{kind}-{m.name}") for kind, mistakes in KINDS.items() for m in mistakes]


def test_the_tiny_book_is_good(tmp_path: Path) -> None:
    ended = dujiang("check", write_tiny(tmp_path / "book"), "--json")
    assert ended.code == 0
    assert ended.err == ""
    assert {key: ended.document[key] for key in ("ok", "orders", "pools", "gpus")} == {
        "ok": True,
        "orders": 3,
        "pools": 2,
        "gpus": 80,
    }
    assert ended.document["programmes"] == ["sz-training-voucher", "test-voucher"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_listed_with_its_place(tmp_path: Path, mistake: Mistake) -> None:
    book = write_tiny(tmp_path / "book")
    mistake.spoil(book)
    ended = dujiang("check", book, "--json")
    assert ended.code == 1, ended
    assert ended.err == ""
    document = ended.document
    assert document["ok"] is False
    here = [
        p
        for p in document["problems"]
        if (p["code"], p["file"]) == (mistake.code, mistake.file)
        and (mistake.row is None or p["row"] == mistake.row)
        and (mistake.field is None or p["field"] == mistake.field)
    ]
    assert here, document["problems"]
    problem = here[0]
    assert mistake.found in problem["found"]
    assert problem["found"].isprintable()
    assert problem["expected"]
    assert problem["expected_zh"]
    assert mistake.fix in (problem["fix"] or "")
    # One mistake may break several rules, but is not drowned in what follows from it.
    assert len(document["problems"]) <= 9, document["problems"]


ALONE = (
    "encodings-GB18030",
    "csv-unclosed quote",
    "files-no book.yaml",
    "header-0 slots",
    "header-no slots",
    "crossed-nobody's order",
)


@pytest.mark.parametrize("mistake", [p for p in MISTAKES if p.id in ALONE])
def test_what_only_follows_from_a_mistake_is_not_listed(tmp_path: Path, mistake: Mistake) -> None:
    book = write_tiny(tmp_path / "book")
    mistake.spoil(book)
    assert len(dujiang("check", book, "--json").document["problems"]) == 1


@pytest.mark.parametrize("command", ["clear", "run"])
@pytest.mark.parametrize("mistake", MISTAKES[::7])
def test_a_book_with_a_mistake_leaves_no_result(tmp_path: Path, mistake: Mistake, command: str) -> None:
    book = write_tiny(tmp_path / "book")
    mistake.spoil(book)
    before = sorted(tmp_path.iterdir())
    ended = dujiang(command, book, "--out", tmp_path / "deep" / "out", "--json")
    assert ended.code == 1, ended
    assert mistake.code in {p["code"] for p in ended.document["problems"]}
    assert sorted(tmp_path.iterdir()) == before


def test_all_mistakes_come_together_in_reading_order(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    edit(book, "book.yaml", "slots: 24", "slots: 0")
    edit(book, "centres.csv", "1.25", "0.5")
    edit(book, "orders.csv", ",400,", ",x,")
    edit(book, "orders.csv", "o2,e2", "o2,e9")
    (book / "links.csv").write_bytes(b"")
    edit(book, VOUCHER, "share: 0.5", "share: 50")
    lines = dujiang("check", book).err.splitlines()
    assert [line.partition(": found")[0] for line in lines[:-1]] == [
        "book.yaml:2:slots",
        "centres.csv:2:pue",
        "links.csv",
        "orders.csv:2:limit_cny",
        "orders.csv:3:enterprise_id",
        f"{VOUCHER}:19:rate.share",
    ]
    assert lines[-1] == "6 problems"


def test_many_of_one_kind_are_counted(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    header = TINY["orders.csv"].splitlines()[0]
    rows = [f"x{i},e1,1,1,0,24,-{i},,,,," for i in range(1, 501)]
    (book / "orders.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    problems = dujiang("check", book, "--json").document["problems"]
    assert [p["row"] for p in problems[:-1]] == list(range(2, 22))
    assert (problems[-1]["row"], problems[-1]["field"], problems[-1]["found"]) == (
        None,
        "limit_cny",
        "480 more of the same",
    )


@pytest.mark.parametrize("arguments", [["--lang", "zh"], ["--lang=zh"]])
def test_problems_are_said_in_chinese(tmp_path: Path, arguments: list[str]) -> None:
    book = write_tiny(tmp_path / "book")
    edit(book, "orders.csv", "purpose", "pupose")
    lines = dujiang(*arguments, "check", book).err.splitlines()
    assert lines[0].startswith("orders.csv::pupose: 发现 'pupose', 应为 以下之一：order_id、")
    assert lines[0].endswith("; 是否应为“purpose”？")
    assert lines[1] == "共 1 个问题"


@pytest.mark.parametrize("name", ["orders.csv", "book.yaml", VOUCHER])
def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path, name: str) -> None:
    book = write_tiny(tmp_path / "book")
    (book / name).write_bytes(b"\xef\xbb\xbf" + TINY[name].replace("\n", "\r\n").encode())
    assert dujiang("check", book).code == 0


@pytest.mark.parametrize("name", ["__row", "first", "n", "enterprise.city", "\x00row"])
def test_a_further_fact_may_have_any_name(tmp_path: Path, name: str) -> None:
    book = write_tiny(tmp_path / "book")
    as_parquet(book, "enterprises", lambda frame: frame.with_columns(pl.lit(7).alias(name)))
    assert dujiang("check", book).code == 0
    as_parquet_again = pl.read_parquet(book / "enterprises.parquet")
    pl.concat([as_parquet_again, as_parquet_again[:1]]).write_parquet(book / "enterprises.parquet")
    problems = dujiang("check", book, "--json").document["problems"]
    assert [(p["code"], p["row"], p["found"]) for p in problems] == [("duplicate", 3, "'e1'")]


def test_instants_of_parquet_may_have_any_unit_and_zone(tmp_path: Path) -> None:
    book = write_tiny(tmp_path / "book")
    moment = (
        pl.lit(datetime(2025, 11, 1, tzinfo=UTC)).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone("Asia/Shanghai")
    )
    as_parquet(book, "orders", lambda frame: frame.with_columns(submitted=moment))
    assert dujiang("check", book).code == 0
