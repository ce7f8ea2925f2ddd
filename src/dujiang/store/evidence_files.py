"""Keys, consents and signed statements on disk; a private key is readable by its owner alone."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey

from dujiang.core.errors import OperationError
from dujiang.core.marked import read_yaml
from dujiang.core.problem import Problem, ProblemList, shown, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.attestation import Consent, Subject
from dujiang.finance.signature import MOST_CHARACTERS, Issuer, Signer, import_key
from dujiang.policy.reader import Reader, one_of
from dujiang.policy.shape import Shape
from dujiang.store.files import json_bytes, write_whole, writing
from dujiang.store.read_book import cannot_open, decode, read_bytes

PRIVATE, PUBLIC = "private-key.json", "public-key.json"
CONSENT = Shape(("enterprise_id", "receiver", "subjects", "purpose", "by", "given", "until"))
_KEY = Text("a key file made by `dujiang evidence keys`", "由 dujiang evidence keys 生成的密钥文件")
_NAME_LONGEST = 200


def write_keys(folder: Path, issuer: str) -> str:
    """Make a key pair in a folder; return its thumbprint. A key that is there is never replaced.

    Raises
    ------
    OperationError : there is a key already, or the disk refuses
    """
    key = OKPKey.generate_key("Ed25519", private=True)
    thumbprint = key.thumbprint()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / PUBLIC).exists():
            raise _there(folder / PUBLIC)
        try:
            # Made with its rights, so that there is no moment in which others could read it.
            handle = os.open(folder / PRIVATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise _there(folder / PRIVATE) from error
        with os.fdopen(handle, "wb") as out:
            out.write(json_bytes({"issuer": issuer, "key": dict(key.as_dict(private=True))}))
            out.flush()
            os.fsync(out.fileno())
    public = {**key.as_dict(private=False), "kid": thumbprint}
    write_whole(folder / PUBLIC, json_bytes({"issuer": issuer, "keys": [public]}))
    return thumbprint


def _there(path: Path) -> OperationError:
    return OperationError(Text(f"{path} is there already; keys are never replaced", f"{path} 已存在，密钥不会被覆盖"))


def read_signer(path: Path, problems: ProblemList) -> Signer | None:
    """Read a private key; one that others could read is refused."""
    document = _document(path, problems)
    if document is None:
        return None
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        expected = Text("a file that its owner alone can read (mode 600)", "仅所有者可读的文件（权限 600）")
        problems.add(Problem("open-key", path.name, None, None, oct(path.stat().st_mode & 0o777), expected))
        return None
    key, name = document.get("key"), document.get("issuer")
    imported = import_key(key, private=True) if isinstance(key, dict) else None
    if imported is None or not _is_name(name):
        problems.add(Problem("bad-key", path.name, None, None, "no private Ed25519 key with its issuer", _KEY))
        return None
    return Signer(str(name), imported)


def read_issuer(path: Path, problems: ProblemList) -> Issuer | None:
    """Read public keys and whose they are."""
    document = _document(path, problems)
    if document is None:
        return None
    listed, name = document.get("keys"), document.get("issuer")
    keys = (
        [import_key(k, private=False) if isinstance(k, dict) else None for k in listed or []]
        if (isinstance(listed, list))
        else []
    )
    if not keys or None in keys or not _is_name(name):
        problems.add(Problem("bad-key", path.name, None, None, "no public Ed25519 keys with their issuer", _KEY))
        return None
    return Issuer(str(name), {key.thumbprint(): key for key in keys if key is not None})


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and len(name) <= _NAME_LONGEST


def _document(path: Path, problems: ProblemList) -> Mapping[str, Any] | None:
    try:
        document = json.loads(read_bytes(path))
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        problems.add(Problem("bad-json", path.name, None, None, "no JSON object", _KEY))
        return None
    return document


def read_statement(path: Path, problems: ProblemList) -> str | None:
    """Read a compact JWS; spaces and line ends around it do not count."""
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    if len(data) > MOST_CHARACTERS:
        expected = Text("a signed statement", "签名文件")
        problems.add(Problem("too-large", path.name, None, None, f"{len(data)} bytes", expected))
        return None
    return data.decode("utf-8", "replace").strip()


def read_consent(path: Path, problems: ProblemList) -> Consent | None:
    """Read a consent file; None if it has problems."""
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    text, found = decode(path.name, data)
    problems.extend(found)
    doc, found = (None, []) if text is None else read_yaml(path.name, text)
    problems.extend(found)
    if doc is None:
        return None
    reader = Reader(doc)
    fields = reader.fields(doc.value, "", CONSENT)
    texts = {name: fields.text(name) for name in ("enterprise_id", "receiver", "purpose", "by")}
    names = fields.names("subjects")
    for name in names:
        if name not in list(Subject):
            fields.reader.note("unknown-word", "subjects", name, one_of(Subject))
    if fields.has("subjects") and not fields.given("subjects"):
        fields.note("bad-value", "subjects", one_of(Subject))
    given, until = fields.day("given"), fields.day("until")
    if given is not None and until is not None and until < given:
        fields.note("bad-date", "until", Text("a day not before `given`", "不早于 given 的日期"))
    if until is not None and until.year > 2200:
        fields.note("bad-date", "until", Text("a day before 2201", "早于 2201 年的日期"))
    problems.extend(sorted_problems(reader.problems))
    if reader.problems or given is None or until is None:
        return None
    enterprise, receiver, purpose, by = (str(texts[n]) for n in ("enterprise_id", "receiver", "purpose", "by"))
    digest = hashlib.sha256(data).hexdigest()
    return Consent(enterprise, receiver, tuple(map(Subject, names)), purpose, by, given, until, digest)


def file_problem(path: Path, code: str, found: str, expected: Text, field: str | None = None) -> Problem:
    """Return a problem of a whole file."""
    return Problem(code, path.name, None, field, shown(found, 120), expected)
