"""What settlement knows of an award: exact amounts, nothing rounded yet."""

from dataclasses import dataclass
from enum import StrEnum

from dujiang.core.money import FEN, MICRO, share_floor


class Rounding(StrEnum):
    """To what a programme pays; always cut down, since every rate is a "not above" ceiling (design 3.2, 5.4)."""

    FEN = "fen"
    YUAN = "yuan"

    @property
    def unit_ucny(self) -> int:
        """Smallest amount that the programme pays, micro-yuan."""
        return MICRO if self is Rounding.YUAN else FEN

    def cut(self, ucny: int) -> int:
        """Cut an amount down to whole units; still micro-yuan."""
        return ucny // self.unit_ucny * self.unit_ucny


@dataclass(frozen=True, slots=True)
class Voucher:
    """Support of one programme that an award uses."""

    programme_id: str
    amount_ucny: int
    """Awarded, exact, > 0."""
    share_ppm: int
    """Rate of the programme for this order and pool, 0 < share <= 1 000 000."""
    rounding: Rounding = Rounding.FEN
    budgeted: bool = False
    """The programme has a budget that `open_budget` made known; else it is funded just in time."""
    capped: bool = False
    """The enterprise has a cap in it that `open_cap` made known."""


@dataclass(frozen=True, slots=True)
class Award:
    """One award as the clearing made it; amounts in exact micro-yuan, `gross + transfer = voucher + net`."""

    order_id: str
    enterprise_id: str
    centre_id: str
    gpus: int
    hours_micro: int
    """Run time in that pool, micro-hours; the last slot may be needed in part."""
    prices_ucny: tuple[int, ...]
    """Published price of each of its slots, micro-yuan per GPU-hour, in time."""
    asks_ucny: tuple[int, ...]
    """Reserve price of each of its slots, at most the price."""
    gross_ucny: int
    """To the centre for the whole block."""
    transfer_ucny: int
    """To the carrier, whole fen."""
    net_ucny: int
    """From the enterprise, transfer included; at most `limit_ucny`."""
    limit_ucny: int
    """The order's own limit."""
    vouchers: tuple[Voucher, ...] = ()
    """In the order in which they pay; no two of one programme."""
    ceiling_ppm: int = MICRO
    """Share of the gross amount that all vouchers together may reach."""

    def __post_init__(self) -> None:
        support = sum(voucher.amount_ucny for voucher in self.vouchers)
        paid, due = support + self.net_ucny, self.gross_ucny + self.transfer_ucny
        assert paid == due, f"{self.order_id}: {paid} micro-yuan are paid, {due} are due"
        for voucher in self.vouchers:
            most = share_floor(self.gross_ucny, voucher.share_ppm)
            assert 0 <= voucher.amount_ucny <= most, f"{self.order_id}: a voucher is above its programme's rate"
        names = {voucher.programme_id for voucher in self.vouchers}
        assert len(names) == len(self.vouchers), f"{self.order_id}: two vouchers of one programme"
        assert support <= share_floor(self.gross_ucny, self.ceiling_ppm), f"{self.order_id}: vouchers above the ceiling"
        assert self.net_ucny <= self.limit_ucny, f"{self.order_id}: net above the limit"
        assert len(self.prices_ucny) == len(self.asks_ucny), f"{self.order_id}: a price and an ask for each slot"
        assert 0 < self.hours_micro <= len(self.prices_ucny) * MICRO, f"{self.order_id}: longer than its slots"
        assert self.transfer_ucny >= 0, f"{self.order_id}: negative transfer"
        assert self.transfer_ucny % FEN == 0, f"{self.order_id}: transfer is not in whole fen"
