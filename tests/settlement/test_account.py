import regex
from beancount.core import account as beancount_account
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dujiang.settlement import account


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=12))
@example("gz-a100_1")
@example("甲公司#1:北京")
@example("X")
@example("xX-")
@example("-2d-")
@example("\ud800")
def test_any_id_comes_back_from_its_component(name):
    text = account.component(name)
    assert account.component_id(text) == name
    assert regex.fullmatch(r"[A-Z0-9][A-Za-z0-9\u4e00-\u9fff-]*", text)


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_every_account_is_valid_in_beancount(one, two):
    for name in (
        account.enterprise(one),
        account.enterprise_reserved(one),
        account.programme(one),
        account.programme_available(one),
        account.programme_reserved(one),
        account.centre(one),
        account.cap_left(one, two),
        account.cap_used(one, two),
        account.CARRIER,
        account.ROUNDING,
    ):
        assert beancount_account.is_valid(name), name


def test_a_plain_id_stays_readable():
    assert account.component("A100") == "A100"
    assert account.component("gz-a100") == "Xgz--a100"
    assert account.component("甲") == "X甲"
    assert account.component("a_b") == "Xa-5f-b"


def test_an_id_cannot_make_its_account_guarded():
    for name in ("Available", "Reserved", "Left", "a:Reserved"):
        assert not account.is_guarded(account.enterprise(name))
        assert not account.is_guarded(account.programme(name))
        assert not account.is_guarded(account.centre(name))
        assert not account.is_guarded(account.cap_used(name, name))
    assert account.is_guarded(account.programme_available("k"))
    assert account.is_guarded(account.programme_reserved("k"))
    assert account.is_guarded(account.enterprise_reserved("e"))
    assert account.is_guarded(account.cap_left("k", "e"))
