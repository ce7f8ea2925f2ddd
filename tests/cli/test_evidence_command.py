"""`dujiang evidence` on a round that really ran: from its folder to a receiver who has the public key alone."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

from books import Ended, dujiang, write_tiny
from dujiang.core.problem import ProblemList
from dujiang.store.evidence_files import read_consent

RECEIVER = "某银行深圳分行"
CONSENT = """\
enterprise_id: e1
receiver: 某银行深圳分行
subjects: [usage, vouchers, settlement]
purpose: 流动资金贷款
by: 法定代表人
given: 2020-01-01
until: 2199-12-31
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a settled run, keys, a consent, an attestation and a list of revocations."""
    place = tmp_path_factory.mktemp("evidence")
    book = write_tiny(place / "book")
    assert dujiang("run", book, "--out", place / "run", "--speedup", "1000000").code == 0
    assert dujiang("evidence", "keys", "--issuer", "exchange", "--out", place / "keys").code == 0
    (place / "consent.yaml").write_text(CONSENT, encoding="utf-8")
    assert issued(place).code == 0
    assert revoked(place).code == 0
    return place


@pytest.fixture
def place(ran: Path, tmp_path: Path) -> Path:
    copytree(ran, tmp_path, dirs_exist_ok=True)
    return tmp_path


def issued(place: Path, *more: str | Path, to: str = RECEIVER, enterprise: str = "e1") -> Ended:
    files = ("--consent", place / "consent.yaml", "--key", place / "keys/private-key.json", "--out", place / "a.jwt")
    whom = ("--enterprise", enterprise, "--to", to)
    return dujiang("evidence", "issue", place / "run", *whom, *files, "--json", *more)


def revoked(place: Path, *more: str) -> Ended:
    files = ("--list", place / "list.jwt", "--key", place / "keys/private-key.json")
    return dujiang("evidence", "revoke", *files, "--json", *more)


def verified(place: Path, *more: str | Path, receiver: str = RECEIVER, key: str = "keys") -> Ended:
    files = ("--key", place / key / "public-key.json", "--revocations", place / "list.jwt")
    return dujiang("evidence", "verify", place / "a.jwt", "--as", receiver, *files, "--json", *more)


def reason(ended: Ended) -> str:
    assert ended.code == 1, ended
    (problem,) = ended.document["problems"]
    assert problem["expected"]
    assert problem["expected_zh"]
    return problem["code"]


def test_the_sums_are_those_of_the_run(place: Path) -> None:
    ended = verified(place)
    assert ended.code == 0, ended
    evidence = ended.document["claims"]["evidence"]
    usage = pl.read_parquet(place / "run/usage.parquet").filter(pl.col("enterprise_id") == "e1")
    awards = pl.read_parquet(place / "run/awards.parquet").filter(pl.col("enterprise_id") == "e1")
    assert awards.height > 0
    assert evidence["usage"]["awards"] == awards.height
    assert float(evidence["usage"]["gpu_hours"]) == usage["gpu_hours_micro"].sum() / 10**6 > 0
    paid = sum(float(v["redeemed_cny"]) for v in evidence["vouchers"])
    assert paid == pytest.approx(awards["voucher_ucny"].sum() / 10**6, abs=0.02 * awards.height)
    assert [v["programme_id"] for v in evidence["vouchers"]] == sorted(set(awards["programme_id"].drop_nulls()))
    assert float(evidence["settlement"]["charged_cny"]) == pytest.approx(
        awards["net_ucny"].sum() / 10**6, abs=0.02 * awards.height
    )
    assert evidence["settlement"]["still_reserved_cny"] == "0.00"
    assert ended.document["revocation"] == "not revoked"
    # No order and no pool leaves the exchange.
    told = str(ended.document["claims"])
    assert not [name for name in ("o1", "bj-a", "qy-a", "e2") if f"'{name}'" in told]


def test_what_is_not_settled_yet_is_said(place: Path) -> None:
    ledger = pl.read_parquet(place / "run/ledger.parquet")
    ledger.filter(pl.col("kind").is_in(["open", "reserve"])).write_parquet(place / "run/ledger.parquet")
    assert issued(place).code == 0
    evidence = verified(place).document["claims"]["evidence"]
    awards = pl.read_parquet(place / "run/awards.parquet").filter(pl.col("enterprise_id") == "e1")
    assert evidence["vouchers"] == []
    assert (evidence["settlement"]["awards_charged"], evidence["settlement"]["charged_cny"]) == (0, "0.00")
    reserved = float(evidence["settlement"]["still_reserved_cny"])
    assert reserved == pytest.approx(awards["net_ucny"].sum() / 10**6, abs=0.02 * awards.height)


def test_each_refusal_has_its_reason(place: Path) -> None:
    assert reason(verified(place, receiver="another")) == "re-addressed"
    assert reason(verified(place, "--at", "2020-01-01T00:00:00Z")) == "not-yet-valid"
    later = (datetime.now(UTC) + timedelta(days=91)).isoformat()
    assert reason(verified(place, "--at", later)) == "expired"
    stale = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    assert reason(verified(place, "--at", stale)) == "revocations-expired"
    assert dujiang("evidence", "keys", "--issuer", "exchange", "--out", place / "others").code == 0
    assert reason(verified(place, key="others")) == "unknown-issuer"
    token = (place / "a.jwt").read_text()
    (place / "a.jwt").write_text(token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:])
    assert reason(verified(place)) == "forged"
    (place / "a.jwt").write_text("no statement")
    assert reason(verified(place)) == "malformed"
    (place / "a.jwt").write_text(token)
    (place / "list.jwt").write_text(token)
    assert reason(verified(place)) == "revocations-not-believed"


def test_a_revoked_attestation_is_refused(place: Path) -> None:
    id_ = verified(place).document["id"]
    assert revoked(place, id_, "--why", "meter was wrong").document["revoked"] == 1
    assert reason(verified(place)) == "revoked"
    renewed = revoked(place).document
    assert (renewed["number"], renewed["revoked"]) == (3, 1)
    assert reason(verified(place)) == "revoked"
    (place / "list.jwt").write_text("x")
    assert reason(revoked(place, id_, "--why", "again")) == "revocations-not-believed"


def test_without_the_list_it_is_said(place: Path) -> None:
    bare = ("evidence", "verify", place / "a.jwt", "--as", RECEIVER, "--key", place / "keys/public-key.json")
    assert dujiang(*bare).code == 2
    assert verified(place, "--without-revocations").code == 2
    assert dujiang(*bare, "--without-revocations", "--json").document["revocation"] == "not asked"
    assert "may have been revoked" in dujiang(*bare, "--without-revocations").out
    assert "未查询撤销清单" in dujiang("--lang", "zh", *bare, "--without-revocations").out


def test_nothing_is_issued_beyond_the_consent(place: Path) -> None:
    (place / "a.jwt").unlink()
    assert reason(issued(place, to="another")) == "no-consent"
    assert reason(issued(place, enterprise="e2")) == "no-consent"
    for old, new, field in (
        ("until: 2199-12-31", f"until: {datetime.now(UTC).date() + timedelta(days=60)}", "until"),
        ("given: 2020-01-01", "given: 2198-01-01", "given"),
    ):
        (place / "consent.yaml").write_text(CONSENT.replace(old, new), encoding="utf-8")
        ended = issued(place)
        assert (reason(ended), ended.document["problems"][0]["field"]) == ("no-consent", field)
    assert not (place / "a.jwt").exists()
    (place / "consent.yaml").write_text(CONSENT.replace("[usage, vouchers, settlement]", "[usage]"), encoding="utf-8")
    assert issued(place, "--days", "10").code == 0
    assert set(verified(place).document["claims"]["evidence"]) == {"usage"}


def test_milestones_come_from_an_agreement_with_the_same_enterprise(place: Path) -> None:
    agreed = CONSENT.replace("[usage, vouchers, settlement]", "[milestones]")
    (place / "consent.yaml").write_text(agreed, encoding="utf-8")
    path = place / "agreement.yaml"
    text = (Path(__file__).parents[2] / "examples/risk/milestones.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert reason(issued(place)) == "no-agreement"
    assert reason(issued(place, "--agreement", path)) == "no-such-enterprise"
    path.write_text(text.replace("某智能检测科技有限公司", "e1"), encoding="utf-8")
    assert issued(place, "--agreement", path).code == 0
    found = verified(place).document["claims"]["evidence"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    told = {"agreement": "inspection-model", "agreed": 3, "met": ["dataset"], "fault": False, "file_sha256": digest}
    assert found == {"milestones": told}
    path.write_text("id: 1", encoding="utf-8")
    assert issued(place, "--agreement", path).code == 1


def test_the_example_consent_is_one() -> None:
    problems = ProblemList()
    consent = read_consent(Path(__file__).parents[2] / "examples/evidence/consent.yaml", problems)
    assert consent is not None
    assert (consent.enterprise_id, len(consent.subjects)) == ("e0018", 3)


@pytest.mark.parametrize(
    "old, new, code",
    [
        ("[usage, vouchers, settlement]", "[usage, salary]", "unknown-word"),
        ("[usage, vouchers, settlement]", "[]", "bad-value"),
        ("[usage, vouchers, settlement]", "null", "bad-value"),
        ("given: 2020-01-01", "given: yesterday", "bad-date"),
        ("until: 2199-12-31", "until: 2019-01-01", "bad-date"),
        ("until: 2199-12-31", "until: 9999-12-31", "bad-date"),
        ("by: 法定代表人\n", "", "missing-field"),
        ("by: 法定代表人", "by: 法定代表人\nexcept: all", "unknown-field"),
    ],
)
def test_a_mistake_in_a_consent_is_named(place: Path, old: str, new: str, code: str) -> None:
    assert CONSENT.count(old) == 1
    (place / "consent.yaml").write_text(CONSENT.replace(old, new), encoding="utf-8")
    assert code in {p["code"] for p in issued(place).document["problems"]}


def test_what_is_no_finished_run_attests_nothing(place: Path) -> None:
    (place / "consent.yaml").write_text(CONSENT.replace("e1", "e9"), encoding="utf-8")
    assert reason(issued(place, enterprise="e9")) == "no-such-enterprise"
    (place / "consent.yaml").write_text(CONSENT, encoding="utf-8")
    (place / "run/ledger.parquet").write_bytes(b"no table")
    (place / "run/summary.json").write_text("[]")
    assert {p["code"] for p in issued(place).document["problems"]} == {"bad-parquet", "not-a-run"}
    pl.DataFrame({"order_id": ["o1"]}).write_parquet(place / "run/ledger.parquet")
    (place / "run/usage.parquet").unlink()
    assert {p["code"] for p in issued(place).document["problems"]} == {"bad-schema", "not-a-run", "unreadable"}


def test_it_can_begin_later_and_never_earlier(place: Path) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert issued(place, "--valid-from", tomorrow.isoformat()).code == 0
    assert reason(verified(place)) == "not-yet-valid"
    assert verified(place, "--at", (tomorrow + timedelta(hours=1)).isoformat()).code == 0
    assert issued(place, "--valid-from", "2020-01-01T00:00:00Z").code == 2
    assert issued(place, "--valid-from", "tomorrow").code == 2
    assert issued(place, "--days", "10000").code == 2


def test_keys_are_the_owners_alone_and_never_replaced(place: Path) -> None:
    private = place / "keys/private-key.json"
    assert private.stat().st_mode & 0o777 == 0o600
    before = private.read_bytes()
    assert dujiang("evidence", "keys", "--issuer", "exchange", "--out", place / "keys").code == 3
    assert private.read_bytes() == before
    (place / "keys/public-key.json").rename(place / "moved.json")
    assert dujiang("evidence", "keys", "--issuer", "exchange", "--out", place / "keys").code == 3
    assert private.read_bytes() == before
    (place / "moved.json").rename(place / "keys/public-key.json")
    private.chmod(0o644)
    assert reason(issued(place)) == "open-key"
    private.chmod(0o600)
    private.write_text((place / "keys/public-key.json").read_text())
    assert reason(issued(place)) == "bad-key"
    private.write_text("[")
    assert reason(issued(place)) == "bad-json"
    private.unlink()
    assert reason(issued(place)) == "unreadable"
    (place / "keys/public-key.json").write_text('{"issuer": "x", "keys": []}')
    assert reason(verified(place)) == "bad-key"


def test_wrong_usage(place: Path) -> None:
    assert dujiang("evidence", "keys", "--issuer", " ", "--out", place / "k2").code == 2
    assert revoked(place, "no-id", "--why", "x").code == 2
    assert revoked(place, "00" * 16).code == 2
    assert dujiang("evidence", "verify").code == 2


@pytest.mark.parametrize(
    "lang, words", [("en", "holds: exchange attests about e1"), ("zh", "有效：exchange 就 e1 出具")]
)
def test_words_for_people(place: Path, lang: str, words: str) -> None:
    key, listed = place / "keys/public-key.json", place / "list.jwt"
    files = ("--as", RECEIVER, "--key", key, "--revocations", listed)
    ended = dujiang("--lang", lang, "evidence", "verify", place / "a.jwt", *files)
    assert (ended.code, ended.err) == (0, "")
    assert words in ended.out
    assert "usage.gpu_hours" in ended.out
