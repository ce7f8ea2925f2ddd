"""What an award reserves and what it is due once its use is known, worked out again (design 3.2, 6.2, 6.4).

    metered  = gross x (price-weighted part of its hours that ran), half to even, at least the ask of these hours
    service  = metered to the fen, half to even                                   to the centre
    transfer = that of the award once it started                                  to the carrier
    vouchers, each in turn, with base = min(metered, service):
        min(floor(share x base), voucher of the award, floor(ceiling x base) - earlier ones), cut to what it pays in
    net      = service + transfer - vouchers, at most what was reserved           from the enterprise
    rounding = the rest, borne by the operator

An enterprise reserves its net with half a fen and what the vouchers may lose by their cuts, in whole fen, never above
its limit; each programme reserves its voucher cut to what it pays in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dujiang.verify.awarded import Award
from dujiang.verify.cells import FEN, MICRO
from dujiang.verify.usage import NEVER_STARTED, UsageRow


@dataclass(frozen=True, slots=True)
class Bill:
    """Amounts of one award, micro-yuan."""

    reserved_net_ucny: int
    reserved_vouchers_ucny: dict[str, int]
    """By programme."""
    settled: bool
    """False while its use is unseen: then nothing is due yet, and the lines below are zero."""
    vouchers_ucny: dict[str, int]
    """By programme."""
    service_ucny: int = 0
    transfer_ucny: int = 0
    net_ucny: int = 0
    rounding_ucny: int = 0


def bill(award: Award, prices: Sequence[int], asks: Sequence[int], reading: UsageRow) -> Bill:
    """Work out the bill of an award.

    Parameters
    ----------
    award : the award
    prices, asks : of its slots, micro-yuan per GPU-hour
    reading : its metered use
    """
    cut = max(0, sum(voucher.unit_ucny for voucher in award.vouchers) - 1)
    reserved = min(_whole(award.limit_ucny, FEN), _whole(award.net_ucny + FEN // 2 + cut, FEN))
    held = {voucher.programme_id: _whole(voucher.amount_ucny, voucher.unit_ucny) for voucher in award.vouchers}
    if reading.run_hours_micro is None:
        return Bill(reserved, held, settled=False, vouchers_ucny={})
    started = reading.outcome != NEVER_STARTED
    metered = metered_gross(award, prices, asks, reading.run_hours_micro if started else 0)
    service, transfer = half_even(metered, FEN) * FEN, award.transfer_ucny if started else 0
    base = min(metered, service)
    left, vouchers = base * award.ceiling_ppm // MICRO, {}
    for voucher in award.vouchers:
        exact = min(base * voucher.share_ppm // MICRO, voucher.amount_ucny, left)
        left -= exact
        vouchers[voucher.programme_id] = _whole(exact, voucher.unit_ucny)
    rest = service + transfer - sum(vouchers.values())
    due = min(rest, reserved)
    return Bill(
        reserved_net_ucny=reserved,
        reserved_vouchers_ucny=held,
        settled=True,
        vouchers_ucny=vouchers,
        service_ucny=service,
        transfer_ucny=transfer,
        net_ucny=due,
        rounding_ucny=rest - due,
    )


def metered_gross(award: Award, prices: Sequence[int], asks: Sequence[int], ran_micro: int) -> int:
    """Return what a centre earns for the hours that ran, counted from the first slot, micro-yuan, not yet whole fen.

    The part of the gross amount that the hours have at the prices of their slots (at equal weights where all are free
    of charge), half to even; where that is below the ask of the hours that ran, their ask, rounded up (design 9.3).
    Hours beyond the run time of the award are not charged.
    """
    planned = award.hours_micro
    ran = _hours_by_slot(max(0, min(ran_micro, planned)), len(prices))
    weights = prices if any(prices) else [1] * len(prices)
    part = half_even(award.gross_ucny * _dot(weights, ran), _dot(weights, _hours_by_slot(planned, len(prices))))
    return max(part, -(-award.gpus * _dot(asks, ran) // MICRO))


def half_even(numerator: int, denominator: int) -> int:
    """Divide whole numbers, halves to the even neighbour."""
    double, rest = divmod(2 * numerator, denominator)
    below, odd = divmod(double, 2)
    if odd and (rest or below % 2):
        return below + 1
    return below


def _hours_by_slot(hours_micro: int, slots: int) -> list[int]:
    return [min(MICRO, max(0, hours_micro - slot * MICRO)) for slot in range(slots)]


def _dot(weights: Sequence[int], hours_micro: Sequence[int]) -> int:
    return sum(weight * hours for weight, hours in zip(weights, hours_micro, strict=True))


def _whole(ucny: int, unit_ucny: int) -> int:
    return ucny // unit_ucny * unit_ucny
