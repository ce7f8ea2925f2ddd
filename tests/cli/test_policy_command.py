"""`dujiang policy`: programmes as people and programs see them."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from dujiang.cli.main import main
from dujiang.cli.policy import COMMANDS, command
from dujiang.policy.catalogue import shipped_programmes

MADE_UP = """\
id: made-up
version: 2026-01-01
name: {zh: 样例券, en: "Sample [bold] voucher [/x]"}
jurisdiction: {level: city, province: 广东, city: 深圳}
issuer: 某市
document: 样例办法
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
verified: false
confidence: low
clauses:
  terms: {text: "样例条款 [/red]", verbatim: true, source: 测试, quality: low}
valid: {from: 2025-01-01, until: 2025-12-31, clause: terms}
conditions:
  - {id: local, fact: city, op: is, value: 深圳, clause: terms, text: {zh: 在深圳, en: in Shenzhen}}
base: contract
rate: {share: 0.3, rule: not_above, clause: terms}
cap: null
budget: null
combined_ceiling: {share: 0.7, of: base, with: all, clause: terms}
excludes:
  - {programmes: [dg-compute-voucher], scope: contract, clause: terms}
"""
CASES = """\
programme: made-up
cases:
  - name: in full
    on: 2025-06-01
    spend: {good: compute, contract_cny: 1000, city: 深圳}
    expect: {status: ok, amount_cny: 300}
"""


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    code = stop.value.code
    assert isinstance(code, int)
    return code


def documented(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    """Run a command with --json and return its document."""
    assert run("policy", *arguments, "--json") == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def spoken(capsys: pytest.CaptureFixture[str], *arguments: object, lang: str = "en") -> str:
    assert run("--lang", lang, "policy", *arguments) == 0
    return capsys.readouterr().out


@pytest.fixture
def case(tmp_path: Path) -> tuple[str, str]:
    firm, spend = tmp_path / "firm.yaml", tmp_path / "spend.yaml"
    firm.write_text("enterprise_id: firm\ncity: 深圳\nkind: enterprise\nstartup: true\n", encoding="utf-8")
    spend.write_text("good: compute\npurpose: training\ncontract_cny: 8000000\ndate: 2025-06-01\n", encoding="utf-8")
    return str(firm), str(spend)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "programmes"
    (place / "city").mkdir(parents=True)
    (place / "city" / "made-up.yaml").write_text(MADE_UP, encoding="utf-8")
    (place / "city" / "made-up.cases.yaml").write_text(CASES, encoding="utf-8")
    return place


def asking(case: tuple[str, str]) -> list[str]:
    return ["quote", "--firm", case[0], "--spend", case[1]]


def quoted(capsys: pytest.CaptureFixture[str], case: tuple[str, str], *more: object) -> dict[str, dict[str, Any]]:
    document = documented(capsys, *asking(case), *more)
    return {entry["programme_id"]: entry for entry in document["programmes"]}


def test_every_command_loads() -> None:
    context = click.Context(command)
    assert list(COMMANDS) == command.list_commands(context)
    for name in COMMANDS:
        found = command.get_command(context, name)
        assert isinstance(found, click.Command)
        assert found.name == name
        assert found.help
    assert command.get_command(context, "sing") is None
    assert run("policy", "sing") == 2


# quote


def test_a_start_up_in_shenzhen_gets_its_special_rate(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str]
) -> None:
    document = documented(capsys, *asking(case))
    assert document["on"] == "2025-06-01"
    answer = next(p for p in document["programmes"] if p["programme_id"] == "sz-training-voucher")
    assert (answer["status"], answer["amount_cny"], answer["binding"]) == ("ok", "4800000.00", "rate")
    assert any("不超过服务合同金额的50%" in clause["text"] for clause in answer["clauses"])
    local = next(c for c in answer["conditions"] if c["id"] == "local")
    assert (local["fact"], local["found"], local["outcome"]) == ("city", "深圳", "met")
    assert [step["rule"] for step in answer["steps"]] == ["base", "rate", "cap", "budget"]
    assert document["stack"]["chosen"] == [
        {
            "programme_id": "sz-training-voucher",
            "amount_cny": "4800000.00",
            "alone_cny": "4800000.00",
            "binding": "rate",
        }
    ]
    assert (document["stack"]["total_cny"], document["stack"]["spend_cny"]) == ("4800000.00", "8000000.00")


def test_the_day_decides(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    assert quoted(capsys, case, "--on", "2024-12-17")["sz-training-voucher"]["status"] == "not_yet"
    assert quoted(capsys, case, "--on", "2026-12-18")["sz-training-voucher"]["status"] == "expired"


def test_what_is_missing_is_named_not_denied(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    answer = quoted(capsys, case)["qy-compute-voucher-2024"]
    assert (answer["status"], answer["needs_facts"], answer["would_pay_cny"]) == (
        "unknown", ["seller_cluster"], "2000000.00",
    )  # fmt: skip
    assert answer["would_be_eligible_if"][0]["zh"] == "算力所在数据中心集群"


def test_without_an_amount_it_says_what_to_state(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    Path(case[1]).write_text("good: compute\npurpose: training\ndate: 2025-06-01\n", encoding="utf-8")
    answer = quoted(capsys, case)["sz-training-voucher"]
    assert (answer["status"], answer["needs_facts"]) == ("unknown", ["contract_cny"])
    assert "contract_cny" in spoken(capsys, *asking(case))


def test_a_folder_of_ones_own_is_stacked_with_the_catalogue(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], folder: Path
) -> None:
    document = documented(capsys, *asking(case), "--programmes", folder)
    # 60 % and 30 % are more than the own programme's combined ceiling of 70 % allows: it is the one that is cut.
    assert [(c["programme_id"], c["amount_cny"], c["binding"]) for c in document["stack"]["chosen"]] == [
        ("sz-training-voucher", "4800000.00", "rate"),
        ("made-up", "800000.00", "combined"),
    ]
    shown = spoken(capsys, *asking(case), "--programmes", folder)
    assert "Sample [bold] voucher [/x]" in shown
    assert "样例条款 [/red]" in shown
    assert "5,600,000.00 CNY of 8,000,000.00 CNY spent" in shown


def test_what_is_given_up_says_why(capsys: pytest.CaptureFixture[str], case: tuple[str, str], folder: Path) -> None:
    text = MADE_UP.replace("dg-compute-voucher", "sz-training-voucher")
    (folder / "city" / "made-up.yaml").write_text(text, encoding="utf-8")
    (given_up,) = documented(capsys, *asking(case), "--programmes", folder)["stack"]["given_up"]
    assert (given_up["programme_id"], given_up["alone_cny"]) == ("made-up", "2400000.00")
    (because,) = given_up["because"]
    assert (because["rule"], because["against"]) == ("excludes", ["sz-training-voucher"])
    assert because["clause"]["text"] == "样例条款 [/red]"
    shown = spoken(capsys, *asking(case), "--programmes", folder, lang="zh")
    assert "放弃" in shown
    assert "不得与 sz-training-voucher 同时享受" in shown


def test_claims_leave_less(capsys: pytest.CaptureFixture[str], case: tuple[str, str], tmp_path: Path) -> None:
    claims = tmp_path / "claims.csv"
    header = "enterprise_id,programme_id,period,amount_cny,contract_id\n"
    claims.write_text(f"{header}firm,sz-training-voucher,2025,6000000,\n", encoding="utf-8")
    answer = quoted(capsys, case, "--claims", claims)["sz-training-voucher"]
    assert (answer["status"], answer["amount_cny"], answer["binding"]) == ("ok", "4000000.00", "cap")
    claims.write_text(f"{header}firm,sz-training-voucher,2025,1000000,k1\n", encoding="utf-8")
    Path(case[1]).write_text(Path(case[1]).read_text(encoding="utf-8") + "contract_id: k1\n", encoding="utf-8")
    document = documented(capsys, *asking(case), "--claims", claims)
    assert document["stack"]["chosen"] == []
    assert document["stack"]["given_up"][0]["because"][0]["rule"] == "once"


CORPUS = "good: corpus\npurpose: training\nvia_exchange: true\nseller_id: daughter\ncontract_cny: 5000000\n"


def test_ownership_says_who_is_related(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], tmp_path: Path
) -> None:
    Path(case[1]).write_text(CORPUS + "date: 2025-06-01\n", encoding="utf-8")
    open_ = quoted(capsys, case)["sz-corpus-voucher"]
    assert (open_["status"], open_["needs_facts"]) == ("unknown", ["related_party"])
    table = tmp_path / "ownership.csv"
    table.write_text("holder,held,share\nfirm,holding,0.6\nholding,daughter,0.25\n", encoding="utf-8")
    document = documented(capsys, *asking(case), "--ownership", table)
    answer = next(p for p in document["programmes"] if p["programme_id"] == "sz-corpus-voucher")
    assert (answer["status"], answer["amount_cny"]) == ("ineligible", "0.00")
    assert document["related_party"]["en"] == "firm holds 60 % of holding; holding holds 25 % of daughter"
    table.write_text("holder,held,share\nfirm,holding,0.6\nholding,daughter,0.249999\n", encoding="utf-8")
    assert quoted(capsys, case, "--ownership", table)["sz-corpus-voucher"]["amount_cny"] == "1500000.00"


def test_a_denied_relation_is_shown_and_the_stricter_counts(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], tmp_path: Path
) -> None:
    Path(case[1]).write_text(CORPUS + "date: 2025-06-01\nrelated_party: false\n", encoding="utf-8")
    table = tmp_path / "ownership.csv"
    table.write_text("holder,held,share\nfirm,daughter,1\n", encoding="utf-8")
    document = documented(capsys, *asking(case), "--ownership", table)
    assert "firm holds 100 % of daughter" in document["remarks"][0]["en"]
    assert run("policy", *asking(case), "--ownership", table) == 0
    told = capsys.readouterr()
    assert "firm holds 100 % of daughter" in told.err
    assert re.search(r"sz-corpus-voucher +not eligible", told.out)


def test_what_is_no_number_is_shown_as_it_was_written(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str]
) -> None:
    Path(case[0]).write_text("city: .nan\nkind: -.inf\nrevenue_cny: 99999999999999999999999\n", encoding="utf-8")
    conditions = quoted(capsys, case)["sz-training-voucher"]["conditions"]
    assert {c["fact"]: c["found"] for c in conditions if c["fact"] in ("city", "kind")} == {
        "city": "nan",
        "kind": "-inf",
    }


def test_a_slip_in_a_name_is_pointed_out(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    Path(case[0]).write_text("city: 深圳\nkind: enterprise\nemployes: 3\n", encoding="utf-8")
    assert "did you mean 'employees'?" in documented(capsys, *asking(case))["remarks"][0]["en"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_quote_reads_well_in_both_languages(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], lang: str
) -> None:
    shown = spoken(capsys, *asking(case), lang=lang)
    words = {
        "en": (
            "set by the rate",
            "best lawful stack",
            "Would be eligible if",
            "not yet valid",
            "assumed: ",
            "startup: yes",
        ),
        "zh": ("由比例决定", "最优合规组合", "补充下列信息", "尚未生效", "推定：", "startup: 是"),
    }[lang]
    assert [word for word in words if word not in shown] == []
    assert "4,800,000.00" in shown


@pytest.mark.parametrize(
    ("firm", "spend", "field"),
    [
        ("city: [深圳]\n", None, "city"),
        ("- 深圳\n", None, None),
        (None, "contract_cny: -1\n", "contract_cny"),
        (None, "contract_cny: 多\n", "contract_cny"),
        ("city: 深圳\n", "city: 广州\n", "city"),
        ("revenue_cny: 5\n", "revenue_cny: 6\n", "revenue_cny"),
    ],
)
def test_bad_facts_are_listed(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], firm: str | None, spend: str | None, field: str | None
) -> None:
    for path, text in zip(case, (firm, spend), strict=True):
        if text is not None:
            Path(path).write_text(text, encoding="utf-8")
    assert field in [p["field"] for p in documented(capsys, *asking(case), code=1)["problems"]]


def test_problems_of_all_files_come_together(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], tmp_path: Path
) -> None:
    Path(case[0]).write_text("city: [深圳]\n", encoding="utf-8")
    claims, ownership = tmp_path / "claims.csv", tmp_path / "ownership.csv"
    claims.write_text("enterprise_id,programme_id,period\nf,p,2025\n", encoding="utf-8")
    ownership.write_text("holder,held,share\na,b,51%\n", encoding="utf-8")
    found = documented(capsys, *asking(case), "--claims", claims, "--ownership", ownership, code=1)["problems"]
    assert {(p["file"], p["field"]) for p in found} == {
        ("firm.yaml", "city"),
        ("firm.yaml", "enterprise_id"),
        ("claims.csv", "amount_cny"),
        ("ownership.csv", "share"),
    }


def test_a_bad_programme_in_a_folder_stops_the_quote(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], folder: Path
) -> None:
    (folder / "city" / "made-up.yaml").write_text(MADE_UP.replace("share: 0.3", "share: 30"), encoding="utf-8")
    problems = documented(capsys, *asking(case), "--programmes", folder, code=1)["problems"]
    assert [(p["file"], p["row"], p["field"]) for p in problems] == [("city/made-up.yaml", 19, "rate.share")]
    problems = documented(capsys, *asking(case), "--programmes", folder / "nowhere", code=1)["problems"]
    assert problems[0]["code"] == "unreadable"


@pytest.mark.parametrize("option", ["--claims", "--ownership"])
def test_a_device_or_a_missing_file_is_refused(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], option: str
) -> None:
    for path in ("/dev/zero", "nowhere.csv"):
        problems = documented(capsys, *asking(case), option, path, code=1)["problems"]
        assert [p["code"] for p in problems] == ["unreadable"]
    assert run("policy", "quote", "--firm", "/dev/zero", "--spend", case[1], "--json") == 1


# list, show


def test_list_names_every_programme_and_why_some_are_not_computable(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {entry["id"]: entry for entry in documented(capsys, "list")["programmes"]}
    assert set(listed) == set(shipped_programmes())
    assert all(entry["computable"] or entry["reason_zh"] for entry in listed.values())
    shown = spoken(capsys, "list")
    assert all(key in shown for key in listed)


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        (["--level", "province"], lambda p: p.jurisdiction.level == "province"),
        (["--province", "广东"], lambda p: p.jurisdiction.province == "广东"),
        (["--city", "深圳"], lambda p: p.jurisdiction.city == "深圳"),
        (["--good", "corpus", "--level", "city"], lambda p: "corpus" in p.goods and p.jurisdiction.level == "city"),
    ],
)
def test_list_can_be_narrowed(capsys: pytest.CaptureFixture[str], options: list[str], fits: Any) -> None:
    listed = {entry["id"] for entry in documented(capsys, "list", *options)["programmes"]}
    expected = {key for key, entry in shipped_programmes().items() if fits(entry.programme)}
    assert listed == expected
    assert 0 < len(expected) < len(shipped_programmes())


def test_list_shows_the_version_of_a_day(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    later = MADE_UP.replace("from: 2025-01-01, until: 2025-12-31", "from: 2026-01-01, until: 2026-12-31")
    (folder / "later.yaml").write_text(later.replace("share: 0.3", "share: 0.4"), encoding="utf-8")
    for day, first in (("2025-06-01", "2025-01-01"), ("2026-06-01", "2026-01-01")):
        listed = documented(capsys, "list", "--programmes", folder, "--on", day)["programmes"]
        assert next(p["valid_from"] for p in listed if p["id"] == "made-up") == first
    shown = spoken(capsys, "show", "made-up", "--programmes", folder, "--on", "2025-06-01")
    assert "not above 30 % of the base" in shown


@pytest.mark.parametrize("programme", sorted(shipped_programmes()))
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_programme_can_be_shown_with_its_clauses(
    capsys: pytest.CaptureFixture[str], programme: str, lang: str
) -> None:
    shown = spoken(capsys, "show", programme, lang=lang).replace("\n", "")
    entry = shipped_programmes()[programme].programme
    for basis in entry.bases():
        if basis.clause is not None:
            assert entry.clause(basis.clause).text.replace("\n", "") in shown


def test_show_as_a_document_and_as_a_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    document = documented(capsys, "show", "sz-training-voucher", "--html", page)
    rate = next(rule for rule in document["rules"] if rule["path"] == "rate")
    assert rate["text"] == "not above 50 % of the base"
    assert rate["clause"]["verbatim"] is True
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert rate["clause"]["text"] in html


def test_unknown_programme_and_missing_file(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    assert run("policy", "show", "sz-trainin-voucher") == 1
    assert "sz-training-voucher" in capsys.readouterr().err
    assert run("policy", "quote", "--firm", "nowhere.yaml", "--spend", case[1]) == 1


# diff, test, match


def test_diff_of_two_files_and_of_two_days(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    old, new = folder / "city" / "made-up.yaml", tmp_path / "new.yaml"
    new.write_text(MADE_UP.replace("share: 0.3,", "share: 0.4,"), encoding="utf-8")
    (change,) = documented(capsys, "diff", old, new)["changes"]
    assert (change["path"], change["kind"]) == ("rate", "changed")
    assert (change["before"]["text"], change["after"]["text"]) == (
        "not above 30 % of the base", "not above 40 % of the base",
    )  # fmt: skip
    shown = spoken(capsys, "diff", old, new, lang="zh")
    assert "- 按不超过 基数的 30 %" in shown
    assert "+ 按不超过 基数的 40 %" in shown
    later = MADE_UP.replace("from: 2025-01-01, until: 2025-12-31", "from: 2026-01-01, until: null")
    (folder / "later.yaml").write_text(later, encoding="utf-8")
    pair = "made-up@2025-06-01", "made-up@2026-06-01"
    assert [c["path"] for c in documented(capsys, "diff", *pair, "--programmes", folder)["changes"]] == ["valid"]
    assert "no rule differs" in spoken(capsys, "diff", old, old)


@pytest.mark.parametrize("name", ["made-up", "sz-training-voucher@yesterday", "nowhere.yaml"])
def test_diff_says_what_it_cannot_find(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert documented(capsys, "diff", name, "sz-training-voucher", code=1)["problems"]


def test_the_cases_of_the_catalogue_hold(capsys: pytest.CaptureFixture[str]) -> None:
    document = documented(capsys, "test")
    assert (document["ok"], document["failed"]) == (True, [])
    assert document["cases"] >= 5 * len(document["by_programme"]) > 0


def test_a_failing_case_fails_the_command(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "1 cases of 1 programmes: 1 hold, 0 fail" in spoken(capsys, "test", folder)
    (folder / "city" / "made-up.cases.yaml").write_text(CASES.replace("cny: 300", "cny: 301"), encoding="utf-8")
    assert run("policy", "test", str(folder)) == 1
    assert "city/made-up.cases.yaml:3: in full: amount_cny: expected 301.00, got 300.00" in capsys.readouterr().out
    document = documented(capsys, "test", folder, code=1)
    assert document["failed"][0]["differences"] == [{"field": "amount_cny", "expected": "301.00", "got": "300.00"}]


def test_a_case_is_asked_of_the_version_of_its_day(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    later = MADE_UP.replace("from: 2025-01-01, until: 2025-12-31", "from: 2026-01-01, until: null")
    (folder / "later.yaml").write_text(later.replace("share: 0.3,", "share: 0.4,"), encoding="utf-8")
    more = CASES.splitlines()[2:]
    more = [line.replace("2025-06-01", "2026-06-01").replace("in full", "later").replace("300", "400") for line in more]
    (folder / "city" / "made-up.cases.yaml").write_text(CASES + "\n".join(more) + "\n", encoding="utf-8")
    assert documented(capsys, "test", folder)["cases"] == 2


@pytest.mark.parametrize("text", ["programme: nobody\ncases: []\n", "programme: [\n", "\xff", None])
def test_mistakes_in_cases_are_problems(capsys: pytest.CaptureFixture[str], folder: Path, text: str | None) -> None:
    file = folder / "city" / "made-up.cases.yaml"
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text.encode("latin-1"))
    assert documented(capsys, "test", folder, code=1)["problems"]


def test_match_shows_three_levels_and_the_ladder(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    document = documented(capsys, "match", "--firm", case[0], "--on", "2025-06-01")
    assert list(document["levels"]) == ["nation", "province", "city"]
    assert "sz-training-voucher" in [p["programme_id"] for p in document["levels"]["city"]]
    assert {step["id"]: step["stand"] for step in document["ladder"]}["start-up"] == "held"
    assert [step["step"] for step in document["next_steps"]] == ["tech-sme", "innovative-sme"]
    for lang, word in (("en", "ladder of cultivation"), ("zh", "梯度培育")):
        assert word in spoken(capsys, "match", "--firm", case[0], "--on", "2025-06-01", lang=lang)
