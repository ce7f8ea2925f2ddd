"""Evidence that travels: what the exchange knows of an enterprise, for one receiver, with its consent, for a time.

An attestation is a signed JSON Web Token (RFC 7519): `iss` the exchange, `sub` the enterprise, `aud` the one receiver,
`iat`, `nbf`, `exp`, `jti`, and under `evidence` what the enterprise has agreed to show. Whoever has the exchange's
public key can check it; whoever it was not written for is told that it is not theirs. What was revoked stands in a list
that the exchange signs anew at intervals; a list beyond its date proves nothing, or an old one could be shown for ever.

The names of the verifiable credentials data model are not used: its context is a web address in every credential.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text
from dujiang.finance.signature import Flaw, Issuer, Signer, believed, sign

ATTESTATION = "dujiang-attestation+jwt"
REVOCATIONS = "dujiang-revocations+jwt"
MOST_DAYS = 366
"""Longest validity of an attestation."""
LIST_DAYS = 7
"""How long a list of revocations holds unless said otherwise."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S = 2**33
"""Some day of the year 2242."""


class Subject(StrEnum):
    """What an enterprise may agree to show."""

    USAGE = "usage"
    """Metered hours and outcomes of its jobs."""
    VOUCHERS = "vouchers"
    """What programmes paid for it."""
    SETTLEMENT = "settlement"
    """What it was charged for metered use."""
    MILESTONES = "milestones"
    """Milestones of its funding that were verified."""


class Refusal(StrEnum):
    """Why an attestation is refused."""

    MALFORMED = "malformed"
    ALGORITHM = "wrong-algorithm"
    KIND = "wrong-kind"
    ISSUER = "unknown-issuer"
    FORGED = "forged"
    RE_ADDRESSED = "re-addressed"
    NOT_YET = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    LIST_BROKEN = "revocations-not-believed"
    LIST_EXPIRED = "revocations-expired"


REFUSAL_WORDS: Mapping[Refusal, Text] = {
    Refusal.MALFORMED: Text("a signed attestation in its one spelling", "格式正确的签名证明"),
    Refusal.ALGORITHM: Text("a signature with Ed25519", "Ed25519 签名"),
    Refusal.KIND: Text("an attestation", "证明（而非其他签名文件）"),
    Refusal.ISSUER: Text("a key and a name of the issuer that is trusted here", "受信任签发方的密钥与名称"),
    Refusal.FORGED: Text("a signature of the issuer over exactly this text", "签发方对原文的签名"),
    Refusal.RE_ADDRESSED: Text("an attestation for this receiver", "以本接收方为对象的证明"),
    Refusal.NOT_YET: Text("a validity that has begun", "已生效的证明"),
    Refusal.EXPIRED: Text("a validity that is not over", "未过期的证明"),
    Refusal.REVOKED: Text("an attestation that was not revoked", "未被撤销的证明"),
    Refusal.LIST_BROKEN: Text("a list of revocations signed by the same issuer", "同一签发方签名的撤销清单"),
    Refusal.LIST_EXPIRED: Text("a list of revocations of these days", "仍在有效期内的撤销清单"),
}


@dataclass(frozen=True, slots=True)
class Consent:
    """What an enterprise has agreed to."""

    enterprise_id: str
    receiver: str
    subjects: tuple[Subject, ...]
    purpose: str
    by: str
    """Who agreed for the enterprise."""
    given: date
    until: date
    """Last day, in Shanghai, on which an attestation may still be valid."""
    digest: str
    """SHA-256 of the consent as it was handed in."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """What an issuer has revoked so far."""

    number: int
    """Rises with each list."""
    issued: datetime
    until: datetime
    """When the next list is due."""
    ids: Mapping[str, str]
    """Attestation to why."""


@dataclass(frozen=True, slots=True)
class Verified:
    """An attestation that holds."""

    id: str
    enterprise_id: str
    claims: Mapping[str, Any]
    expires: datetime


def no_consent(
    consent: Consent, enterprise_id: str, receiver: str, first: datetime, last: datetime
) -> tuple[str, Text] | None:
    """Return the field of a consent that does not cover an attestation, and what it would have to say."""
    if consent.enterprise_id != enterprise_id:
        return "enterprise_id", Text(f"the enterprise {enterprise_id}", f"企业 {enterprise_id}")
    if consent.receiver != receiver:
        return "receiver", Text(f"the receiver {receiver}", f"接收方 {receiver}")
    if first.astimezone(SHANGHAI).date() < consent.given:
        return "given", Text("a day not after the attestation begins", "不晚于证明生效日的日期")
    if last > end_of(consent.until):
        return "until", Text("a day not before the attestation ends", "不早于证明到期日的日期")
    return None


def end_of(day: date) -> datetime:
    """Return the instant at which a civil day in Shanghai is over."""
    return datetime.combine(day, time(), SHANGHAI) + timedelta(days=1)


def attest(
    signer: Signer,
    consent: Consent,
    evidence: Mapping[Subject, Any],
    origin: Mapping[str, Any],
    issued: datetime,
    first: datetime,
    last: datetime,
) -> tuple[str, str]:
    """Sign what a consent covers, and no more.

    Parameters
    ----------
    signer : the exchange
    consent : has been found to cover it
    evidence : all that is known, by subject; what was not agreed to is left out
    origin : the round that it is about, and digests of its files
    issued, first, last : instants, aware; valid from `first` up to before `last`

    Returns
    -------
    the attestation, and its id
    """
    assert no_consent(consent, consent.enterprise_id, consent.receiver, first, last) is None
    claims = {
        "iss": signer.name,
        "sub": consent.enterprise_id,
        "aud": consent.receiver,
        "iat": int(issued.timestamp()),
        "nbf": int(first.timestamp()),
        "exp": int(last.timestamp()),
        "evidence": {s.value: evidence[s] for s in Subject if s in consent.subjects and s in evidence},
        "origin": origin,
        "consent": {
            "sha256": consent.digest,
            "purpose": consent.purpose,
            "by": consent.by,
            "given": consent.given.isoformat(),
        },
    }
    text = json.dumps(claims, ensure_ascii=False, sort_keys=True, allow_nan=False)
    id_ = hashlib.sha256(text.encode()).hexdigest()[:32]
    return sign(signer, ATTESTATION, {**claims, "jti": id_}), id_


def verify(
    token: str, issuer: Issuer, receiver: str, at: datetime, revocations: str | None
) -> Verified | tuple[Refusal, str]:
    """Check an attestation with nothing but public things.

    Parameters
    ----------
    token : the attestation
    issuer : whom the receiver trusts
    receiver : who has been handed it
    at : the instant for which it has to hold, aware
    revocations : the issuer's signed list; None: not asked, which the caller has to say

    Returns
    -------
    what it says; or why it is refused, and what was found
    """
    claims = believed(token, issuer, ATTESTATION)
    if isinstance(claims, Flaw):
        return Refusal(claims.value), _seen(token)
    if not _is_whole(claims):
        return Refusal.MALFORMED, "a claim that is missing or of another type"
    if claims["aud"] != receiver:
        return Refusal.RE_ADDRESSED, f"one for {claims['aud']}"
    first, last = (_instant(claims[name]) for name in ("nbf", "exp"))
    if at < first:
        return Refusal.NOT_YET, f"valid from {first.isoformat()}"
    if at >= last:
        return Refusal.EXPIRED, f"expired at {last.isoformat()}"
    if revocations is not None:
        known = read_revocations(revocations, issuer)
        if isinstance(known, Flaw):
            return Refusal.LIST_BROKEN, f"a list that is {known.value}"
        if at >= known.until:
            return Refusal.LIST_EXPIRED, f"one that held until {known.until.isoformat()}"
        if claims["jti"] in known.ids:
            return Refusal.REVOKED, f"revoked: {known.ids[claims['jti']]}"
    return Verified(claims["jti"], claims["sub"], claims, last)


def revoke(
    signer: Signer, known: Revocations | None, ids: Mapping[str, str], issued: datetime, days: int = LIST_DAYS
) -> str:
    """Sign the next list: what was revoked stays so.

    Parameters
    ----------
    signer : the exchange
    known : its last list; None: this is the first
    ids : attestations that are revoked now, and why; none: the list is only renewed
    issued : aware instant
    days : for how long it holds
    """
    before = {} if known is None else dict(known.ids)
    claims = {
        "iss": signer.name,
        "seq": 1 if known is None else known.number + 1,
        "iat": int(issued.timestamp()),
        "exp": int((issued + timedelta(days=days)).timestamp()),
        "revoked": {**ids, **before},
    }
    return sign(signer, REVOCATIONS, claims)


def read_revocations(token: str, issuer: Issuer) -> Revocations | Flaw:
    """Return a list if the issuer has signed it."""
    claims = believed(token, issuer, REVOCATIONS)
    if isinstance(claims, Flaw):
        return claims
    ids, number = claims.get("revoked"), claims.get("seq")
    if not isinstance(ids, dict) or not all(isinstance(why, str) for why in ids.values()):
        return Flaw.MALFORMED
    if not _is_second(number) or not _is_second(claims.get("iat")) or not _is_second(claims.get("exp")):
        return Flaw.MALFORMED
    assert isinstance(number, int)
    return Revocations(number, _instant(claims["iat"]), _instant(claims["exp"]), ids)


def _is_whole(claims: Mapping[str, Any]) -> bool:
    """Return whether an attestation has every claim that it needs, of its type."""
    texts = (claims.get(name) for name in ("sub", "aud", "jti"))
    times = (claims.get(name) for name in ("iat", "nbf", "exp"))
    parts = (claims.get(name) for name in ("evidence", "origin", "consent"))
    return (
        all(isinstance(text, str) and text for text in texts)
        and all(map(_is_second, times))
        and all(isinstance(part, dict) for part in parts)
    )


def _is_second(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LATEST_S


def _instant(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


def _seen(token: str) -> str:
    return f"{token[:24]}…" if len(token) > 24 else token
