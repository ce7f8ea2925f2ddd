"""Signed statements as compact JWS with Ed25519 (RFC 7515, RFC 8037, RFC 9864): one algorithm, chosen by us.

What a statement says about how it is to be checked is never believed: another algorithm than ours, and headers that
bring a key of their own or ask for more, are refused before any key is looked at. `EdDSA`, the older name of the
algorithm, is no other name here: RFC 9864 deprecates it. A key is known by its thumbprint (RFC 7638).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
MOST_CHARACTERS = 200_000
"""Of one statement; a revocation list of some thousand entries fits."""
_HEADER = frozenset(("alg", "kid", "typ"))


class Flaw(StrEnum):
    """Why a statement cannot be believed."""

    MALFORMED = "malformed"
    ALGORITHM = "wrong-algorithm"
    KIND = "wrong-kind"
    """It is signed, but states something else than what is asked for."""
    ISSUER = "unknown-issuer"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whoever signs, as others know them: a name and the public keys that are theirs."""

    name: str
    keys: Mapping[str, OKPKey]
    """Thumbprint to public key; more than one while a key is being replaced."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Whoever signs, with the private key."""

    name: str
    key: OKPKey


def import_key(document: Mapping[str, Any], *, private: bool) -> OKPKey | None:
    """Return an Ed25519 key from its JWK; None if it is none, or a public one where a private one is asked for."""
    wanted = ("kty", "crv", "x", "d") if private else ("kty", "crv", "x")
    parts = {name: value for name in wanted if isinstance(value := document.get(name), str)}
    if len(parts) < len(wanted) or (parts["kty"], parts["crv"]) != ("OKP", "Ed25519"):
        return None
    if any(len(_bytes(parts[name]) or b"") != 32 for name in wanted[2:]):
        return None
    try:
        key = OKPKey.import_key({**parts})
        same = OKPKey.import_key({name: parts[name] for name in ("kty", "crv", "x")})
        token = jws.serialize_compact({"alg": ALGORITHM}, b"", key, algorithms=[ALGORITHM]) if private else None
        if token is not None:  # the two halves of a key pair have to belong together
            jws.deserialize_compact(token, same, algorithms=[ALGORITHM])
    except (JoseError, ValueError):
        return None
    return key


def sign(signer: Signer, kind: str, claims: Mapping[str, Any]) -> str:
    """Return claims as a compact JWS; the same claims and key give the same text."""
    header = {"alg": ALGORITHM, "kid": signer.key.thumbprint(), "typ": kind}
    payload = json.dumps({**claims, "iss": signer.name}, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return jws.serialize_compact(header, payload.encode(), signer.key, algorithms=[ALGORITHM])


def believed(token: str, issuer: Issuer, kind: str) -> Mapping[str, Any] | Flaw:
    """Return what a statement claims if the issuer has signed it, else why it cannot be believed.

    Parameters
    ----------
    token : the compact JWS
    issuer : whose statement it has to be
    kind : what it has to state (`typ`)
    """
    parts = token.split(".") if len(token) <= MOST_CHARACTERS else []
    header = _object(_bytes(parts[0])) if len(parts) == 3 else None
    # Base64 has several spellings of the same bytes; one statement shall have one text.
    if header is None or any(_bytes(part) is None for part in parts):
        return Flaw.MALFORMED
    if header.get("alg") != ALGORITHM:
        return Flaw.ALGORITHM
    if set(header) != _HEADER:
        return Flaw.MALFORMED
    key = issuer.keys.get(str(header["kid"]))
    if key is None:
        return Flaw.ISSUER
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[ALGORITHM]).payload
    except (JoseError, ValueError):
        return Flaw.FORGED
    claims = _object(payload)
    if claims is None:
        return Flaw.MALFORMED
    if header["typ"] != kind:
        return Flaw.KIND
    return claims if claims.get("iss") == issuer.name else Flaw.ISSUER


def _bytes(part: str) -> bytes | None:
    """Decode base64url without padding; None if it is none, or not spelled the one way."""
    try:
        data = base64.urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
    except (ValueError, binascii.Error):
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == part.encode("ascii") else None


def _object(data: bytes | None) -> dict[str, Any] | None:
    """Parse a JSON object in which every name stands once."""
    try:
        value = json.loads(data or b"", object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found
