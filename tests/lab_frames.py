"""Frames of a replay, written by hand."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA

HOUR = 3600
YUAN = 1_000_000


def job(
    name: str,
    *,
    submit_h: float = 0,
    start_h: float | None = None,
    hours: float = 1,
    gpus: int = 1,
    limit: float = 10,
    price: float = 2,
    ask: float = 2,
    voucher: float = 0,
    transfer: float = 0,
    firm: str = "f",
    size: str = "micro",
    region: str = "east",
    centre: str = "a",
    programme: str = "p",
    outcome: str | None = None,
    kg: float | None = None,
) -> dict[str, Any]:
    """One row; it is served if it starts. Prices and asks are yuan per GPU-hour, amounts yuan; held for whole hours."""
    served = start_h is not None
    held = -(-int(hours * HOUR) // HOUR)
    gross = round(price * gpus * held * YUAN) if served else 0
    return {
        "job_id": name,
        "enterprise_id": firm,
        "origin_centre": centre,
        "region": region,
        "gpus": gpus,
        "run_s": int(hours * HOUR),
        "submit_s": int(submit_h * HOUR),
        "start_s": int(start_h * HOUR) if start_h is not None else None,
        "end_s": int((start_h + hours) * HOUR) if start_h is not None else None,
        "centre_id": centre if served else None,
        "pool_id": f"{centre}-pool" if served else None,
        "outcome": outcome or ("served" if served else "refused"),
        "limit_ucny": round(limit * YUAN),
        "held_s": held * HOUR if served else 0,
        "ask_cost_ucny": round(ask * gpus * held * YUAN) if served else 0,
        "gross_ucny": gross,
        "transfer_ucny": round(transfer * YUAN) if served else 0,
        "voucher_ucny": round(voucher * YUAN) if served else 0,
        "net_ucny": gross + round((transfer - voucher) * YUAN) if served else 0,
        "programme_id": programme if served and voucher else None,
        "price_ucny_per_gpu_hour": round(price * YUAN) if served else None,
        "kgco2": kg,
        "size": size,
    }


def jobs_frame(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of jobs with the size of their firms, in the order of a replay."""
    return pl.DataFrame(rows, schema={**JOB_SCHEMA, "size": pl.String()}).sort("submit_s", "job_id")


def series_frame(rows: Iterable[tuple[str, int, int, float]], price: float = 2, waiting: float = 0) -> pl.DataFrame:
    """A series of (centre, slot, gpus, used); what is used is held."""
    table = [
        (centre, slot, gpus, used, used, waiting, waiting, round(price * YUAN)) for centre, slot, gpus, used in rows
    ]
    return pl.DataFrame(table, schema=SERIES_SCHEMA, orient="row").sort("centre_id", "slot")
