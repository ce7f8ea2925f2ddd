"""What an award reserves and what it is due once its use is known, worked out again (design 3.2, 6.2, 6.4).

    metered  = gross x (price-weighted part of its hours that ran), half to even, at least the ask of these hours
    service  = metered to the fen, half to even                                   to the centre
    transfer = that of the award once it started                                  to the carrier
    voucher  = min(floor(share x min(metered, service)), voucher of the award), cut to what the programme pays in
    net      = service + transfer - voucher, at most what was reserved            from the enterprise
    rounding = the rest, borne by the operator

An enterprise reserves its net with half a fen and what the voucher may lose by its cut, in whole fen, never above its
limit; a programme reserves the voucher cut to what it pays in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dujiang.verify.awards import Derived
from dujiang.verify.cells import FEN, MICRO
from dujiang.verify.options import half_even, run_hours_micro
from dujiang.verify.usage import NEVER_STARTED, UsageRow


@dataclass(frozen=True, slots=True)
class Bill:
    """Amounts of one award, micro-yuan."""

    reserved_net_ucny: int
    reserved_voucher_ucny: int
    settled: bool
    """False while its use is unseen: then nothing is due yet, and the lines below are zero."""
    service_ucny: int = 0
    transfer_ucny: int = 0
    voucher_ucny: int = 0
    net_ucny: int = 0
    rounding_ucny: int = 0


def bill(d: Derived, unit_ucny: int, prices: Sequence[int], asks: Sequence[int], reading: UsageRow) -> Bill:
    """Work out the bill of an award.

    Parameters
    ----------
    d : the award
    unit_ucny : what its programme pays in, micro-yuan: a fen or a yuan
    prices, asks : of its slots, micro-yuan per GPU-hour
    reading : its metered use
    """
    cut = unit_ucny - 1 if d.payer.programme_id is not None else 0
    net = d.gross_ucny + d.transfer_ucny - d.voucher_ucny
    reserved = min(_whole(d.order.limit_ucny, FEN), _whole(net + FEN // 2 + cut, FEN))
    reserved_voucher = _whole(d.voucher_ucny, unit_ucny)
    if reading.run_hours_micro is None:
        return Bill(reserved, reserved_voucher, settled=False)
    started = reading.outcome != NEVER_STARTED
    metered = metered_gross(d, prices, asks, reading.run_hours_micro if started else 0)
    service, transfer = half_even(metered, FEN) * FEN, d.transfer_ucny if started else 0
    base = min(metered, service)
    voucher = _whole(min(base * d.payer.share_ppm // MICRO, d.voucher_ucny), unit_ucny)
    due = min(service + transfer - voucher, reserved)
    return Bill(
        reserved_net_ucny=reserved,
        reserved_voucher_ucny=reserved_voucher,
        settled=True,
        service_ucny=service,
        transfer_ucny=transfer,
        voucher_ucny=voucher,
        net_ucny=due,
        rounding_ucny=service + transfer - voucher - due,
    )


def metered_gross(d: Derived, prices: Sequence[int], asks: Sequence[int], ran_micro: int) -> int:
    """Return what a centre earns for the hours that ran, counted from the first slot, micro-yuan, not yet whole fen.

    The part of the gross amount that the hours have at the prices of their slots (at equal weights where all are free
    of charge), half to even; where that is below the ask of the hours that ran, their ask, rounded up (design 9.3).
    Hours beyond the run time of the award are not charged.
    """
    planned = run_hours_micro(d.order, d.pool)
    ran = _hours_by_slot(max(0, min(ran_micro, planned)), len(prices))
    weights = prices if any(prices) else [1] * len(prices)
    part = half_even(d.gross_ucny * _dot(weights, ran), _dot(weights, _hours_by_slot(planned, len(prices))))
    return max(part, -(-d.order.gpus * _dot(asks, ran) // MICRO))


def _hours_by_slot(hours_micro: int, slots: int) -> list[int]:
    return [min(MICRO, max(0, hours_micro - slot * MICRO)) for slot in range(slots)]


def _dot(weights: Sequence[int], hours_micro: Sequence[int]) -> int:
    return sum(weight * hours for weight, hours in zip(weights, hours_micro, strict=True))


def _whole(ucny: int, unit_ucny: int) -> int:
    return ucny // unit_ucny * unit_ucny
