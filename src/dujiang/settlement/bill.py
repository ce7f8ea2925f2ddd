"""What one award costs once its use is known: exact first, then each line rounded to fen once (design 3.2, 6.4).

Lines
-----
With g the metered amount, s the programme's share, v the voucher of the award and tau the transfer:

    service  = g, rounded to fen, half to even                        to the centre
    transfer = tau, whole fen already                                 to the carrier
    voucher  = min(floor(s * min(g, service)), v), cut down           from each programme
    rounding = what is above the money that the enterprise reserved   from the operator
    net      = service + transfer - voucher - rounding                from the enterprise

A rate is a ceiling on what is paid, so the share is taken of the lesser of the metered and the invoiced amount:
whoever checks the invoice alone finds the voucher below the rate as well. Several vouchers pay in turn; where a clause
sets a ceiling over all of them, a later one is cut to what the earlier ones leave of it.

How much the enterprise reserves
--------------------------------
All its lines are whole fen, so the most that it can be charged is floor_fen(limit). It need not reserve that much: with
net = gross + tau - v, v the sum of m vouchers, units = the sum of what their programmes pay in (a fen or a yuan each;
voucher lines are whole units),

    service + tau - vouchers  <=  net + fen/2 + (units - 1 micro-yuan, only with a voucher),

because (1) before any floor is taken the support never grows faster than g: the sum of the shares that still count is
at most the ceiling, which is at most the whole. With m floors n(g) = g + tau - support(g) can therefore fall by at most
m - 1 micro-yuan as g grows, and n(gross) = net, so n(g) <= net + m - 1 for every g <= gross; (2) where service is
rounded up, the vouchers' base is g, the rounding adds at most fen/2 and the cuts at most units - m; (3) where it is
rounded down by e, the support before the cuts shrinks by at most e and m - 1 micro-yuan of floors. Hence

    reserved = min(floor_fen(limit), floor_fen(net + fen/2 + units - 1))

covers every possible bill except where the limit itself binds, and only then does the operator bear the rest. Since
net <= limit, the rest is, for a limit in whole fen: nothing without a voucher, at most one fen for each voucher paid in
fen, at most one yuan for each paid in whole yuan; and at most one fen more for any other limit.

Each programme reserves its voucher cut down to units. A voucher line is cut from at most v, hence never above that.
"""

from dataclasses import dataclass

from dujiang.core.money import FEN, MICRO, div_half_even, floor_to_fen, round_to_fen, share_floor
from dujiang.core.slots import ceil_div
from dujiang.metering.usage import Usage, UsageOutcome
from dujiang.settlement.award import Award


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines of one award, micro-yuan in whole fen, none below 0: `service + transfer = vouchers + rounding + net`."""

    order_id: str
    enterprise_id: str
    centre_id: str
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
    vouchers: tuple[tuple[str, int], ...]
    """From each programme of the award, in paying order, also where its voucher came to nothing."""
    rounding_ucny: int
    """From the operator, so that the enterprise stays within its limit."""
    net_ucny: int
    """From the enterprise."""

    @property
    def voucher_ucny(self) -> int:
        """From all programmes together."""
        return sum(ucny for _, ucny in self.vouchers)

    def __post_init__(self) -> None:
        support = (ucny for _, ucny in self.vouchers)
        lines = (self.service_ucny, self.transfer_ucny, *support, self.rounding_ucny, self.net_ucny)
        assert all(line >= 0 and line % FEN == 0 for line in lines), (
            f"{self.order_id}: a line is negative or not whole fen"
        )
        paid = self.voucher_ucny + self.rounding_ucny + self.net_ucny
        assert self.service_ucny + self.transfer_ucny == paid, f"{self.order_id}: the bill does not add up"


def reserved_net(award: Award) -> int:
    """Return what an enterprise sets aside for an award, micro-yuan in whole fen; see the head of this module."""
    cut = max(0, sum(voucher.rounding.unit_ucny for voucher in award.vouchers) - 1)
    return min(floor_to_fen(award.limit_ucny), floor_to_fen(award.net_ucny + FEN // 2 + cut))


def reserved_vouchers(award: Award) -> tuple[int, ...]:
    """Return what each programme of an award sets aside for it, micro-yuan in units of its rounding."""
    return tuple(voucher.rounding.cut(voucher.amount_ucny) for voucher in award.vouchers)


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
    vouchers = _vouchers(award, min(metered, service))
    rest = service + transfer - sum(vouchers)
    net = min(rest, reserved_net(award))
    return Bill(
        order_id=award.order_id,
        enterprise_id=award.enterprise_id,
        centre_id=award.centre_id,
        gpu_hours_micro=award.gpus * hours_micro,
        list_ucny=max(metered, _part(award, award.gpus * sum(award.prices_ucny), _spread(award, hours_micro))),
        metered_ucny=metered,
        service_ucny=service,
        transfer_ucny=transfer,
        vouchers=tuple((v.programme_id, ucny) for v, ucny in zip(award.vouchers, vouchers, strict=True)),
        rounding_ucny=rest - net,
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


def _vouchers(award: Award, base_ucny: int) -> tuple[int, ...]:
    room = share_floor(base_ucny, award.ceiling_ppm)
    paid = []
    for voucher in award.vouchers:
        exact = min(share_floor(base_ucny, voucher.share_ppm), voucher.amount_ucny, room)
        room -= exact
        paid.append(voucher.rounding.cut(exact))
    return tuple(paid)
