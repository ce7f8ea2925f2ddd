"""What one award costs once its use is known: exact first, then each line rounded to fen once (design 3.2, 6.4).

Lines
-----
With g the metered amount, s the programme's share, v the voucher of the award and tau the transfer:

    service  = g, rounded to fen, half to even                        to the centre
    transfer = tau, whole fen already                                 to the carrier
    voucher  = min(floor(s * min(g, service)), v), cut down           from the programme
    rounding = what is above the money that the enterprise reserved   from the operator
    net      = service + transfer - voucher - rounding                from the enterprise

A rate is a ceiling on what is paid, so the share is taken of the lesser of the metered and the invoiced amount:
whoever checks the invoice alone finds the voucher below the rate as well.

How much the enterprise reserves
--------------------------------
All its lines are whole fen, so the most that it can be charged is floor_fen(limit). It need not reserve that much: with
net = gross + tau - v, unit = what the programme pays in (one fen or one yuan; voucher lines are whole units),

    service + tau - voucher  <=  net + fen/2 + (unit - 1 micro-yuan, only with a voucher),

because (1) n(g) = g + tau - min(floor(s g), v) never falls as g grows (one more micro-yuan of g adds at most one to the
floor), and n(gross) = net, so n(g) <= net for every g <= gross; (2) where service is rounded up, the voucher's base is
g, the rounding adds at most fen/2 and the cut at most unit - 1; (3) where service is rounded down by e, the voucher
before the cut shrinks by at most ceil(s e) <= e, which is what service lost. Hence

    reserved = min(floor_fen(limit), floor_fen(net + fen/2 + unit - 1))

covers every possible bill except where the limit itself binds, and only then does the operator bear the rest. Since
net <= limit, the rest is, for a limit in whole fen: nothing without a voucher, at most one fen with a voucher paid in
fen, at most one yuan with a voucher paid in whole yuan; and at most one fen more for any other limit.

The programme reserves its voucher cut down to units. A voucher line is cut from at most v, hence never above that.
"""

from dataclasses import dataclass

from dujiang.core.money import FEN, MICRO, div_half_even, floor_to_fen, round_to_fen, share_floor
from dujiang.core.slots import ceil_div
from dujiang.metering.usage import Usage, UsageOutcome
from dujiang.settlement.award import Award


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines of one award, micro-yuan in whole fen, none below 0: `service + transfer = voucher + rounding + net`."""

    order_id: str
    enterprise_id: str
    centre_id: str
    programme_id: str | None
    """Programme of the award, also where the voucher came to nothing."""
    gpu_hours_micro: int
    """GPU-hours that are charged, millionths."""
    list_ucny: int
    """What they cost at the published prices, exact; `list - metered` is the award's discount (design 4.6 d)."""
    metered_ucny: int
    """Exact amount for what ran, before it was rounded to `service_ucny`."""
    service_ucny: int
    """To the centre."""
    transfer_ucny: int
    """To the carrier."""
    voucher_ucny: int
    """From the programme."""
    rounding_ucny: int
    """From the operator, so that the enterprise stays within its limit."""
    net_ucny: int
    """From the enterprise."""

    def __post_init__(self) -> None:
        lines = (self.service_ucny, self.transfer_ucny, self.voucher_ucny, self.rounding_ucny, self.net_ucny)
        assert all(line >= 0 and line % FEN == 0 for line in lines), (
            f"{self.order_id}: a line is negative or not whole fen"
        )
        paid = self.voucher_ucny + self.rounding_ucny + self.net_ucny
        assert self.service_ucny + self.transfer_ucny == paid, f"{self.order_id}: the bill does not add up"


def reserved_net(award: Award) -> int:
    """Return what an enterprise sets aside for an award, micro-yuan in whole fen; see the head of this module."""
    cut = 0 if award.voucher is None else award.voucher.rounding.unit_ucny - 1
    return min(floor_to_fen(award.limit_ucny), floor_to_fen(award.net_ucny + FEN // 2 + cut))


def reserved_voucher(award: Award) -> int:
    """Return what a programme sets aside for an award, micro-yuan in units of its rounding; 0 without one."""
    return 0 if award.voucher is None else award.voucher.rounding.cut(award.voucher.amount_ucny)


def metered_gross(award: Award, run_hours_micro: int) -> int:
    """Return what an award's centre earns for what ran, exact to the micro-yuan.

    The gross amount of the award times the price-weighted share of its hours that ran, counted from its first slot and
    rounded half to even to the micro-yuan. An award that ran as long as it was meant to pays its gross amount exactly,
    hours beyond that are not charged. Where the award pays less than the prices (design 4.6), a part of it could fall
    below the ask of the slots that ran; the centre never gets less than its ask for the hours that ran (design 9.3),
    rounded up to the micro-yuan.

    Parameters
    ----------
    award : the award
    run_hours_micro : how long it ran, micro-hours >= 0

    Returns
    -------
    int, micro-yuan, from 0 to the gross amount
    """
    ran = _spread(award, run_hours_micro)
    asked = ceil_div(award.gpus * _weigh(award.asks_ucny, ran), MICRO)
    amount = max(_part(award, award.gross_ucny, ran), asked)
    assert 0 <= amount <= award.gross_ucny, f"{award.order_id}: metered {amount} of {award.gross_ucny} micro-yuan"
    return amount


def bill(award: Award, usage: Usage) -> Bill | None:
    """Return the bill of an award, or None while its use is unseen: then billing waits (design 6.4).

    An award that never started costs nothing. Once it has started, the transfer is due in full.
    """
    assert usage.order_id == award.order_id, f"usage of {usage.order_id} for award {award.order_id}"
    if usage.run_hours_micro is None:
        return None
    started = usage.outcome is not UsageOutcome.NEVER_STARTED
    hours_micro = min(usage.run_hours_micro, award.hours_micro) if started else 0
    metered = metered_gross(award, hours_micro)
    service = round_to_fen(metered)
    transfer = award.transfer_ucny if started else 0
    voucher = _voucher(award, min(metered, service))
    net = min(service + transfer - voucher, reserved_net(award))
    return Bill(
        order_id=award.order_id,
        enterprise_id=award.enterprise_id,
        centre_id=award.centre_id,
        programme_id=None if award.voucher is None else award.voucher.programme_id,
        gpu_hours_micro=award.gpus * hours_micro,
        list_ucny=max(metered, _part(award, award.gpus * sum(award.prices_ucny), _spread(award, hours_micro))),
        metered_ucny=metered,
        service_ucny=service,
        transfer_ucny=transfer,
        voucher_ucny=voucher,
        rounding_ucny=service + transfer - voucher - net,
        net_ucny=net,
    )


def _spread(award: Award, hours_micro: int) -> tuple[int, ...]:
    """Lay hours over an award's slots from the first on, up to the hours it was meant to run; micro-hours of each."""
    hours_micro = min(hours_micro, award.hours_micro)
    return tuple(min(MICRO, max(0, hours_micro - slot * MICRO)) for slot in range(len(award.prices_ucny)))


def _part(award: Award, whole_ucny: int, ran: tuple[int, ...]) -> int:
    """Return the price-weighted part of an amount for the hours that ran, rounded half to even to the micro-yuan."""
    weights = award.prices_ucny if any(award.prices_ucny) else (1,) * len(ran)  # free of charge: weigh by hours
    return div_half_even(whole_ucny * _weigh(weights, ran), _weigh(weights, _spread(award, award.hours_micro)))


def _weigh(weights: tuple[int, ...], hours_micro: tuple[int, ...]) -> int:
    return sum(weight * hours for weight, hours in zip(weights, hours_micro, strict=True))


def _voucher(award: Award, base_ucny: int) -> int:
    voucher = award.voucher
    if voucher is None:
        return 0
    return voucher.rounding.cut(min(share_floor(base_ucny, voucher.share_ppm), voucher.amount_ucny))
