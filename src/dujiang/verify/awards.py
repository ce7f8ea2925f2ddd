"""Rules on awards: known, inside the window, compatible, correctly priced, within limits, budgets and capacity."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dujiang.verify.book import Book, Order, Pool
from dujiang.verify.options import (
    Options,
    Payer,
    is_compatible,
    payers,
    run_hours_micro,
    run_slots,
    transfer_cost,
)
from dujiang.verify.prices import Posted
from dujiang.verify.results import Award, Rejection
from dujiang.verify.support import Programmes, Support
from dujiang.verify.verdict import Sheet


@dataclass(frozen=True, slots=True)
class Derived:
    """An award with its figures worked out again from the book and the prices alone."""

    award: Award
    order: Order
    pool: Pool
    transfer_ucny: int
    ask_cost_ucny: int
    price_cost_ucny: int
    payer: Payer
    gross_ucny: int
    voucher_ucny: int
    bonus_ucny: int
    carbon_ucny: int

    @property
    def welfare_ucny(self) -> int:
        """Effective limit less ask cost, with the optional terms (design 4.4)."""
        return self.payer.effective_limit_ucny - self.ask_cost_ucny - self.carbon_ucny + self.bonus_ucny

    @property
    def uplift_ucny(self) -> int:
        """Discount against the price (design 4.6 d)."""
        return max(0, self.price_cost_ucny - self.gross_ucny)


def check_once(book: Book, awards: Sequence[Award], rejections: Sequence[Rejection], sheet: Sheet) -> None:
    """Every order of the book is awarded or rejected, exactly once, and nothing else is (design 9.1)."""
    awarded = Counter(award.order_id for award in awards)
    rejected = Counter(rejection.order_id for rejection in rejections)
    for order_id in book.orders:
        times = awarded[order_id] + rejected[order_id]
        found = f"{awarded[order_id]} awards, {rejected[order_id]} rejections"
        sheet.hold(times == 1, "once", f"orders:{order_id}", found, "one of the two, once", "二者之一，恰好一次")
    for file, counted in (("awards.parquet", awarded), ("rejections.parquet", rejected)):
        for order_id in counted:
            known = order_id in book.orders
            sheet.hold(known, "known", f"{file}:{order_id}", order_id, "an order of the book", "需求簿中的订单")


def check_awards(options: Options, awards: Iterable[Award], posted: Posted, sheet: Sheet) -> list[Derived]:
    """Check each award by itself (design 4.2, 4.3, 4.6, 9.3).

    Parameters
    ----------
    options : book, programmes and coupling of the round
    awards : rows to check
    posted : prices and asks
    sheet : takes what is wrong

    Returns
    -------
    the awards whose place is possible, with figures worked out again
    """
    derived = []
    for award in awards:
        order, pool = options.book.orders.get(award.order_id), options.book.pools.get(award.pool_id)
        where = f"awards.parquet:{award.order_id}"
        sheet.hold(pool is not None, "known", f"{where}:pool_id", award.pool_id, "a pool", "已知资源池")
        if order is None or pool is None:
            continue
        sheet.same("known", f"{where}:enterprise_id", award.enterprise_id, order.enterprise_id)
        sheet.same("known", f"{where}:centre_id", award.centre_id, pool.centre_id)
        fits = is_compatible(options.book, order, pool, options.coupling)
        sheet.hold(fits, "compatible", where, award.pool_id, "a compatible pool", "兼容的资源池")
        if _check_window(options.book, award, order, pool, where, sheet):
            figures = _derive(options, award, order, pool, posted, where, sheet)
            if figures is not None:
                _check_figures(figures, where, sheet)
                derived.append(figures)
    return derived


def _check_window(book: Book, award: Award, order: Order, pool: Pool, where: str, sheet: Sheet) -> bool:
    """Gang size, exact duration, release, deadline and end of the round (design 4.2); False: outside the round."""
    sheet.same("window", f"{where}:gpus", award.gpus, order.gpus)
    sheet.same("window", f"{where}:slots", award.slots, run_slots(order, pool))
    sheet.same("window", f"{where}:hours_micro", award.hours_micro, run_hours_micro(order, pool))
    end = min(order.deadline, book.slots)
    span = f"{order.release} <= start, start + slots <= {end}"
    found = f"start {award.start}, slots {award.slots}"
    sheet.hold(order.release <= award.start and award.start + award.slots <= end, "window", where, found, span, span)
    return award.start >= 0 and award.slots > 0 and award.start + award.slots <= book.slots


def _derive(
    options: Options, award: Award, order: Order, pool: Pool, posted: Posted, where: str, sheet: Sheet
) -> Derived | None:
    transfer = transfer_cost(options.book, order, pool)
    ask, price = posted.block(pool.pool_id, award.start, award.slots)
    ask_cost, price_cost = order.gpus * ask, order.gpus * price
    supports = _supports(options.programmes, award, order, pool, where, sheet)
    able = payers(order, transfer, supports)
    if not sheet.hold(bool(able), "limit", where, order.limit_ucny, f"above {transfer}", f"大于 {transfer}"):
        return None
    payer = able[-1]
    gross = max(ask_cost, min(price_cost, payer.effective_limit_ucny))
    return Derived(
        award=award,
        order=order,
        pool=pool,
        transfer_ucny=transfer,
        ask_cost_ucny=ask_cost,
        price_cost_ucny=price_cost,
        payer=payer,
        gross_ucny=gross,
        voucher_ucny=payer.voucher(gross),
        bonus_ucny=options.bonus(order),
        carbon_ucny=options.carbon_rate(pool) * order.gpus * award.slots,
    )


def _supports(
    programmes: Programmes, award: Award, order: Order, pool: Pool, where: str, sheet: Sheet
) -> list[Support]:
    """The programme of an award exists, and is open to that order in that pool (design 5.2, 7)."""
    if award.programme_id is None:
        return []
    known = award.programme_id in programmes.by_id
    if not sheet.hold(known, "known", f"{where}:programme_id", award.programme_id, "a programme", "已知政策项目"):
        return []
    supports = [s for s in programmes.open_to(order, [pool])[pool.pool_id] if s.programme_id == award.programme_id]
    en, zh = "a programme open to this order in this pool", "该订单在该资源池可用的政策"
    sheet.hold(bool(supports), "programme", f"{where}:programme_id", award.programme_id, en, zh)
    return supports


def _check_figures(d: Derived, where: str, sheet: Sheet) -> None:
    """Costs, effective limit, payment and flag equal those worked out again (design 4.3, 4.6, 9.3)."""
    award, payer = d.award, d.payer
    sheet.same("costs", f"{where}:transfer_ucny", award.transfer_ucny, d.transfer_ucny)
    sheet.same("costs", f"{where}:ask_cost_ucny", award.ask_cost_ucny, d.ask_cost_ucny)
    sheet.same("costs", f"{where}:price_cost_ucny", award.price_cost_ucny, d.price_cost_ucny)
    sheet.same("costs", f"{where}:share_ppm", award.share_ppm, payer.share_ppm)
    sheet.same("costs", f"{where}:room_ucny", award.room_ucny, payer.room_ucny)
    sheet.same("costs", f"{where}:effective_limit_ucny", award.effective_limit_ucny, payer.effective_limit_ucny)
    sheet.same("payment", f"{where}:gross_ucny", award.gross_ucny, d.gross_ucny)
    sheet.same("payment", f"{where}:voucher_ucny", award.voucher_ucny, d.voucher_ucny)
    sheet.same("payment", f"{where}:net_ucny", award.net_ucny, d.gross_ucny + d.transfer_ucny - d.voucher_ucny)
    paid, due = award.voucher_ucny + award.net_ucny, award.gross_ucny + award.transfer_ucny
    sheet.hold(paid == due, "payment", where, f"voucher + net {paid}", f"gross + transfer {due}", f"应付加传输 {due}")
    most, least = d.order.limit_ucny, d.ask_cost_ucny
    sheet.hold(award.net_ucny <= most, "limit", f"{where}:net_ucny", award.net_ucny, f"<= {most}", f"不超过 {most}")
    sheet.hold(award.gross_ucny >= least, "limit", f"{where}:gross_ucny", award.gross_ucny, f">= {least}", f"≥ {least}")
    bearable = payer.effective_limit_ucny
    sheet.hold(bearable >= least, "limit", where, f"effective limit {bearable}", f">= {least}", f"不低于 {least}")
    sheet.same("paradoxical", f"{where}:paradoxical", award.paradoxical, d.price_cost_ucny > bearable)


def check_capacity(book: Book, awards: Iterable[Award], sheet: Sheet) -> dict[str, list[int]]:
    """No pool runs more than it offers in any slot (design 4.1, 9.2); return what runs, by pool and slot."""
    used = {pool_id: [0] * book.slots for pool_id in book.pools}
    for award in awards:
        row = used.get(award.pool_id)
        if row is not None:
            for slot in range(max(0, award.start), min(book.slots, award.start + award.slots)):
                row[slot] += award.gpus
    for pool_id, row in used.items():
        offered = book.pools[pool_id].gpus.tolist()
        sheet.checks["capacity"] += len(row)
        for slot, (running, most) in enumerate(zip(row, offered, strict=True)):
            if running > most:
                where = f"awards.parquet:{pool_id}:{slot}"
                sheet.find("capacity", where, running, f"at most {most} accelerators", f"至多 {most} 卡")
    return used


def check_vouchers(programmes: Programmes, derived: Iterable[Derived], sheet: Sheet) -> None:
    """Least claim, once per contract, budgets and caps (design 4.3, 5.3, 9.2)."""
    spent: dict[str, int] = defaultdict(int)
    spent_by: dict[tuple[str, str], int] = defaultdict(int)
    contracts: Counter[tuple[str, str, str]] = Counter()
    for d in derived:
        programme_id, amount = d.award.programme_id, d.award.voucher_ucny
        where = f"awards.parquet:{d.award.order_id}:voucher_ucny"
        if programme_id is None or programme_id not in programmes.by_id:
            sheet.same("payment", where, amount, 0)
            continue
        least = max(1, programmes.by_id[programme_id].minimum_ucny)
        sheet.hold(amount >= least, "programme", where, amount, f"at least {least}", f"不低于 {least}")
        spent[programme_id] += amount
        spent_by[programme_id, d.order.enterprise_id] += amount
        if d.order.contract_id is not None:
            contracts[programme_id, d.order.enterprise_id, d.order.contract_id] += 1
    for (programme_id, enterprise_id, contract_id), times in contracts.items():
        where = f"awards.parquet:{enterprise_id}:{contract_id}:{programme_id}"
        sheet.hold(times == 1, "programme", where, f"{times} times", "once per contract", "每份合同一次")
    for programme_id, total in spent.items():
        _within("awards.parquet:" + programme_id, total, programmes.budget_left(programme_id), sheet)
    for (programme_id, enterprise_id), total in spent_by.items():
        left = programmes.cap_left(programme_id, enterprise_id)
        _within(f"awards.parquet:{programme_id}:{enterprise_id}", total, left, sheet)


def _within(where: str, total: int, left: int | None, sheet: Sheet) -> None:
    if left is not None:
        sheet.hold(total <= left, "budget", where, total, f"at most {left}", f"至多 {left}")
