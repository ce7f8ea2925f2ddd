from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from settled_cases import award, awards, reading, rounds, usages

from dujiang.core.money import FEN, MICRO, floor_to_fen, round_to_fen, share_floor
from dujiang.metering.usage import UsageOutcome
from dujiang.settlement.award import Rounding, Voucher
from dujiang.settlement.bill import Bill, bill, metered_gross, reserved_net, reserved_vouchers


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_no_bill_passes_a_limit_a_reservation_or_a_rate(data):
    one = data.draw(awards())
    due = bill(one, data.draw(usages(one)))
    if due is None:
        return
    assert due.net_ucny <= reserved_net(one) <= floor_to_fen(one.limit_ucny)
    assert due.service_ucny == round_to_fen(due.metered_ucny)
    for voucher, held, (programme_id, paid) in zip(one.vouchers, reserved_vouchers(one), due.vouchers, strict=True):
        assert programme_id == voucher.programme_id
        assert paid <= held <= voucher.amount_ucny
        assert paid <= share_floor(due.metered_ucny, voucher.share_ppm)
        assert paid <= share_floor(due.service_ucny, voucher.share_ppm)
        assert paid % voucher.rounding.unit_ucny == 0
    assert due.voucher_ucny == sum(paid for _, paid in due.vouchers)
    assert due.voucher_ucny <= share_floor(min(due.metered_ucny, due.service_ucny), one.ceiling_ppm)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_what_the_operator_bears_is_as_small_as_the_docstring_says(data):
    whole = data.draw(st.booleans())
    one = data.draw(awards(whole_fen_limit=whole))
    due = bill(one, data.draw(usages(one)))
    if due is None:
        return
    most = sum(voucher.rounding.unit_ucny for voucher in one.vouchers)
    if one.limit_ucny % FEN:
        most += FEN
    assert due.rounding_ucny <= most
    if due.rounding_ucny:  # borne only where the limit itself binds
        assert due.net_ucny == floor_to_fen(one.limit_ucny)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_metered_amount_is_the_price_weighted_part_and_never_below_the_ask(data):
    one = data.draw(awards())
    hours = data.draw(st.integers(0, len(one.prices_ucny) * MICRO))
    amount = metered_gross(one, hours)
    ran = [min(MICRO, max(0, min(hours, one.hours_micro) - n * MICRO)) for n in range(len(one.prices_ucny))]
    meant = [min(MICRO, max(0, one.hours_micro - n * MICRO)) for n in range(len(one.prices_ucny))]
    asked = Fraction(one.gpus * sum(a * h for a, h in zip(one.asks_ucny, ran, strict=True)), MICRO)
    assert asked <= amount <= one.gross_ucny
    if any(one.prices_ucny):
        weight = Fraction(
            sum(p * h for p, h in zip(one.prices_ucny, ran, strict=True)),
            sum(p * h for p, h in zip(one.prices_ucny, meant, strict=True)) or 1,
        )
        share = one.gross_ucny * weight
        assert abs(amount - share) <= Fraction(1, 2) or (amount > share and amount - asked < 1)
    assert metered_gross(one, one.hours_micro) == one.gross_ucny
    assert metered_gross(one, 0) == 0


@pytest.mark.parametrize(
    "gross, share, hours, service, voucher, net",
    [
        (10 * MICRO, 500_000, MICRO, "10.00", "5.00", "5.00"),
        (10 * MICRO, 500_000, MICRO // 4, "2.50", "1.25", "1.25"),
        (10 * MICRO, 500_000, 0, "0.00", "0.00", "0.00"),
        (10_005_000, 500_000, MICRO, "10.00", "5.00", "5.00"),  # 10.005 rounds to the even fen, 5.0025 is cut
        (10_015_000, 500_000, MICRO, "10.02", "5.00", "5.02"),
        (33_400, 300_000, MICRO, "0.03", "0.00", "0.03"),  # a fen would be 30 % of what ran, not of what is invoiced
    ],
)
def test_lines_are_rounded_once_and_vouchers_cut(gross, share, hours, service, voucher, net):
    support = Voucher("k", share_floor(gross, share), share)
    due = bill(award(gross, vouchers=(support,), slack=MICRO), reading(award(gross, vouchers=(support,)), hours))
    assert due is not None
    found = [f"{ucny / MICRO:.2f}" for ucny in (due.service_ucny, due.voucher_ucny, due.net_ucny)]
    assert found == [service, voucher, net]


def test_a_programme_that_pays_whole_yuan_is_cut_to_yuan():
    support = Voucher("k", 5_990_000, 600_000, Rounding.YUAN)
    one = award(9_990_000, vouchers=(support,), slack=MICRO)
    due = bill(one, reading(one, MICRO))
    assert due is not None
    assert (reserved_vouchers(one), due.voucher_ucny, due.net_ucny, due.rounding_ucny) == (
        (5 * MICRO,),
        5 * MICRO,
        4_990_000,
        0,
    )


def test_a_later_voucher_gets_what_the_ceiling_and_the_earlier_one_leave():
    first, second = Voucher("k1", 5 * MICRO, 600_000), Voucher("k2", 3 * MICRO, 500_000)
    one = replace(award(10 * MICRO, vouchers=(first, second), slack=MICRO), ceiling_ppm=800_000)
    whole, half = bill(one, reading(one, MICRO)), bill(one, reading(one, MICRO // 2))
    assert whole is not None
    assert half is not None
    assert whole.vouchers == (("k1", 5 * MICRO), ("k2", 3 * MICRO))
    assert half.vouchers == (("k1", 3 * MICRO), ("k2", MICRO))  # 60 % of 5 yuan, then what 80 % leaves
    assert (whole.net_ucny, half.net_ucny) == (2 * MICRO, MICRO)


def test_the_operator_bears_the_fen_that_would_pass_the_limit():
    support = Voucher("k", 5_009_999, 500_000)
    one = award(10_025_000, vouchers=(support,), transfer=FEN)  # net and limit 5.025001, of which 5.02 can be paid
    due = bill(one, reading(one, MICRO))
    assert due is not None
    assert (due.service_ucny, due.transfer_ucny, due.voucher_ucny) == (10_020_000, FEN, 5_000_000)
    assert (due.net_ucny, due.rounding_ucny) == (5_020_000, FEN)


def test_a_discounted_award_that_stops_early_still_pays_the_ask_of_what_ran():
    one = award(2 * MICRO, slots=2, prices=(MICRO, 3 * MICRO), asks=(MICRO, MICRO))
    assert metered_gross(one, MICRO) == MICRO  # a quarter of the gross amount by price would be half the ask


def test_a_block_that_needs_part_of_its_last_slot_pays_all_when_it_is_done():
    one = award(30 * MICRO, slots=3, hours_micro=2_500_000)
    assert metered_gross(one, 2_500_000) == 30 * MICRO
    assert metered_gross(one, 3_000_000) == 30 * MICRO
    assert metered_gross(one, 1_250_000) == 15 * MICRO


def test_capacity_that_is_free_of_charge_is_weighed_by_hours():
    one = award(0, slots=2, prices=(0, 0))
    assert metered_gross(one, MICRO) == 0


def test_the_transfer_is_due_once_the_job_started_and_only_then():
    one = award(10 * MICRO, transfer=3 * MICRO)
    died = bill(one, reading(one, 0, UsageOutcome.FAILED))
    never = bill(one, reading(one, 0, UsageOutcome.NEVER_STARTED))
    assert died is not None
    assert never is not None
    assert (died.service_ucny, died.transfer_ucny, died.net_ucny) == (0, 3 * MICRO, 3 * MICRO)
    assert (never.service_ucny, never.transfer_ucny, never.net_ucny) == (0, 0, 0)


def test_billing_waits_while_a_centre_is_unseen():
    one = award(10 * MICRO)
    assert bill(one, reading(one, None)) is None


def test_the_reading_of_another_order_is_our_mistake():
    one = award(10 * MICRO)
    with pytest.raises(AssertionError):
        bill(one, reading(award(10 * MICRO, order_id="o2"), MICRO))


@settings(max_examples=100, deadline=None)
@given(rounds())
@example([(award(MICRO), reading(award(MICRO), MICRO))])
def test_the_discount_is_what_the_published_price_is_above_the_metered_amount(made):
    for one, usage in made:
        due = bill(one, usage)
        if due is None:
            continue
        assert due.list_ucny >= due.metered_ucny
        if one.gross_ucny == one.gpus * sum(one.prices_ucny):
            assert due.list_ucny == due.metered_ucny


@pytest.mark.parametrize(
    "change", [{"net_ucny": FEN}, {"service_ucny": 1}, {"vouchers": (("k", -FEN),), "net_ucny": FEN}]
)
def test_a_bill_that_does_not_add_up_cannot_be_made(change):
    good = Bill("o", "e", "c", 0, 0, 0, 0, 0, (), 0, 0)
    with pytest.raises(AssertionError):
        replace(good, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"net_ucny": 9 * MICRO},
        {"limit_ucny": 9 * MICRO},
        {"transfer_ucny": 1, "net_ucny": 10 * MICRO + 1, "limit_ucny": 20 * MICRO},
        {"hours_micro": MICRO + 1},
        {"hours_micro": 0},
        {"asks_ucny": ()},
        {"vouchers": (Voucher("k", 6 * MICRO, 500_000),), "net_ucny": 4 * MICRO},
        {"vouchers": (Voucher("k", 3 * MICRO, 500_000),) * 2, "net_ucny": 4 * MICRO},
        {"vouchers": (Voucher("k", 6 * MICRO, 600_000),), "net_ucny": 4 * MICRO, "ceiling_ppm": 500_000},
    ],
)
def test_an_award_that_the_clearing_cannot_make_is_our_mistake(change):
    with pytest.raises(AssertionError):
        replace(award(10 * MICRO), **change)
