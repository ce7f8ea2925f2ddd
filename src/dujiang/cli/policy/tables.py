"""`dujiang policy apply` and `what-if`: what programmes do to a table of firms and purchases."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import click
import polars as pl

from dujiang import __version__
from dujiang.cli.options import FOLDER, JSON, Decorated
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes, on_option
from dujiang.core.errors import InputError
from dujiang.core.money import cny, cny_grouped
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.policy.apply import ANSWER_SCHEMA, Applied, apply
from dujiang.policy.catalogue import Entry, read_programme
from dujiang.policy.programme import Programme
from dujiang.policy.table import FactTable
from dujiang.policy.totals import DIMENSIONS, change_frame, total_frame
from dujiang.store.files import json_bytes, parquet_bytes, replace_folder
from dujiang.store.read_book import cannot_open, read_bytes
from dujiang.store.read_purchases import read_purchases
from dujiang.store.results import check_target

FORMAT = "dujiang.policy-apply/1"
_FILES = frozenset({"summary.json", "answers.parquet", "totals.parquet", "programmes"})
ANSWERED = tuple(name for name in ANSWER_SCHEMA if name != "row")
_SHOWN = 8
"""Rows of a table for people."""


def table_options(function: Decorated) -> Decorated:
    """Add `--firms`, `--spends`, `--programmes` and `--on`."""
    for option in (
        on_option("Day for which all count; default: each purchase's date."),
        PROGRAMMES,
        click.option("--spends", type=FOLDER, required=True, help="Purchases: .csv or .parquet, facts as columns."),
        click.option("--firms", type=FOLDER, required=True, help="Firms: .csv or .parquet, facts as columns."),
    ):
        function = option(function)
    return function


def _purchases(firms: Path, spends: Path, day: date | None) -> pl.DataFrame:
    problems = ProblemList()
    purchases = read_purchases(firms, spends, day, problems)
    if purchases is None:
        raise InputError(problems)
    return purchases


def _computable(entries: Iterable[Entry]) -> list[Programme]:
    return [entry.programme for entry in entries if entry.programme.not_computable is None]


@click.command("apply")
@table_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for answers, totals and summary.")
@JSON
@click.pass_obj
def apply_command(
    output: Output, firms: Path, spends: Path, folders: Sequence[Path], day: date | None, out: Path, as_json: bool
) -> None:
    """Work out what all programmes pay for a table of purchases, in the order of their time stamps."""
    output.json = as_json
    check_target(out, _FILES)
    purchases = _purchases(firms, spends, day)
    entries = all_programmes(output, folders).on(day)
    with output.progress() as progress:
        told = partial(progress, "policy")
        applied = apply(_computable(entries.values()), FactTable(purchases), progress=told)
    totals = total_frame(purchases, applied.answers)
    summary = _summary(purchases, applied)
    named = purchases.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("row"), "spend_id", "enterprise_id")
    answers = applied.answers.join(named, on="row", how="left")
    used = answers["programme_id"].unique().sort().to_list()
    files = {
        "answers.parquet": parquet_bytes(answers.select("spend_id", "enterprise_id", *ANSWERED)),
        "totals.parquet": parquet_bytes(totals),
        **{f"programmes/{name}.yaml": entries[name].content for name in used},
        "summary.json": json_bytes(summary),
    }
    replace_folder(out, files)
    if as_json:
        output.document(summary)
        return
    _show_statuses(output, summary["programmes"], entries)
    _show_totals(output, totals, entries)


_STATUSES = {
    "ok": Text("eligible", "符合"),
    "exhausted": Text("nothing left", "额度用尽"),
    "unknown": Text("fact missing", "信息不足"),
    "ineligible": Text("not eligible", "不符合"),
    "not_yet": Text("not yet", "未生效"),
    "expired": Text("expired", "已失效"),
}


def _show_statuses(output: Output, programmes: Sequence[Mapping[str, Any]], entries: Mapping[str, Entry]) -> None:
    """Show how many purchases each programme fits, those that fit or might fit some first."""
    by_interest = sorted(
        programmes, key=lambda p: (-p["chosen"], -p["ok"], -p["unknown"], -p["ineligible"], p["programme_id"])
    )
    columns = [(Text("", ""), False), *((title, True) for title in _STATUSES.values()), (Text("chosen", "选用"), True)]
    rows = [
        [entries[p["programme_id"]].programme.id, *(f"{p[status]:,}" for status in _STATUSES), f"{p['chosen']:,}"]
        for p in by_interest
    ]
    output.table(Text("purchases by programme", "各项政策的支出笔数"), columns, rows)


def _summary(purchases: pl.DataFrame, applied: Applied) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": __version__,
        "firms": purchases["enterprise_id"].n_unique(),
        "purchases": purchases.height,
        "paid_cny": cny(int(applied.answers["amount_ucny"].sum())),
        "purchases_paid": applied.answers.filter(pl.col("amount_ucny") > 0)["row"].n_unique(),
        "left_uncompared": applied.crowded,
        "programmes": [
            {
                **row,
                "chosen": applied.answers.filter(
                    (pl.col("programme_id") == row["programme_id"]) & pl.col("chosen")
                ).height,
                "paid_cny": cny(
                    int(applied.answers.filter(pl.col("programme_id") == row["programme_id"])["amount_ucny"].sum())
                ),
            }
            for row in applied.statuses.iter_rows(named=True)
        ],
    }


def _show_totals(output: Output, totals: pl.DataFrame, entries: Mapping[str, Entry]) -> None:
    columns = [
        (Text("", ""), False),
        (Text("firms", "企业"), True),
        (Text("purchases", "支出笔数"), True),
        (Text("paid, CNY", "支持金额（元）"), True),
    ]
    plain = totals.filter(pl.col("programme_id").is_null() | (pl.col("dimension") == "programme"))
    for dimension, title in DIMENSIONS.items():
        rows = plain.filter(pl.col("dimension") == dimension)
        if rows.height == 0:
            continue
        shown_rows = [
            [
                _called(output, row, entries),
                f"{row['firms']:,}",
                f"{row['purchases']:,}",
                cny_grouped(row["amount_ucny"]),
            ]
            for row in rows.head(_SHOWN).iter_rows(named=True)
        ]
        output.table(title, columns, shown_rows)


def _called(output: Output, row: Mapping[str, Any], entries: Mapping[str, Entry]) -> str:
    if row["dimension"] == "all":
        return output.say(DIMENSIONS["all"])
    if row["dimension"] == "programme":
        return f"{output.say(entries[row['programme_id']].programme.name)} [{row['programme_id']}]"
    return output.say(Text("not known", "未知")) if row["value"] is None else str(row["value"])


@click.command("what-if")
@click.argument("changed", type=FOLDER, nargs=-1, required=True)
@table_options
@JSON
@click.pass_obj
def what_if_command(
    output: Output,
    changed: Sequence[Path],
    firms: Path,
    spends: Path,
    folders: Sequence[Path],
    day: date | None,
    as_json: bool,
) -> None:
    """Tell who wins and who loses by CHANGED programme files, and what they cost."""
    output.json = as_json
    entries = all_programmes(output, folders).on(day)
    replaced = _changed(changed)
    purchases = _purchases(firms, spends, day)
    table = FactTable(purchases)
    before = apply(_computable(entries.values()), table)
    after = apply(_computable((entries | replaced).values()), table)
    document = _comparison(purchases, before, after, sorted(replaced))
    if as_json:
        output.document(document)
        return
    _show_comparison(output, document, purchases, before, after)


def _changed(paths: Sequence[Path]) -> dict[str, Entry]:
    """Read changed copies of programmes.

    Raises
    ------
    InputError : with every problem of the files
    """
    found: dict[str, Entry] = {}
    problems = ProblemList()
    for path in paths:
        try:
            entry, mistakes = read_programme(path.name, read_bytes(path))
        except OSError as error:
            problems.add(cannot_open(path.name, error))
            continue
        problems.extend(mistakes)
        if entry is None:
            continue
        if entry.programme.id in found:
            expected = Text("one file for each programme", "每项政策一个文件")
            problems.add(Problem("duplicate-id", path.name, None, "id", shown(entry.programme.id), expected))
        found[entry.programme.id] = entry
    if problems:
        raise InputError(problems)
    return found


def _comparison(purchases: pl.DataFrame, before: Applied, after: Applied, changed: Sequence[str]) -> dict[str, Any]:
    changes = change_frame(purchases, before.answers, after.answers)
    won, lost = changes.filter(pl.col("change_ucny") > 0), changes.filter(pl.col("change_ucny") < 0)

    def paid(applied: Applied) -> int:
        return int(applied.answers["amount_ucny"].sum())

    return {
        "format": "dujiang.policy-what-if/1",
        "changed": list(changed),
        "before_cny": cny(paid(before)),
        "after_cny": cny(paid(after)),
        "cost_cny": cny(paid(after) - paid(before)),
        "winners": won.height,
        "won_cny": cny(int(won["change_ucny"].sum())),
        "losers": lost.height,
        "lost_cny": cny(-int(lost["change_ucny"].sum())),
        "unchanged": changes.height - won.height - lost.height,
        "largest_gains": [_firm(row) for row in won.head(_SHOWN).iter_rows(named=True)],
        "largest_losses": [_firm(row) for row in lost.reverse().head(_SHOWN).iter_rows(named=True)],
        "by": {
            dimension: _by(purchases, before, after, dimension) for dimension in DIMENSIONS if dimension not in ("all",)
        },
    }


def _firm(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "enterprise_id": row["enterprise_id"],
        **{f"{side}_cny": cny(row[f"{side}_ucny"]) for side in ("before", "after", "change")},
    }


def _by(purchases: pl.DataFrame, before: Applied, after: Applied, dimension: str) -> list[dict[str, Any]]:
    """Return the payments along one dimension before and after, largest change first."""
    key = "programme_id" if dimension == "programme" else "value"
    sides = []
    for applied, name in ((before, "before"), (after, "after")):
        totals = total_frame(purchases, applied.answers).filter(pl.col("dimension") == dimension)
        if dimension != "programme":
            totals = totals.filter(pl.col("programme_id").is_null())
        sides.append(totals.select(key, pl.col("amount_ucny").alias(name), pl.col("firms").alias(f"firms_{name}")))
    both = sides[0].join(sides[1], on=key, how="full", coalesce=True, nulls_equal=True)
    both = both.with_columns(pl.col(pl.Int64).fill_null(0)).with_columns(change=pl.col("after") - pl.col("before"))
    both = both.sort([pl.col("change").abs(), pl.col(key)], descending=[True, False], nulls_last=True)
    return [
        {
            key: row[key],
            **{f"{side}_cny": cny(row[side]) for side in ("before", "after", "change")},
            "firms_before": row["firms_before"],
            "firms_after": row["firms_after"],
        }
        for row in both.iter_rows(named=True)
    ]


def _show_comparison(
    output: Output, document: Mapping[str, Any], purchases: pl.DataFrame, before: Applied, after: Applied
) -> None:
    output.line(
        Text(
            f"{document['winners']:,} firms gain {document['won_cny']} CNY, {document['losers']:,} lose "
            f"{document['lost_cny']} CNY, {document['unchanged']:,} get what they got; it costs "
            f"{document['cost_cny']} CNY ({document['before_cny']} before, {document['after_cny']} after).",
            f"{document['winners']:,} 家企业多得 {document['won_cny']} 元，{document['losers']:,} 家少得 "
            f"{document['lost_cny']} 元，{document['unchanged']:,} 家不变；财政支出变化 {document['cost_cny']} 元"
            f"（此前 {document['before_cny']} 元，此后 {document['after_cny']} 元）。",
        )
    )
    columns = [
        (Text("", ""), False),
        (Text("before, CNY", "此前（元）"), True),
        (Text("after, CNY", "此后（元）"), True),
        (Text("change, CNY", "变化（元）"), True),
    ]
    unknown = output.say(Text("not known", "未知"))
    for dimension, rows in document["by"].items():
        key = "programme_id" if dimension == "programme" else "value"
        cells = [[row[key] or unknown, row["before_cny"], row["after_cny"], row["change_cny"]] for row in rows[:_SHOWN]]
        if cells:
            output.table(DIMENSIONS[dimension], columns, cells)
    for name, title in (
        ("largest_gains", Text("largest gains", "增加最多")),
        ("largest_losses", Text("largest losses", "减少最多")),
    ):
        rows = document[name]
        if rows:
            output.table(
                title,
                columns,
                [[row["enterprise_id"], row["before_cny"], row["after_cny"], row["change_cny"]] for row in rows],
            )
