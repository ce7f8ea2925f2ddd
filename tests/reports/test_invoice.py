import csv
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from io import StringIO

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dujiang.reports.invoice import PartyKind, file_stem, invoice_files, invoices
from dujiang.settlement.award import Award, Voucher
from dujiang.settlement.bill import Bill
from dujiang.settlement.charge import Charge

START = datetime(2025, 1, 5, 16, tzinfo=UTC)
YUAN, FEN = 1_000_000, 10_000
PERIOD = {"start": START, "end": START + timedelta(days=7), "operator": "都江 Exchange"}


def charge(
    order_id="o1", enterprise_id="e1", centre_id="c1", *, service=10 * YUAN, transfer=0, voucher=0, rounding=0
) -> Charge:
    bill = Bill(
        order_id=order_id,
        enterprise_id=enterprise_id,
        centre_id=centre_id,
        gpu_hours_micro=12_500_000,
        list_ucny=service,
        metered_ucny=service,
        service_ucny=service,
        transfer_ucny=transfer,
        vouchers=(("k1", voucher),) if voucher else (),
        rounding_ucny=rounding,
        net_ucny=service + transfer - voucher - rounding,
    )
    return Charge(bill, "pool-1", "a100", "west", START, START + timedelta(hours=2), YUAN if transfer else 0)


def waiting(order_id: str = "o9", enterprise_id: str = "e1") -> Award:
    voucher = Voucher("k1", 4 * YUAN, 400_000)
    prices = (10 * YUAN,)
    return Award(order_id, enterprise_id, "c1", 1, YUAN, prices, prices, 10 * YUAN, 0, 6 * YUAN, 6 * YUAN, (voucher,))


def page(kind: PartyKind, party_id: str, charges, pending=()):
    (found,) = [one for one in invoices(charges, pending) if (one.kind, one.party_id) == (kind, party_id)]
    return found


class Cells(HTMLParser):
    """Collects the text of table cells and notes anything that would need a network or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, text):
        if self.inside:
            self.cells[-1] += text


ONE = charge(transfer=3 * YUAN, voucher=4 * YUAN, rounding=FEN)
AMOUNTS = st.integers(0, 10**6).map(lambda fen: fen * FEN)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), AMOUNTS, AMOUNTS, st.integers(0, 100)),
        max_size=6,
    )
)
def test_totals_are_what_the_bills_say(rows):
    charges = [
        charge(
            f"o{n}", enterprise, centre, service=service, transfer=transfer, voucher=service * cut // 100 // FEN * FEN
        )
        for n, (enterprise, centre, service, transfer, cut) in enumerate(rows)
    ]
    pages = invoices(charges)
    for kind, total in (
        (PartyKind.ENTERPRISE, sum(one.bill.net_ucny for one in charges)),
        (PartyKind.CENTRE, sum(one.bill.service_ucny for one in charges)),
        (PartyKind.PROGRAMME, sum(one.bill.voucher_ucny for one in charges)),
    ):
        assert sum(one.total_ucny for one in pages if one.kind is kind) == total
    for one in pages:
        if one.kind is PartyKind.ENTERPRISE:
            assert one.total_ucny == sum(c.bill.net_ucny for c in charges if c.bill.enterprise_id == one.party_id)


def test_an_enterprise_sees_every_line_and_the_total_is_their_sum():
    bill = page(PartyKind.ENTERPRISE, "e1", [ONE])
    assert [(line.what.en, line.amount_ucny) for line in bill.lines] == [
        ("Compute", 10 * YUAN),
        ("Data transfer", 3 * YUAN),
        ("Voucher", -4 * YUAN),
        ("Rounding, borne by the operator", -FEN),
    ]
    text = invoice_files([bill], **PERIOD)["e1.html"]
    cells = Cells(text).cells
    assert [cell for cell in cells if re.fullmatch(r"-?\d+\.\d\d", cell)] == ["10.00", "3.00", "-4.00", "-0.01", "8.99"]
    assert "pool-1 · a100 · 12.5 GPU·h" in text
    assert "2025-01-06 00:00 – 2025-01-13 00:00 (Asia/Shanghai)" in text
    assert "税务发票" in text
    assert "not a tax invoice" in text


def test_a_page_opens_without_a_network_and_runs_nothing():
    for text in invoice_files(invoices([ONE], [waiting()]), **PERIOD).values():
        found = Cells(text)
        assert not found.links
        assert not found.tags & {"script", "link", "img", "iframe"}
        assert "url(" not in text


def test_each_party_sees_only_what_it_is_a_party_to():
    other = charge("o2", "e2", "c2", voucher=YUAN)
    files = invoice_files(invoices([ONE, other], [waiting("o8", "e3")]), **PERIOD)
    assert set(files) == {
        "e1.html",
        "e2.html",
        "e3.html",
        "centres/c1.html",
        "centres/c2.html",
        "programmes/k1.html",
        "index.csv",
    }
    for stranger in ("o2", "e2", "e3", "o8"):
        assert stranger not in Cells(files["e1.html"]).cells
    centre = files["centres/c1.html"]
    assert "k1" not in centre
    assert "e1" not in Cells(centre).cells
    assert "4.00" not in centre
    assert "6.00" not in centre  # what the waiting award reserved
    assert "10.00" not in files["programmes/k1.html"]


def test_an_unseen_award_is_listed_as_waiting_and_charged_to_nobody():
    pages = invoices([], [waiting()])
    assert [(one.kind.value, one.total_ucny) for one in pages] == [("enterprise", 0), ("centre", 0), ("programme", 0)]
    assert [one.pending[0].reserved_ucny for one in pages] == [6 * YUAN, 0, 4 * YUAN]
    text = invoice_files(pages, **PERIOD)["e1.html"]
    assert "o9" in Cells(text).cells
    assert "6.00" in Cells(text).cells


def test_an_award_that_cost_nothing_makes_no_page():
    assert invoices([charge(service=0)]) == []


def test_ids_cannot_inject_markup():
    bad = '<script>alert("x")</script>'
    files = invoice_files(invoices([charge(bad, bad, bad, voucher=YUAN)], names={bad: bad}), **PERIOD)
    for name, text in files.items():
        if name != "index.csv":
            assert "script" not in Cells(text).tags


def test_the_index_lists_every_page_with_its_total():
    files = invoice_files(invoices([ONE], names={"e1": "甲公司"}), **PERIOD)
    rows = list(csv.DictReader(StringIO(files["index.csv"])))
    assert [(row["file"], row["kind"], row["party_id"], row["name"], row["total_cny"]) for row in rows] == [
        ("e1.html", "enterprise", "e1", "甲公司", "8.99"),
        ("centres/c1.html", "centre", "c1", "", "10.00"),
        ("programmes/k1.html", "programme", "k1", "", "4.00"),
    ]
    assert rows[0]["start"] == "2025-01-05T16:00:00Z"


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(max_size=80), unique=True, max_size=12))
@example(
    [
        "A",
        "a",
        "../../etc/passwd",
        "..",
        ".",
        "",
        "CON",
        "con",
        "a" * 300,
        "A" * 300,
        "甲",
        "a b",
        "a-b",
        "a/b",
        "\ud800",
    ]
)
def test_file_names_hold_no_path_and_never_clash(ids):
    stems = [file_stem(one) for one in ids]
    assert len({stem.lower() for stem in stems}) == len(ids)
    for stem in stems:
        assert re.fullmatch(r"[a-z0-9_\u4e00-\u9fff~-]+", stem)
        assert len(stem.encode()) <= 200


def test_a_plain_id_is_its_own_file_name():
    assert file_stem("acme-1_b") == "acme-1_b"
    assert file_stem("甲公司") == "甲公司"
    assert file_stem("Acme").startswith("acme~")


def test_the_same_charges_give_the_same_files_whatever_their_order():
    charges = [ONE, charge("o2", "e2"), charge("o3")]
    assert invoice_files(invoices(charges), **PERIOD) == invoice_files(invoices(charges[::-1]), **PERIOD)
