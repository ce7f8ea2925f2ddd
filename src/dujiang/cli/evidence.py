"""`dujiang evidence`: attestations for one receiver, with consent, expiry and revocation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.problem import ProblemList
from dujiang.core.slots import SHANGHAI, instant_text, parse_instant
from dujiang.core.text import Text
from dujiang.exchange.evidence import known_of, milestones_of
from dujiang.finance.attestation import (
    LIST_DAYS,
    MOST_DAYS,
    REFUSAL_WORDS,
    Subject,
    Verified,
    attest,
    no_consent,
    read_revocations,
    revoke,
    verify,
)
from dujiang.finance.signature import Flaw, Issuer
from dujiang.store.evidence_files import (
    PRIVATE,
    PUBLIC,
    file_problem,
    read_consent,
    read_issuer,
    read_signer,
    read_statement,
    write_keys,
)
from dujiang.store.files import write_whole, writing

_NOT_ASKED = Text("revocation was not asked: it may have been revoked", "未查询撤销清单：证明可能已被撤销")


def _instant(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Take an instant with its time zone."""
    instant = None if value is None else parse_instant(value)
    if value is not None and instant is None:
        raise click.BadParameter("an instant such as 2026-03-02T10:00:00+08:00")
    return instant


@click.group("evidence")
def command() -> None:
    """Signed evidence of metered use, redeemed vouchers and settled charges, that others can check."""


@command.command("keys")
@click.option("--issuer", required=True, help="Name under which the exchange is known.")
@click.option("--out", type=FOLDER, required=True, help=f"Folder for {PRIVATE} and {PUBLIC}.")
@JSON
@click.pass_obj
def keys_command(output: Output, issuer: str, out: Path, as_json: bool) -> None:
    """Make a key pair: the private one signs, the public one is for everybody who checks."""
    output.json = as_json
    if not issuer.strip() or len(issuer) > 200:
        raise click.BadParameter("a name of at most 200 characters", param_hint="--issuer")
    thumbprint = write_keys(out, issuer)
    if as_json:
        output.document({"ok": True, "issuer": issuer, "kid": thumbprint, "private": PRIVATE, "public": PUBLIC})
    output.line(
        Text(
            f"key {thumbprint} of {issuer}: {PRIVATE} stays with you, {PUBLIC} is for whoever checks",
            f"{issuer} 的密钥 {thumbprint}：{PRIVATE} 自行保管，{PUBLIC} 供核验方使用",
        )
    )


@command.command("issue")
@click.argument("run", type=FOLDER)
@click.option("--enterprise", required=True, help="Whom it is about.")
@click.option("--to", "receiver", required=True, help="The one receiver that it is for.")
@click.option("--consent", type=FOLDER, required=True, help="YAML file in which the enterprise agrees.")
@click.option("--agreement", type=FOLDER, help="File of `dujiang risk milestones`, to attest milestones too.")
@click.option("--key", type=FOLDER, required=True, help="Private key of the exchange.")
@click.option("--out", type=FOLDER, required=True, help="File for the attestation.")
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=90, show_default=True, help="How long it holds.")
@click.option("--valid-from", callback=_instant, help="Instant from which it holds, not before now; default: now.")
@JSON
@click.pass_obj
def issue_command(
    output: Output,
    run: Path,
    enterprise: str,
    receiver: str,
    consent: Path,
    agreement: Path | None,
    key: Path,
    out: Path,
    days: int,
    valid_from: datetime | None,
    as_json: bool,
) -> None:
    """Attest what a finished run proves about an enterprise, as far as it has agreed."""
    output.json = as_json
    now = datetime.now(UTC).replace(microsecond=0)
    first = now if valid_from is None else valid_from
    if first < now or first > now + timedelta(days=MOST_DAYS):
        raise click.BadParameter(f"from now to {MOST_DAYS} days on", param_hint="--valid-from")
    last = first + timedelta(days=days)
    problems = ProblemList()
    signer, agreed = read_signer(key, problems), read_consent(consent, problems)
    if agreed is not None:
        lacking = no_consent(agreed, enterprise, receiver, first, last)
        if lacking is not None:
            field, expected = lacking
            found = getattr(agreed, field)
            problems.add(file_problem(consent, "no-consent", str(found), expected, field))
        if Subject.MILESTONES in agreed.subjects and agreement is None:
            expected = Text("--agreement, or a consent without milestones", "--agreement，或不含 milestones 的授权")
            problems.add(file_problem(consent, "no-agreement", "milestones", expected, "subjects"))
    if problems:
        raise InputError(problems)
    assert signer is not None
    assert agreed is not None
    known = known_of(run, enterprise)
    evidence = dict(known.evidence)
    if agreement is not None:
        evidence[Subject.MILESTONES] = milestones_of(agreement, enterprise, now.astimezone(SHANGHAI).date())
    token, id_ = attest(signer, agreed, evidence, known.origin, now, first, last)
    write_whole(out, f"{token}\n".encode())
    if as_json:
        document = {"ok": True, "id": id_, "to": receiver, "from": instant_text(first), "until": instant_text(last)}
        output.document({**document, "subjects": [s.value for s in agreed.subjects]})
    said = ", ".join(agreed.subjects)
    output.line(
        Text(
            f"attestation {id_} for {receiver} until {instant_text(last)}: {said}; written to {out}",
            f"证明 {id_}，接收方 {receiver}，有效至 {instant_text(last)}：{said}；已写入 {out}",
        )
    )


@command.command("verify")
@click.argument("attestation", type=FOLDER)
@click.option("--key", type=FOLDER, required=True, help="Public key of the exchange.")
@click.option("--as", "receiver", required=True, help="Your name: whom it has to be for.")
@click.option("--revocations", type=FOLDER, help="The exchange's signed list of revocations.")
@click.option("--without-revocations", is_flag=True, help="Do without the list; the answer says so.")
@click.option("--at", callback=_instant, help="Instant for which it has to hold; default: now.")
@JSON
@click.pass_obj
def verify_command(
    output: Output,
    attestation: Path,
    key: Path,
    receiver: str,
    revocations: Path | None,
    without_revocations: bool,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Check an attestation with the exchange's public key alone. A refusal says why, with exit code 1."""
    output.json = as_json
    if (revocations is None) != without_revocations:
        raise click.UsageError("name --revocations or ask --without-revocations, not both")
    problems = ProblemList()
    issuer, token = read_issuer(key, problems), read_statement(attestation, problems)
    listed = None if revocations is None else read_statement(revocations, problems)
    if problems:
        raise InputError(problems)
    assert issuer is not None
    assert token is not None
    found = verify(token, issuer, receiver, at or datetime.now(UTC), listed)
    if not isinstance(found, Verified):
        refusal, seen = found
        path = revocations if revocations is not None and refusal.value.startswith("revocations") else attestation
        raise InputError([file_problem(path, refusal.value, seen, REFUSAL_WORDS[refusal])])
    if as_json:
        asked = "not asked" if listed is None else "not revoked"
        document = {"ok": True, "id": found.id, "issuer": issuer.name, "enterprise_id": found.enterprise_id}
        shown = {"expires": instant_text(found.expires), "revocation": asked, "claims": dict(found.claims)}
        output.document({**document, **shown})
        return
    _show(output, issuer, found)
    if listed is None:
        output.line(_NOT_ASKED)


def _show(output: Output, issuer: Issuer, found: Verified) -> None:
    until = instant_text(found.expires)
    output.line(
        Text(
            f"holds: {issuer.name} attests about {found.enterprise_id}, until {until} ({found.id})",
            f"有效：{issuer.name} 就 {found.enterprise_id} 出具，至 {until}（{found.id}）",
        )
    )
    for subject, stated in found.claims["evidence"].items():
        for name, value in _flat(stated, subject):
            output.line(f"  {name}: {value}")
    origin, consent = found.claims["origin"], found.claims["consent"]
    output.line(
        Text(
            f"from the round of {origin.get('start')}; the enterprise agreed for: {consent.get('purpose')}",
            f"来自 {origin.get('start')} 轮次；企业授权用途：{consent.get('purpose')}",
        )
    )


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    """Return nested values as names with dots and text."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{name}.{key}")]
    if isinstance(value, list):
        return [pair for n, inner in enumerate(value) for pair in _flat(inner, f"{name}.{n}")]
    return [(name, str(value))]


@command.command("revoke")
@click.argument("attestations", nargs=-1)
@click.option("--list", "listed", type=FOLDER, required=True, help="The list of revocations; made if there is none.")
@click.option("--key", type=FOLDER, required=True, help="Private key of the exchange.")
@click.option("--why", default="", help="Why; needed when an attestation is named.")
@click.option(
    "--days", type=click.IntRange(1, MOST_DAYS), default=LIST_DAYS, show_default=True, help="How long the list holds."
)
@JSON
@click.pass_obj
def revoke_command(
    output: Output, attestations: tuple[str, ...], listed: Path, key: Path, why: str, days: int, as_json: bool
) -> None:
    """Sign the next list of revocations, with these ids of attestations on it; without any, renew it."""
    output.json = as_json
    if attestations and not why.strip():
        raise click.UsageError("say --why")
    if wrong := [a for a in attestations if len(a) != 32 or set(a) - set("0123456789abcdef")]:
        raise click.BadParameter(f"{wrong[0]} is no id of an attestation (32 hexadecimal digits)")
    problems = ProblemList()
    signer = read_signer(key, problems)
    with writing(listed):
        is_there = listed.exists() or listed.is_symlink()
    before = read_statement(listed, problems) if is_there else None
    if problems:
        raise InputError(problems)
    assert signer is not None
    known = None
    if before is not None:
        issuer = Issuer(signer.name, {signer.key.thumbprint(): signer.key})
        read = read_revocations(before, issuer)
        if isinstance(read, Flaw):
            expected = Text("a list of revocations signed with this key", "由该密钥签名的撤销清单")
            raise InputError([file_problem(listed, "revocations-not-believed", f"a list that is {read}", expected)])
        known = read
    now = datetime.now(UTC)
    token = revoke(signer, known, dict.fromkeys(attestations, why.strip()), now, days)
    write_whole(listed, f"{token}\n".encode())
    number = 1 if known is None else known.number + 1
    count = len({*attestations, *(known.ids if known is not None else ())})
    if as_json:
        output.document({"ok": True, "number": number, "revoked": count})
    output.line(
        Text(
            f"list {number}: {count} revoked, holds for {days} days; written to {listed}",
            f"第 {number} 期清单：共撤销 {count} 份，有效 {days} 天；已写入 {listed}",
        )
    )
