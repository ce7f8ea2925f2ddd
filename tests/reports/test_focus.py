import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.reports.focus import FOCUS_COLUMNS, BillingPeriod, focus_csv
from dujiang.settlement.bill import Bill
from dujiang.settlement.charge import Charge

START = datetime(2025, 1, 5, 16, tzinfo=UTC)
PERIOD = BillingPeriod(START, START + timedelta(days=7))
YUAN, FEN = 1_000_000, 10_000
NULLABLE = {
    "AvailabilityZone",
    "BillingAccountName",
    "ChargeClass",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
}
"""Columns that FOCUS 1.0 allows to be null."""


def charge(
    *, metered=10 * YUAN, listed=12 * YUAN, transfer=0, voucher=0, rounding=0, gpu_hours=8 * YUAN, **ids
) -> Charge:
    service = round(metered / FEN) * FEN
    bill = Bill(
        order_id=ids.get("order_id", "o1"),
        enterprise_id=ids.get("enterprise_id", "e1"),
        centre_id="c1",
        gpu_hours_micro=gpu_hours,
        list_ucny=listed,
        metered_ucny=metered,
        service_ucny=service,
        transfer_ucny=transfer,
        vouchers=(("k1", voucher),) if voucher else (),
        rounding_ucny=rounding,
        net_ucny=service + transfer - voucher - rounding,
    )
    return Charge(bill, "p1", "ascend-910b", "west", START, START + timedelta(hours=2), 2_500_000 if transfer else 0)


def rows(*charges: Charge, **more) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(focus_csv(charges, PERIOD, "都江 Exchange", **more))))


def test_each_line_of_a_bill_is_a_row():
    found = rows(charge(transfer=3 * YUAN, voucher=4 * YUAN, rounding=FEN))
    assert [(row["ChargeCategory"], row["ServiceCategory"], row["BilledCost"]) for row in found] == [
        ("Usage", "Compute", "10"),
        ("Usage", "Networking", "3"),
        ("Credit", "Compute", "-4"),
        ("Adjustment", "Compute", "-0.01"),
    ]
    service = found[0]
    assert (service["ConsumedQuantity"], service["ConsumedUnit"]) == ("8", "GPU-Hours")
    assert (service["ListUnitPrice"], service["ListCost"]) == ("1.5", "12")
    assert (service["ContractedUnitPrice"], service["ContractedCost"]) == ("1.25", "10")
    assert (service["BillingPeriodStart"], service["BillingPeriodEnd"]) == (
        "2025-01-05T16:00:00Z",
        "2025-01-12T16:00:00Z",
    )
    assert (service["ChargePeriodStart"], service["ChargePeriodEnd"]) == (
        "2025-01-05T16:00:00Z",
        "2025-01-05T18:00:00Z",
    )
    assert json.loads(found[2]["Tags"]) == {"order_id": "o1", "programme_id": "k1"}
    assert (found[1]["PricingQuantity"], found[1]["PricingUnit"]) == ("2.5", "GB")


AMOUNTS = st.integers(0, 10**12)


@settings(max_examples=200, deadline=None)
@given(AMOUNTS, AMOUNTS, st.integers(1, 10**12), st.integers(0, 10**6), st.integers(0, 100))
def test_rows_obey_the_rules_of_the_specification_between_columns(metered, more, gpu_hours, transfer_fen, cut):
    one = charge(metered=metered, listed=metered + more, gpu_hours=gpu_hours, transfer=transfer_fen * FEN)
    voucher = one.bill.service_ucny * cut // 100 // FEN * FEN
    bill = replace(one.bill, vouchers=(("k1", voucher),), net_ucny=one.bill.net_ucny - voucher)
    found = rows(replace(one, bill=bill))
    for row in found:
        assert all(row[column] for column in FOCUS_COLUMNS if column not in NULLABLE)
        assert "E" not in row["ListCost"].upper()
        for kind, ucny in (("List", bill.list_ucny), ("Contracted", bill.metered_ucny)):
            cost = Decimal(row[f"{kind}Cost"])
            if row["ChargeCategory"] == "Usage":
                product = Decimal(row[f"{kind}UnitPrice"]) * Decimal(row["PricingQuantity"])
                assert abs(cost - product) <= Decimal("1e-12")
                if row["ServiceCategory"] == "Compute":
                    assert abs(cost - Decimal(ucny).scaleb(-6)) <= Decimal("1e-6")
            else:
                assert not row[f"{kind}UnitPrice"]
                assert cost == Decimal(row["BilledCost"]) == Decimal(row["EffectiveCost"])
    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal(bill.net_ucny).scaleb(-6)


def test_columns_are_those_of_the_specification_in_its_order():
    header = focus_csv([], PERIOD, "x").splitlines()[0].split(",")
    assert header == list(FOCUS_COLUMNS) == sorted(FOCUS_COLUMNS)
    assert len(header) == 43


def test_what_cost_nothing_has_no_row():
    assert rows(charge(metered=0, listed=0, gpu_hours=0)) == []


def test_names_fill_the_name_columns_and_are_never_made_up():
    (bare,) = rows(charge())
    assert (bare["BillingAccountName"], bare["RegionName"], bare["PublisherName"]) == ("", "", "c1")
    (named,) = rows(charge(), names={"e1": "甲, 公司", "west": "西部", "c1": "一号中心"})
    assert (named["BillingAccountName"], named["RegionName"], named["PublisherName"]) == (
        "甲, 公司",
        "西部",
        "一号中心",
    )


def test_rows_are_the_same_whatever_the_order_of_the_charges():
    charges = [charge(order_id="o2"), charge(order_id="o1", enterprise_id="e2"), charge(order_id="o1")]
    assert rows(*charges) == rows(*charges[::-1])
    assert [(row["BillingAccountId"], row["ResourceId"]) for row in rows(*charges)] == [
        ("e1", "o1"),
        ("e1", "o2"),
        ("e2", "o1"),
    ]
