"""The FinOps Foundation's validator reads focus.csv; `make test` installs it in an environment of its own.

Release 1.0.0 is the last one for Python 3.11. Its rules called "1.0" are not quite those of FOCUS 1.0, so that no file
passes both; `OWN_FINDINGS` lists what it finds in a right file, and `adjusted` changes just that. It knows no list for
ChargeCategory, and it guesses types: a file in which all amounts of a column are whole numbers has no decimals for it.
"""

import csv
import random
import re
import subprocess
from pathlib import Path

import pytest
from test_focus import FEN, PERIOD, YUAN, charge

from dujiang.reports.focus import focus_csv

ENVIRONMENT = Path(__file__).parents[2] / ".venv-focus"
TOOL = ENVIRONMENT / "bin" / "focus-validator"
FINDING = re.compile(r"^(\S+) failed:\n\tDescription: .*\n\tRows: (.*)\n\tExample values: (.*)$", re.MULTILINE)
WHOLE, NONE = "(whole file)", "(none)"

OWN_FINDINGS = {
    # Names that FOCUS 1.0 does not have; it says InvoiceIssuerName, ProviderName, PublisherName, ResourceId.
    "InvoiceIssuer_Required": (WHOLE, NONE),
    "Provider_Required": (WHOLE, NONE),
    "Publisher_Required": (WHOLE, NONE),
    "ResourceID_Required": (WHOLE, NONE),
    # A column of FOCUS 0.5, in 1.0 it is ChargeCategory.
    "SkuPriceId_Nullable": (WHOLE, 'KeyError("ChargeType")'),
    # It looks for its list of currencies in the working folder, not where it is installed.
    "BillingCurrency_IsCurrencyCode": (WHOLE, 'FileNotFoundError("2")'),
}
ITS_NAMES = {
    "InvoiceIssuerName": "InvoiceIssuer",
    "ProviderName": "Provider",
    "PublisherName": "Publisher",
    "ResourceId": "ResourceID",
}
CHARGE_CATEGORIES = {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
"""FOCUS 1.0, Charge Category: allowed values."""

pytestmark = pytest.mark.skipif(
    not TOOL.exists(), reason=f"no {TOOL.relative_to(ENVIRONMENT.parent)}: `make test` installs it on Python 3.11"
)


def settled_round() -> str:
    """focus.csv of a hundred awards: vouchers, transfers, rounding, amounts down to the micro-yuan."""
    draw = random.Random(7)
    charges = [charge(order_id="o000", transfer=3 * YUAN, voucher=4 * YUAN, rounding=FEN)]
    for number in range(1, 100):
        metered = draw.randint(1, 50_000 * YUAN)
        voucher = draw.choice((0, metered * 3 // 10 // FEN * FEN, metered // 2 // YUAN * YUAN))
        charges.append(
            charge(
                order_id=f"o{number:03d}",
                enterprise_id=f"e{draw.randint(1, 9)}",
                metered=metered,
                listed=metered + draw.choice((0, draw.randint(1, 900 * YUAN))),
                gpu_hours=draw.randint(1, 4_000 * YUAN),
                transfer=draw.choice((0, draw.randint(1, 90_000) * FEN)),
                voucher=voucher,
                rounding=draw.choice((0, FEN)) if voucher else 0,
            )
        )
    names = {"e1": '甲, "公司"', "c1": "一号中心", "west": "西部"}
    return focus_csv(charges, PERIOD, "都江 Exchange", names)


def adjusted() -> list[dict[str, str]]:
    """Rows of that file under the names that the tool knows."""
    return [
        {ITS_NAMES.get(name, name): value for name, value in row.items()} | {"ChargeType": row["ChargeCategory"]}
        for row in csv.DictReader(settled_round().splitlines())
    ]


def written(rows: list[dict[str, str]], file: Path) -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file


def findings(file: Path, working_folder: Path) -> dict[str, tuple[str, str]]:
    """What the tool finds: rows and values by rule. Its exit status says nothing, its last line does."""
    command = [TOOL, "--data-file", file, "--validate-version", "1.0"]
    ran = subprocess.run(command, cwd=working_folder, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert ran.returncode == 0, ran.stderr
    found = {rule: (rows, values) for rule, rows, values in FINDING.findall(ran.stdout)}
    assert ran.stdout.count(" failed:\n") == len(found), ran.stdout
    assert ran.stdout.splitlines()[-1] == ("Validation failed!" if found else "Validation succeeded."), ran.stdout
    return found


def where_its_currencies_are() -> Path:
    (folder,) = ENVIRONMENT.glob("lib/python3.*/site-packages")
    return folder


def test_it_finds_nothing_in_our_file_but_what_is_its_own(tmp_path):
    file = tmp_path / "focus.csv"
    file.write_text(settled_round(), encoding="utf-8")
    assert findings(file, tmp_path) == OWN_FINDINGS


def test_it_accepts_our_file_under_its_own_names(tmp_path):
    rows = adjusted()
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Credit", "Adjustment"} < CHARGE_CATEGORIES
    assert {row["ServiceCategory"] for row in rows} == {"Compute", "Networking"}
    assert findings(written(rows, tmp_path / "focus.csv"), where_its_currencies_are()) == {}


def test_it_finds_every_fault_that_it_has_a_rule_for(tmp_path):
    rows = adjusted()
    rows[0] |= {"BillingCurrency": "XYZ", "PricingCategory": "Spot", "SkuPriceId": "", "ListCost": "ten"}
    rows[1] |= {"ChargeCategory": "", "ChargeFrequency": "Sometimes", "ChargePeriodStart": "2025-01-05T16:00:00"}
    rows[2] |= {"ServiceCategory": "Cloud", "Tags": "[1]", "ChargeCategory": "Gift"}  # no rule for the last one
    rows[3] |= {"ChargeClass": "Refund", "EffectiveCost": "", "BillingPeriodEnd": "tomorrow"}
    for row in rows:
        del row["BilledCost"]
    assert findings(written(rows, tmp_path / "focus.csv"), where_its_currencies_are()) == {
        "BilledCost_Required": (WHOLE, NONE),
        "BillingCurrency_IsCurrencyCode": ("1", "XYZ"),
        "BillingPeriodEnd_IsDateTime": ("4", "tomorrow"),
        "ChargeCategory_NotNull": ("2", NONE),
        "ChargeClass_Enum": ("4", "Refund"),
        "ChargeFrequency_Enum": ("2", "Sometimes"),
        "ChargePeriodStart_IsDateTime": ("2", "2025-01-05T16:00:00"),
        "EffectiveCost_NotNull": ("4", NONE),
        "ListCost_IsDecimal": (WHOLE, NONE),
        "PricingCategory_Enum_1.0": ("1", "Spot"),
        "ServiceCategory_Enum": ("3", "Cloud"),
        "SkuPriceId_Nullable": ("1", "ChargeType:Usage,SkuPriceId:nan"),
        "Tags_IsJSONObject": ("3", "[1]"),
    }
