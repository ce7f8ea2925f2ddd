"""A bill together with what it was for: all that an invoice needs, and nothing that its reader may not see."""

from dataclasses import dataclass
from datetime import datetime

from dujiang.settlement.bill import Bill


@dataclass(frozen=True, slots=True)
class Charge:
    """One settled award as invoices and cost exports show it."""

    bill: Bill
    pool_id: str
    accelerator: str
    region: str
    """Region of the centre."""
    start: datetime
    """Start of its first slot, aware UTC."""
    end: datetime
    """End of its last slot, aware UTC."""
    data_gb_micro: int = 0
    """Data moved from the origin region, millionths of a GB."""

    def __post_init__(self) -> None:
        bill = self.bill
        assert self.data_gb_micro > 0 or not bill.transfer_ucny, f"{bill.order_id}: a transfer of no data"
