"""Awards, readings and whole rounds for the settlement tests, as the clearing could have made them."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from dujiang.core.money import FEN, MICRO, share_floor
from dujiang.core.slots import ceil_div
from dujiang.metering.usage import Usage, UsageOutcome
from dujiang.settlement.award import Award, Rounding, Voucher

START = datetime(2025, 1, 6, tzinfo=UTC)
LATER = START + timedelta(hours=30)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def reading(award: Award, run_hours_micro: int | None, outcome: UsageOutcome | None = None) -> Usage:
    """What metering says of an award; hours None: unseen."""
    if outcome is None:
        outcome = UsageOutcome.UNSEEN if run_hours_micro is None else UsageOutcome.ENDED
    return Usage(
        order_id=award.order_id,
        pool_id="pool",
        centre_id=award.centre_id,
        enterprise_id=award.enterprise_id,
        start=0,
        slots=len(award.prices_ucny),
        gpus=award.gpus,
        outcome=outcome,
        run_hours_micro=run_hours_micro,
        gpu_hours_micro=None if run_hours_micro is None else award.gpus * run_hours_micro,
        it_kwh=None,
        kwh=None,
        kgco2=None,
        watts_per_gpu=None,
        pue=None,
        grid_kgco2_per_kwh=None,
        market_end_micro=run_hours_micro,
    )


def award(
    gross: int,
    *,
    vouchers: tuple[Voucher, ...] = (),
    transfer: int = 0,
    slack: int = 0,
    order_id: str = "o1",
    enterprise_id: str = "e1",
    centre_id: str = "c1",
    slots: int = 1,
    hours_micro: int | None = None,
    prices: tuple[int, ...] | None = None,
    asks: tuple[int, ...] | None = None,
) -> Award:
    """An award of one accelerator that pays its price, with a limit `slack` above its net."""
    net = gross + transfer - sum(voucher.amount_ucny for voucher in vouchers)
    return Award(
        order_id=order_id,
        enterprise_id=enterprise_id,
        centre_id=centre_id,
        gpus=1,
        hours_micro=slots * MICRO if hours_micro is None else hours_micro,
        prices_ucny=prices or (ceil_div(gross, slots),) * slots,
        asks_ucny=asks or (0,) * slots,
        gross_ucny=gross,
        transfer_ucny=transfer,
        net_ucny=net,
        limit_ucny=net + slack,
        vouchers=vouchers,
    )


@st.composite
def awards(draw, order_id: str = "o1", whole_fen_limit: bool | None = None) -> Award:
    """Any award that the clearing's payment rule can give (design 4.6), small enough for fen to matter."""
    slots = draw(st.integers(1, 4))
    gpus = draw(st.integers(1, 9))
    asks = tuple(draw(st.lists(st.integers(0, 3 * MICRO), min_size=slots, max_size=slots)))
    prices = tuple(ask + draw(st.integers(0, 3 * MICRO)) for ask in asks)
    hours = draw(st.integers((slots - 1) * MICRO + 1, slots * MICRO))
    ask_cost, price_cost = gpus * sum(asks), gpus * sum(prices)
    gross = draw(st.integers(ask_cost, price_cost) | st.just(price_cost))
    transfer = draw(st.integers(0, 300)) * FEN
    ceiling = draw(st.just(MICRO) | st.sampled_from([1, 400_000, 700_000]))
    room, vouchers = share_floor(gross, ceiling), []
    for programme_id in draw(st.sampled_from([(), ("k1",), ("k2",), ("k1", "k2"), ("k2", "k1")])):
        share = draw(st.integers(1, MICRO) | st.sampled_from([300_000, 333_333, 500_000, MICRO]))
        amount = min(share_floor(gross, share), draw(st.integers(1, 40 * MICRO)), room)
        if amount:
            room -= amount
            rounding, capped = draw(st.sampled_from(Rounding)), draw(st.booleans())
            vouchers.append(Voucher(programme_id, amount, share, rounding, draw(st.booleans()), capped))
    net = gross + transfer - sum(voucher.amount_ucny for voucher in vouchers)
    limit = net + draw(st.sampled_from([0, 1, FEN // 2, FEN, MICRO, 2 * MICRO]) | st.integers(0, 3 * FEN))
    if draw(st.booleans()) if whole_fen_limit is None else whole_fen_limit:
        limit = ceil_div(limit, FEN) * FEN
    centre, enterprise = draw(st.sampled_from(["c1", "c2"])), draw(st.sampled_from(["e1", "e2"]))
    return Award(
        *(order_id, enterprise, centre, gpus, hours, prices, asks, gross, transfer, net, limit),
        vouchers=tuple(vouchers),
        ceiling_ppm=ceiling,
    )


@st.composite
def usages(draw, of: Award) -> Usage:
    """Any reading of an award, running over its time included."""
    outcome = draw(st.sampled_from(UsageOutcome))
    if outcome is UsageOutcome.UNSEEN:
        return reading(of, None)
    if outcome is UsageOutcome.NEVER_STARTED:
        return reading(of, 0, outcome)
    return reading(of, draw(st.integers(0, len(of.prices_ucny) * MICRO) | st.just(of.hours_micro)), outcome)


@st.composite
def rounds(draw) -> list[tuple[Award, Usage]]:
    """A few awards of one round with their readings."""
    made = [draw(awards(order_id=f"o{n}")) for n in range(draw(st.integers(1, 4)))]
    return [(one, draw(usages(one))) for one in made]
