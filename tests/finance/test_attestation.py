"""Attestations in memory: what is signed holds, and everything else is refused with its own reason."""

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from dujiang.finance.attestation import (
    ATTESTATION,
    REFUSAL_WORDS,
    REVOCATIONS,
    Consent,
    Refusal,
    Revocations,
    Subject,
    Verified,
    attest,
    end_of,
    no_consent,
    read_revocations,
    revoke,
    verify,
)
from dujiang.finance.signature import Flaw, Issuer, Signer, believed, import_key, sign

NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)
DAY = timedelta(days=1)
# A fixed key, so that the same run gives the same text.
SEED = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
PUBLIC_X = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
PAIR = {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_X, "d": SEED}
KEY = OKPKey.import_key(PAIR)
OTHER = OKPKey.generate_key("Ed25519", private=True)
SIGNER = Signer("exchange", KEY)


def public(key: OKPKey) -> OKPKey:
    return OKPKey.import_key(key.as_dict(private=False))


ISSUER = Issuer("exchange", {KEY.thumbprint(): public(KEY)})
CONSENT = Consent(
    *("e1", "bank", (Subject.USAGE, Subject.VOUCHERS), "a loan", "director"),
    *(date(2026, 3, 1), date(2026, 6, 30), "00" * 32),
)
EVIDENCE = {
    Subject.USAGE: {"gpu_hours": "12.50"},
    Subject.VOUCHERS: [{"programme_id": "p", "redeemed_cny": "3.00"}],
    Subject.SETTLEMENT: {"charged_cny": "99.00"},
}


def attested(**further) -> str:
    stated = {"consent": CONSENT, "first": NOW, "last": NOW + 90 * DAY} | further
    return attest(SIGNER, stated["consent"], EVIDENCE, {"start": "x"}, NOW, stated["first"], stated["last"])[0]


def judged(token: str, *, receiver: str = "bank", at: datetime = NOW, revocations: str | None = None) -> str:
    found = verify(token, ISSUER, receiver, at, revocations)
    return "holds" if isinstance(found, Verified) else found[0].value


def payload_of(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signed(claims: dict, *, key: OKPKey = KEY, **header) -> str:
    header = {"alg": "Ed25519", "kid": KEY.thumbprint(), "typ": ATTESTATION} | header
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, algorithms=["Ed25519"])


def test_what_was_agreed_to_is_there_and_nothing_else() -> None:
    found = verify(attested(), ISSUER, "bank", NOW, None)
    assert isinstance(found, Verified)
    assert found.claims["evidence"] == {"usage": {"gpu_hours": "12.50"}, "vouchers": EVIDENCE[Subject.VOUCHERS]}
    assert "99.00" not in str(found.claims)
    assert (found.enterprise_id, found.claims["aud"], found.expires) == ("e1", "bank", NOW + 90 * DAY)
    assert found.claims["consent"]["sha256"] == CONSENT.digest


def test_the_same_statement_is_the_same_text_and_another_has_another_id() -> None:
    assert attested() == attested()
    assert payload_of(attested())["jti"] != payload_of(attested(last=NOW + 89 * DAY))["jti"]


def test_time_is_half_open() -> None:
    token = attested(first=NOW + DAY, last=NOW + 3 * DAY)
    second = timedelta(seconds=1)
    assert judged(token, at=NOW + DAY - second) == "not-yet-valid"
    assert judged(token, at=NOW + DAY) == "holds"
    assert judged(token, at=NOW + 3 * DAY - second) == "holds"
    assert judged(token, at=NOW + 3 * DAY) == "expired"


def test_it_is_for_one_receiver() -> None:
    assert judged(attested(), receiver="another") == "re-addressed"
    assert judged(attested(), receiver="Bank") == "re-addressed"
    readdressed = payload_of(attested()) | {"aud": ["bank", "another"]}
    assert judged(signed(readdressed)) == "malformed"


def test_a_forged_one_is_refused() -> None:
    token = attested()
    head, payload, signature = token.split(".")
    richer = json.dumps(payload_of(token) | {"evidence": {"usage": {"gpu_hours": "99999"}}}).encode()
    changed = base64.urlsafe_b64encode(richer).rstrip(b"=").decode()
    assert judged(f"{head}.{changed}.{signature}") == "forged"
    assert judged(signed(payload_of(token), key=OTHER)) == "forged"  # another key under our key's name
    assert judged(f"{head}.{payload}.{'A' * 86}") == "forged"
    assert judged(f"{head}.{payload}.") == "forged"


def test_an_issuer_who_is_not_known_is_refused() -> None:
    token = attested()
    stranger = Signer("exchange", OTHER)
    assert judged(sign(stranger, ATTESTATION, payload_of(token))) == "unknown-issuer"
    assert judged(sign(Signer("another", KEY), ATTESTATION, payload_of(token))) == "unknown-issuer"
    renamed = Issuer("another", ISSUER.keys)
    assert verify(token, renamed, "bank", NOW, None) == (Refusal.ISSUER, f"{token[:24]}…")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "EdDSA", "ES256", "", None, ["Ed25519"], 1])
def test_no_other_algorithm_is_taken_whatever_the_signature(alg) -> None:
    payload = attested().split(".")[1]
    for signature in ("", "AAAA", attested().split(".")[2]):
        head = encoded({"alg": alg, "kid": KEY.thumbprint(), "typ": ATTESTATION})
        assert judged(f"{head}.{payload}.{signature}") == "wrong-algorithm"


def test_the_public_key_as_a_shared_secret_is_no_signature() -> None:
    """The classic confusion: HMAC with the public key, which everybody has."""
    secret = OctKey.import_key(PUBLIC_X)
    header = {"alg": "HS256", "kid": KEY.thumbprint(), "typ": ATTESTATION}
    token = jws.serialize_compact(header, json.dumps(payload_of(attested())).encode(), secret, algorithms=["HS256"])
    assert judged(token) == "wrong-algorithm"


@pytest.mark.parametrize(
    "header",
    [{"jwk": OTHER.as_dict(private=False)}, {"crit": ["exp"]}, {"b64": False}, {"cty": "x"}, {"x5c": ["AAAA"]}],
    ids=lambda header: next(iter(header)),
)
def test_a_header_that_asks_for_more_is_refused(header: dict) -> None:
    parts = attested().split(".")
    head = encoded({"alg": "Ed25519", "kid": KEY.thumbprint(), "typ": ATTESTATION} | header)
    assert judged(f"{head}.{parts[1]}.{parts[2]}") == "malformed"


def test_another_kind_of_statement_is_no_attestation() -> None:
    assert judged(revoke(SIGNER, None, {}, NOW)) == "wrong-kind"
    assert judged(signed(payload_of(attested()), typ="JWT")) == "wrong-kind"
    assert read_revocations(attested(), ISSUER) is Flaw.KIND


@pytest.mark.parametrize(
    "claims",
    [
        *({"aud": None}, {"sub": ""}, {"jti": 3}, {"exp": "soon"}, {"exp": True}, {"exp": 10**30}, {"nbf": -1}),
        *({"nbf": 1.5}, {"evidence": []}, {"origin": None}, {"consent": "yes"}),
    ],
    ids=str,
)
def test_a_signed_statement_that_lacks_something_is_refused(claims: dict) -> None:
    assert judged(signed({**payload_of(attested()), **claims})) == "malformed"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "x" * 300_000, "e30.e30.e30"])
def test_anything_else_is_refused_without_raising(token: str) -> None:
    assert judged(token) in ("malformed", "wrong-algorithm")


def test_one_statement_has_one_spelling() -> None:
    """64 bytes in base64 leave four bits over: 16 texts would decode to the same signature."""
    token = attested()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = letters[letters.index(token[-1]) + 1]
    spelled = [base64.urlsafe_b64decode(f"{token[-86:-1]}{last}==") for last in (token[-1], twin)]
    assert spelled[0] == spelled[1]
    assert judged(token) == "holds"
    assert judged(token[:-1] + twin) == "malformed"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2000), st.sampled_from("ABCDEFGHabcdefgh0123456789-_.="))
def test_no_character_can_be_changed(place: int, other: str) -> None:
    token = attested()
    place %= len(token)
    if token[place] != other:
        assert judged(token[:place] + other + token[place + 1 :]) != "holds"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.binary(max_size=60))
def test_any_text_is_answered(text: str, data: bytes) -> None:
    middle = base64.urlsafe_b64encode(data).decode()
    for token in (text, f"{text}.{middle}.{text}", f"{attested().split('.')[0]}.{middle}.{text}"):
        assert judged(token) != "holds"


def test_a_revoked_one_is_refused_for_ever() -> None:
    token = attested()
    id_ = payload_of(token)["jti"]
    empty = revoke(SIGNER, None, {}, NOW)
    assert judged(token, revocations=empty) == "holds"
    first = read_revocations(empty, ISSUER)
    assert isinstance(first, Revocations)
    second = revoke(SIGNER, first, {id_: "meter was wrong"}, NOW + DAY)
    assert verify(token, ISSUER, "bank", NOW + DAY, second) == (Refusal.REVOKED, "revoked: meter was wrong")
    known = read_revocations(second, ISSUER)
    assert isinstance(known, Revocations)
    third = revoke(SIGNER, known, {id_: "another reason", "ff" * 16: "x"}, NOW + 2 * DAY)
    last = read_revocations(third, ISSUER)
    assert isinstance(last, Revocations)
    assert (last.number, dict(last.ids)) == (3, {id_: "meter was wrong", "ff" * 16: "x"})


def test_a_list_that_proves_nothing_is_refused() -> None:
    token = attested()
    listed = revoke(SIGNER, None, {}, NOW, days=7)
    assert judged(token, at=NOW + 7 * DAY - timedelta(seconds=1), revocations=listed) == "holds"
    assert judged(token, at=NOW + 7 * DAY, revocations=listed) == "revocations-expired"
    for broken in ("", "x", token, revoke(Signer("exchange", OTHER), None, {}, NOW), f"{listed[:-20]}{'A' * 20}"):
        assert judged(token, revocations=broken) == "revocations-not-believed"
    wrong = sign(SIGNER, REVOCATIONS, {"seq": 1, "iat": 1, "exp": 2**32, "revoked": ["x"]})
    assert judged(token, revocations=wrong) == "revocations-not-believed"


@pytest.mark.parametrize(
    "change, field",
    [
        ({"enterprise_id": "e2"}, "enterprise_id"),
        ({"receiver": "another"}, "receiver"),
        ({"given": date(2026, 3, 3)}, "given"),
        ({"until": date(2026, 5, 30)}, "until"),
    ],
)
def test_a_consent_covers_what_it_says(change: dict, field: str) -> None:
    first, last = NOW, NOW + 90 * DAY
    assert no_consent(CONSENT, "e1", "bank", first, last) is None
    found = no_consent(replace(CONSENT, **change), "e1", "bank", first, last)
    assert found is not None
    assert found[0] == field


def test_a_consent_ends_with_its_last_day_in_shanghai() -> None:
    assert end_of(date(2026, 6, 30)) == datetime(2026, 6, 30, 16, tzinfo=UTC)
    end = datetime(2026, 6, 30, 16, tzinfo=UTC)
    assert no_consent(CONSENT, "e1", "bank", NOW, end) is None
    assert no_consent(CONSENT, "e1", "bank", NOW, end + timedelta(seconds=1)) is not None


def test_every_reason_has_words_in_both_languages() -> None:
    assert set(REFUSAL_WORDS) == set(Refusal)
    assert all(words.en and words.zh for words in REFUSAL_WORDS.values())
    assert {flaw.value for flaw in Flaw} <= {refusal.value for refusal in Refusal}


@pytest.mark.parametrize(
    "document",
    [
        *({}, {**PAIR, "crv": "X25519"}, {**PAIR, "kty": "EC"}, {**PAIR, "x": "AAAA"}, {**PAIR, "d": 3}),
        *({k: v for k, v in PAIR.items() if k != "d"}, {**PAIR, "x": OTHER.as_dict(private=False)["x"]}),
    ],
    ids=["nothing", "curve", "type", "short", "number", "public", "another's half"],
)
def test_what_is_no_private_key_is_not_taken(document: dict) -> None:
    assert import_key(document, private=True) is None


def test_a_key_is_taken_without_what_else_stands_in_its_file() -> None:
    key = import_key({**PAIR, "use": "enc", "alg": "none"}, private=False)
    assert key is not None
    assert key.thumbprint() == KEY.thumbprint()
    assert not key.is_private
    assert believed(attested(), Issuer("exchange", {key.thumbprint(): key}), ATTESTATION)
