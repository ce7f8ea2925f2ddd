"""`focus.csv`: charges in the columns of FOCUS, which cost-management programs read.

One row for each line of a bill: service and transfer are Usage, a voucher is a Credit, what the operator bears of
rounding is an Adjustment. So the sum of `BilledCost` of a billing account is what its invoice says. The exchange is the
provider and issues the invoice, the centre is the publisher of the service. An award's discount against the published
prices (design 4.6 d) is the difference of `ListCost` and `ContractedCost`.

References
----------
FinOps Open Cost and Usage Specification (FOCUS) 1.0, FinOps Foundation: Columns; Numeric Format; Date/Time Format;
Key-Value Format.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from io import StringIO

from dujiang.core.slots import instant_text
from dujiang.settlement.charge import Charge

FOCUS_COLUMNS = (
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
)
"""All columns of FOCUS 1.0, in its order."""

_UNIT_PRICE_PLACES = Decimal(1).scaleb(-12)


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """Half-open span of one invoice, aware UTC."""

    start: datetime
    end: datetime


def focus_csv(
    charges: Iterable[Charge], period: BillingPeriod, operator: str, names: Mapping[str, str] | None = None
) -> str:
    """Return charges as a FOCUS 1.0 table.

    Parameters
    ----------
    charges : settled awards, in any order
    period : of the invoices they stand on
    operator : name of whoever runs the exchange
    names : what people call an enterprise, a centre or a region, by id; without one the name stays empty
    """
    out = StringIO()
    writer = csv.DictWriter(out, FOCUS_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for charge in sorted(charges, key=lambda charge: (charge.bill.enterprise_id, charge.bill.order_id)):
        writer.writerows(_rows(charge, period, operator, names or {}))
    return out.getvalue()


def _rows(charge: Charge, period: BillingPeriod, operator: str, names: Mapping[str, str]) -> Iterator[dict[str, str]]:
    bill, common = charge.bill, _common(charge, period, operator, names)
    if bill.service_ucny or bill.list_ucny:
        yield (
            common
            | _compute()
            | _usage(bill.service_ucny, bill.list_ucny, bill.metered_ucny, bill.gpu_hours_micro)
            | {
                "ChargeDescription": f"{_decimal(bill.gpu_hours_micro)} GPU-hours of {charge.accelerator} 算力服务",
                "ConsumedUnit": "GPU-Hours",
                "PricingCategory": "Dynamic",
                "PricingUnit": "GPU-Hours",
                "SkuId": charge.pool_id,
                "SkuPriceId": f"{charge.pool_id}@{instant_text(charge.start)}",
            }
        )
    if bill.transfer_ucny:
        yield (
            common
            | _usage(bill.transfer_ucny, bill.transfer_ucny, bill.transfer_ucny, charge.data_gb_micro)
            | {
                "ChargeDescription": f"{_decimal(charge.data_gb_micro)} GB moved to {charge.region} 数据传输",
                "ConsumedUnit": "GB",
                "PricingCategory": "Standard",
                "PricingUnit": "GB",
                "ServiceCategory": "Networking",
                "ServiceName": "Data transfer",
                "SkuId": f"transfer/{charge.region}",
                "SkuPriceId": f"transfer/{charge.region}@{instant_text(charge.start)}",
            }
        )
    for programme_id, ucny in bill.vouchers:
        if ucny:
            text = f"Voucher of programme {programme_id} 券抵扣"
            yield common | _compute() | _given(-ucny, "Credit", text)
    if bill.rounding_ucny:
        text = "Rounding borne by the operator 运营方承担的舍入差额"
        yield common | _compute() | _given(-bill.rounding_ucny, "Adjustment", text)


def _common(charge: Charge, period: BillingPeriod, operator: str, names: Mapping[str, str]) -> dict[str, str]:
    bill = charge.bill
    tags = {"order_id": bill.order_id}
    if bill.vouchers:
        tags["programme_id"] = ";".join(programme_id for programme_id, _ in bill.vouchers)
    return {
        "AvailabilityZone": bill.centre_id,
        "BillingAccountId": bill.enterprise_id,
        "BillingAccountName": names.get(bill.enterprise_id, ""),
        "BillingCurrency": "CNY",
        "BillingPeriodEnd": instant_text(period.end),
        "BillingPeriodStart": instant_text(period.start),
        "ChargePeriodEnd": instant_text(charge.end),
        "ChargePeriodStart": instant_text(charge.start),
        "InvoiceIssuerName": operator,
        "ProviderName": operator,
        "PublisherName": names.get(bill.centre_id, bill.centre_id),
        "RegionId": charge.region,
        "RegionName": names.get(charge.region, ""),
        "ResourceId": bill.order_id,
        "ResourceType": "Award",
        "Tags": json.dumps(tags, ensure_ascii=False, sort_keys=True),
    }


def _compute() -> dict[str, str]:
    return {"ServiceCategory": "Compute", "ServiceName": "Accelerator hours"}


def _usage(billed_ucny: int, list_ucny: int, contracted_ucny: int, quantity_micro: int) -> dict[str, str]:
    """Return the amounts of a metered line.

    A cost has to be the product of its unit price and the quantity. Prices differ from slot to slot, so the unit price
    is their mean to twelve places and the cost what it gives: within a micro-yuan of ours. `BilledCost` is exact.
    """
    quantity = Decimal(quantity_micro).scaleb(-6)
    amounts = {"BilledCost": _decimal(billed_ucny), "EffectiveCost": _decimal(billed_ucny)}
    for kind, ucny in (("List", list_ucny), ("Contracted", contracted_ucny)):
        unit = (Decimal(ucny).scaleb(-6) / quantity).quantize(_UNIT_PRICE_PLACES, ROUND_HALF_EVEN)
        amounts |= {f"{kind}UnitPrice": _plain(unit), f"{kind}Cost": _plain(unit * quantity)}
    return amounts | {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": _plain(quantity),
        "PricingQuantity": _plain(quantity),
    }


def _given(ucny: int, category: str, description: str) -> dict[str, str]:
    """Return the amounts of a line without a unit price: all four costs are the same."""
    costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), _decimal(ucny))
    return costs | {"ChargeCategory": category, "ChargeFrequency": "One-Time", "ChargeDescription": description}


def _decimal(micro: int) -> str:
    return _plain(Decimal(micro).scaleb(-6))


def _plain(value: Decimal) -> str:
    """Write a decimal without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
