"""Why an order was not served, told again from the book, the published prices and what is left (design 4.5, 4.6 e).

The reasons form a chain, the first that applies counts: no compatible pool, no room in the window, limit below the ask,
limit below the price, voucher exhausted, paradoxical.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dujiang.verify.book import Order
from dujiang.verify.options import Exact, Options, Payer, Way, exact
from dujiang.verify.prices import Posted
from dujiang.verify.results import Rejection
from dujiang.verify.verdict import Sheet

Left = Callable[[str, str], int | None]
"""What a voucher can still draw after the round, by programme and enterprise; None: without limit."""


def check_rejections(
    options: Options, rejections: Iterable[Rejection], posted: Posted, left: Left, sheet: Sheet
) -> None:
    """Check the reason of every rejection (design 4.5).

    Parameters
    ----------
    options : book, programmes and coupling of the round
    rejections : rows to check
    posted : prices and asks
    left : what budgets and caps hold after the round
    sheet : takes what is wrong
    """
    for rejection in rejections:
        order = options.book.orders.get(rejection.order_id)
        if order is not None:
            expected = reason(options, order, posted, left)
            sheet.same("reason", f"rejections.parquet:{rejection.order_id}", rejection.reason, expected)


def reason(options: Options, order: Order, posted: Posted, left: Left) -> str:
    """Return why an order that was not served was not."""
    ways = options.ways(order)
    if not ways:
        return "no_compatible_pool"
    ways = [way for way in ways if way.starts.size]
    if not ways:
        return "no_room"
    bonus = options.bonus(order)
    affordable = in_the_money = False
    unfunded = True
    for way in ways:
        fixed = bonus - options.carbon_rate(way.pool) * order.gpus * way.slots
        costs = _block_costs(order, way, posted)
        for payer, ask, price in _reachable(way, *costs):
            affordable = True
            pays = price <= payer.effective_limit_ucny + fixed
            if pays.any():
                in_the_money = True
                unfunded &= _is_unfunded(payer, order.enterprise_id, ask[pays], price[pays], left)
    if not affordable:
        return "limit_below_ask"
    if not in_the_money:
        return "limit_below_price"
    return "voucher_exhausted" if unfunded else "paradoxical"


def _block_costs(order: Order, way: Way, posted: Posted) -> tuple[Exact, Exact]:
    """Return ask and price cost by start, micro-yuan."""
    ask, price = posted.blocks(way.pool.pool_id, way.starts, way.slots)
    reach = order.gpus * (int(price.max()) + int(ask.max()))
    return exact(ask, reach) * order.gpus, exact(price, reach) * order.gpus


def _reachable(way: Way, ask: Exact, price: Exact) -> Iterator[tuple[Payer, Exact, Exact]]:
    """Yield who can bear the ask at some start, with the costs at these starts."""
    for payer in way.payers:
        bears = ask <= payer.effective_limit_ucny
        if bears.any():
            yield payer, ask[bears], price[bears]


def _is_unfunded(payer: Payer, enterprise_id: str, ask: Exact, price: Exact, left: Left) -> bool:
    """Return whether what is left cannot pay the smallest voucher that any of these blocks needs."""
    if payer.programme_id is None:
        return False
    rest = left(payer.programme_id, enterprise_id)
    gross = np.maximum(ask, np.minimum(price, payer.effective_limit_ucny))
    return rest is not None and rest < payer.voucher(int(gross.min()))
