"""Awards of a clearing as the later steps see them: to run, to meter, to settle."""

from dataclasses import dataclass
from datetime import datetime

from dujiang.core.money import MICRO
from dujiang.core.slots import slot_instant
from dujiang.exchange.clearing import Round
from dujiang.market.outcome import Outcome
from dujiang.metering.usage import AwardedRun, PowerFigures, Usage
from dujiang.policy.programme import Per
from dujiang.settlement.award import Award, Rounding, Voucher
from dujiang.settlement.bill import bill
from dujiang.settlement.charge import Charge


@dataclass(frozen=True, slots=True)
class Awarded:
    """One award with everything that dispatch, metering and settlement need."""

    award: Award
    run: AwardedRun
    power: PowerFigures
    command: str | None
    connector: str
    accelerator: str
    region: str
    data_gb_micro: int
    begin: datetime
    """Start of its first slot."""
    end: datetime
    """End of its last slot."""

    def charge(self, usage: Usage) -> Charge | None:
        """Return what the award is charged for its use; None while that is unseen."""
        due = bill(self.award, usage)
        if due is None:
            return None
        return Charge(due, self.run.pool_id, self.accelerator, self.region, self.begin, self.end, self.data_gb_micro)


def _vouchers(round_: Round, outcome: Outcome) -> dict[str, tuple[Voucher, ...]]:
    """Return the vouchers of each order that has any, in the order in which they pay."""
    terms = round_.terms
    limited = frozenset(k for k, flag in zip(terms.programme_ids, terms.budget_limited, strict=True) if flag)
    found: dict[str, list[Voucher]] = {}
    for order, key, share, amount in outcome.vouchers.select(
        "order_id", "programme_id", "share_ppm", "voucher_ucny"
    ).iter_rows():
        programme = round_.programmes[key]
        voucher = Voucher(
            programme_id=key,
            amount_ucny=amount,
            share_ppm=share,
            rounding=Rounding(programme.rounding.value),
            budgeted=key in limited,
            capped=any(cap.per is Per.ENTERPRISE for cap in programme.caps),
        )
        found.setdefault(order, []).append(voucher)
    return {order: tuple(vouchers) for order, vouchers in found.items()}


def awarded(round_: Round, outcome: Outcome) -> list[Awarded]:
    """Return all awards by order_id."""
    book = round_.book
    pools = book.pools.select("pool_id", "accelerator", "watts_per_gpu")
    centres = book.centres.select("centre_id", "region", "pue", "grid_kgco2_per_kwh", "connector")
    orders = book.orders.select("order_id", "limit_ucny", "data_gb_micro", "command")
    rows = (
        outcome.awards.join(pools, on="pool_id", how="left")
        .join(centres, on="centre_id", how="left")
        .join(orders, on="order_id", how="left")
        .sort("order_id")
    )
    per_pool = outcome.prices.sort("pool_id", "slot").partition_by("pool_id", as_dict=True)
    prices = {key[0]: frame["ucny_per_gpu_hour"].to_list() for key, frame in per_pool.items()}
    asks = {key[0]: frame["ask_ucny_per_gpu_hour"].to_list() for key, frame in per_pool.items()}
    ceilings = dict(zip(round_.terms.programme_ids, round_.terms.ceiling_ppm.tolist(), strict=True))
    vouchers = _vouchers(round_, outcome)
    result = []
    for row in rows.iter_rows(named=True):
        begin, end = row["start"], row["start"] + row["slots"]
        pool = row["pool_id"]
        support = vouchers.get(row["order_id"], ())
        award = Award(
            order_id=row["order_id"],
            enterprise_id=row["enterprise_id"],
            centre_id=row["centre_id"],
            gpus=row["gpus"],
            hours_micro=row["hours_micro"],
            prices_ucny=tuple(prices[pool][begin:end]),
            asks_ucny=tuple(asks[pool][begin:end]),
            gross_ucny=row["gross_ucny"],
            transfer_ucny=row["transfer_ucny"],
            net_ucny=row["net_ucny"],
            limit_ucny=row["limit_ucny"],
            vouchers=support,
            ceiling_ppm=min((ceilings[voucher.programme_id] for voucher in support), default=MICRO),
        )
        run = AwardedRun(
            order_id=row["order_id"],
            pool_id=pool,
            centre_id=row["centre_id"],
            enterprise_id=row["enterprise_id"],
            start=begin,
            slots=row["slots"],
            gpus=row["gpus"],
            hours_micro=row["hours_micro"],
            stand_in=row["command"] is None,
        )
        result.append(
            Awarded(
                award=award,
                run=run,
                power=PowerFigures(row["watts_per_gpu"], row["pue"], row["grid_kgco2_per_kwh"]),
                command=row["command"],
                connector=row["connector"],
                accelerator=row["accelerator"],
                region=row["region"],
                data_gb_micro=row["data_gb_micro"],
                begin=slot_instant(book.start, begin),
                end=slot_instant(book.start, end),
            )
        )
    return result


def caps_in_use(round_: Round, awards: list[Awarded]) -> dict[tuple[str, str], int]:
    """Return what is left, before the round, of each (programme, enterprise) cap that an award draws on."""
    terms = round_.terms
    left = {
        (terms.programme_ids[int(k)], enterprise): int(amount)
        for k, enterprise, amount in zip(terms.cap_programme, terms.cap_enterprise, terms.cap_left_ucny, strict=True)
    }
    used = {
        (voucher.programme_id, a.award.enterprise_id) for a in awards for voucher in a.award.vouchers if voucher.capped
    }
    return {key: left[key] for key in sorted(used)}


def budgets(round_: Round) -> dict[str, int]:
    """Return what is left, before the round, of each programme that has a budget."""
    terms = round_.terms
    return {
        key: int(amount)
        for key, amount, limited in zip(terms.programme_ids, terms.budget_left_ucny, terms.budget_limited, strict=True)
        if limited
    }
