"""What a finished run proves about one enterprise: sums from its meter readings and its ledger, and digests of both.

Sums alone: no order, price or pool, because an attestation leaves the exchange. Whether an enterprise pays its invoices
on time is not among them: the ledger charges what was committed beforehand and sees no payment by a bank.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.money import cny
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.finance.attestation import Subject
from dujiang.finance.milestones import Standing, as_of
from dujiang.finance.parse_milestones import parse_milestones
from dujiang.metering.usage import USAGE_SCHEMA, UsageOutcome
from dujiang.settlement import account
from dujiang.settlement.entry import EntryKind
from dujiang.store.ledger import LEDGER_SCHEMA
from dujiang.store.read_book import cannot_open, read_bytes
from dujiang.store.read_document import read_document

_FILES = ("usage.parquet", "ledger.parquet", "summary.json")
_RUN = Text("the folder of a run that has ended", "已结束的运行结果文件夹")


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to attest."""

    evidence: Mapping[Subject, Any]
    origin: Mapping[str, Any]
    """The round, and SHA-256 of the files that the sums come from."""


def known_of(folder: Path, enterprise_id: str) -> Known:
    """Sum up what a run knows of an enterprise.

    Raises
    ------
    InputError : the folder is no finished run, or the enterprise is not in it
    """
    problems = ProblemList()
    data = {name: _bytes(folder, name, problems) for name in _FILES}
    usage = _table(folder, "usage.parquet", data, USAGE_SCHEMA, problems)
    ledger = _table(folder, "ledger.parquet", data, LEDGER_SCHEMA, problems)
    summary = _summary(folder, data["summary.json"], problems)
    if problems:
        raise InputError(problems)
    assert usage is not None
    assert ledger is not None
    own = usage.filter(pl.col("enterprise_id") == enterprise_id)
    if own.is_empty():
        expected = Text("an enterprise with an award in this run", "在本轮有成交的企业")
        raise InputError(
            [Problem("no-such-enterprise", f"{folder.name}/usage.parquet", None, None, shown(enterprise_id), expected)]
        )
    entries = ledger.filter(pl.col("order_id").is_in(own["order_id"].implode()))
    origin = {
        "start": summary["start"],
        "slots": summary["slots"],
        "book_sha256": summary["book_sha256"],
        "files_sha256": {name: hashlib.sha256(data[name] or b"").hexdigest() for name in _FILES},
    }
    return Known(
        {
            Subject.USAGE: _usage(own),
            Subject.VOUCHERS: _vouchers(entries),
            Subject.SETTLEMENT: _settlement(entries, enterprise_id),
        },
        origin,
    )


def milestones_of(path: Path, enterprise_id: str, day: date) -> dict[str, Any]:
    """Sum up what an agreement file, which the exchange keeps, says of an enterprise's milestones to the end of a day.

    Raises
    ------
    InputError : the file has problems, or is about another enterprise
    """
    problems = ProblemList()
    doc = read_document(path, problems)
    funding, found = (None, []) if doc is None else parse_milestones(doc)
    problems.extend(found)
    if funding is not None and funding.agreement.enterprise != enterprise_id:
        expected = Text(f"an agreement with {enterprise_id}", f"与 {enterprise_id} 的协议")
        problems.add(
            Problem("no-such-enterprise", path.name, None, "enterprise", shown(funding.agreement.enterprise), expected)
        )
    if problems:
        raise InputError(problems)
    assert funding is not None
    funding = as_of(funding, day)
    met = (Standing.VERIFIED, Standing.PAID)
    return {
        "agreement": funding.agreement.id,
        "agreed": len(funding.progress),
        "met": [t.id for t in funding.agreement.tranches if funding.progress[t.id].standing in met],
        "fault": funding.has_fault,
        "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _bytes(folder: Path, name: str, problems: ProblemList) -> bytes | None:
    try:
        return read_bytes(folder / name)
    except OSError as error:
        problems.add(cannot_open(f"{folder.name}/{name}", error))
        return None


def _table(
    folder: Path, name: str, data: Mapping[str, bytes | None], schema: Mapping[str, Any], problems: ProblemList
) -> pl.DataFrame | None:
    found = data[name]
    if found is None:
        return None
    try:
        frame = pl.read_parquet(BytesIO(found))
    except BaseException as error:  # polars reports some broken files by a Rust panic, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        problems.add(Problem("bad-parquet", f"{folder.name}/{name}", None, None, "bytes that are no table", _RUN))
        return None
    if dict(frame.schema) != dict(schema):
        problems.add(Problem("bad-schema", f"{folder.name}/{name}", None, None, "other columns or types", _RUN))
        return None
    return frame


def _summary(folder: Path, data: bytes | None, problems: ProblemList) -> Mapping[str, Any]:
    try:
        summary = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        summary = None
    needed = {"start", "slots", "book_sha256", "run"}
    if data is not None and not (isinstance(summary, dict) and needed <= set(summary)):
        found = "no summary of a run"
        problems.add(Problem("not-a-run", f"{folder.name}/summary.json", None, None, found, _RUN))
    return summary if isinstance(summary, dict) else {}


def _usage(own: pl.DataFrame) -> dict[str, Any]:
    outcomes = own.group_by("outcome").len().sort("outcome")
    metered = own.filter(pl.col("outcome") != UsageOutcome.UNSEEN.value)
    micro = int(metered["gpu_hours_micro"].sum())
    return {
        "awards": own.height,
        "outcomes": {str(name): int(count) for name, count in outcomes.iter_rows()},
        "gpu_hours": cny(micro),
    }


def _moved(entries: pl.DataFrame, name: pl.Expr) -> pl.DataFrame:
    """Return what was posted, and corrected since, on accounts."""
    kinds = [EntryKind.POST.value, EntryKind.CORRECT.value]
    return entries.filter(pl.col("kind").is_in(kinds) & name)


def _vouchers(entries: pl.DataFrame) -> list[dict[str, str]]:
    name = pl.col("account")
    reserved = name.str.starts_with("Liabilities:Programme:") & name.str.ends_with(":Reserved")
    sums = _moved(entries, reserved).group_by("account").agg(pl.col("amount_ucny").sum()).sort("account")
    return [
        {"programme_id": account.component_id(str(acc).split(":")[2]), "redeemed_cny": cny(int(amount))}
        for acc, amount in sums.iter_rows()
        if amount
    ]


def _settlement(entries: pl.DataFrame, enterprise_id: str) -> dict[str, Any]:
    reserved = account.enterprise_reserved(enterprise_id)
    charged = _moved(entries, pl.col("account") == reserved)
    open_ = entries.filter(pl.col("account") == reserved)["amount_ucny"].sum()
    return {
        "awards_charged": charged["order_id"].n_unique(),
        "charged_cny": cny(int(charged["amount_ucny"].sum())),
        "still_reserved_cny": cny(-int(open_)),
    }
