"""Awards one by one, as the rules on a run need them: what was awarded, to whom, and who pays."""

from dataclasses import dataclass

from dujiang.verify.awards import Derived
from dujiang.verify.options import Options


@dataclass(frozen=True, slots=True)
class Voucher:
    """One voucher of an award."""

    programme_id: str
    share_ppm: int
    amount_ucny: int
    unit_ucny: int
    """What the programme pays in: a fen or a yuan."""


@dataclass(frozen=True, slots=True)
class Award:
    """One award, worked out again, as far as settling it needs."""

    order_id: str
    pool_id: str
    enterprise_id: str
    centre_id: str
    start: int
    slots: int
    gpus: int
    hours_micro: int
    limit_ucny: int
    gross_ucny: int
    transfer_ucny: int
    vouchers: tuple[Voucher, ...]
    """In paying order."""
    ceiling_ppm: int

    @property
    def net_ucny(self) -> int:
        """From the enterprise."""
        return self.gross_ucny + self.transfer_ucny - sum(voucher.amount_ucny for voucher in self.vouchers)


def awards_of(options: Options, d: Derived) -> list[Award]:
    """Return awards one by one."""
    ids, programmes = options.programmes.ids, options.programmes.by_id

    def vouchers(number: int) -> tuple[Voucher, ...]:
        paid = (column[number].tolist() for column in (d.programme, d.share_ppm, d.voucher_ucny))
        return tuple(
            Voucher(ids[k], share, amount, programmes[ids[k]].unit_ucny)
            for k, share, amount in zip(*paid, strict=True)
            if k >= 0
        )

    stated = d.rows.select("order_id", "pool_id", "enterprise_id", "centre_id", "start", "slots", "gpus")
    hours = options.run_hours_micro(d.order, d.pool).tolist()
    limits = options.book.orders.limit_ucny[d.order].tolist()
    return [
        Award(
            **row,
            hours_micro=hours[number],
            limit_ucny=limits[number],
            gross_ucny=int(d.gross_ucny[number]),
            transfer_ucny=int(d.transfer_ucny[number]),
            vouchers=vouchers(number),
            ceiling_ppm=int(d.ceiling_ppm[number]),
        )
        for number, row in enumerate(stated.to_dicts())
    ]
