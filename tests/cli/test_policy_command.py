"""`dujiang policy`: the catalogue as people and programs see it."""

import json
from pathlib import Path

import pytest

from dujiang.cli.main import main
from dujiang.policy.catalogue import shipped_programmes


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    code = stop.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture
def case(tmp_path: Path) -> tuple[str, str]:
    firm, spend = tmp_path / "firm.yaml", tmp_path / "spend.yaml"
    firm.write_text("city: 深圳\nkind: enterprise\nstartup: true\n", encoding="utf-8")
    spend.write_text("good: compute\npurpose: training\ncontract_cny: 8000000\ndate: 2025-06-01\n", encoding="utf-8")
    return str(firm), str(spend)


def quoted(capsys: pytest.CaptureFixture[str], firm: str, spend: str, *more: str) -> dict[str, dict[str, object]]:
    assert run("policy", "quote", "--firm", firm, "--spend", spend, "--json", *more) == 0
    document = json.loads(capsys.readouterr().out)
    return {entry["programme_id"]: entry for entry in document["programmes"]}


def test_a_start_up_in_shenzhen_gets_its_special_rate(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str]
) -> None:
    answer = quoted(capsys, *case)["sz-training-voucher"]
    assert (answer["status"], answer["amount_cny"], answer["binding"]) == ("ok", "4800000.00", "rate")
    assert any("不超过服务合同金额的50%" in clause["text"] for clause in answer["clauses"])  # type: ignore[index, union-attr, attr-defined]


def test_the_day_decides(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    assert quoted(capsys, *case, "--on", "2024-12-17")["sz-training-voucher"]["status"] == "not_yet"
    assert quoted(capsys, *case, "--on", "2026-12-18")["sz-training-voucher"]["status"] == "expired"


def test_what_is_missing_is_named_not_denied(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    answer = quoted(capsys, *case)["qy-compute-voucher-2024"]
    assert (answer["status"], answer["needs_facts"]) == ("unknown", ["seller_cluster"])


def test_list_names_every_programme_and_why_some_are_not_computable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("policy", "list", "--json") == 0
    listed = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)["programmes"]}
    assert set(listed) == set(shipped_programmes())
    assert all(entry["computable"] or entry["reason_zh"] for entry in listed.values())


@pytest.mark.parametrize("programme", sorted(shipped_programmes()))
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_programme_can_be_shown_with_its_clauses(
    capsys: pytest.CaptureFixture[str], programme: str, lang: str
) -> None:
    assert run("--lang", lang, "policy", "show", programme) == 0
    shown = capsys.readouterr().out.replace("\n", "")
    entry = shipped_programmes()[programme].programme
    for basis in entry.bases():
        if basis.clause is not None:
            assert entry.clause(basis.clause).text.replace("\n", "") in shown


@pytest.mark.parametrize(
    ("firm", "spend", "field"),
    [
        ("city: [深圳]\n", None, "city"),
        ("- 深圳\n", None, None),
        (None, "contract_cny: -1\n", "contract_cny"),
        (None, "contract_cny: 多\n", "contract_cny"),
        (None, "good: compute\n", "contract_cny"),
    ],
)
def test_bad_facts_are_listed(
    capsys: pytest.CaptureFixture[str], case: tuple[str, str], firm: str | None, spend: str | None, field: str | None
) -> None:
    for path, text in zip(case, (firm, spend), strict=True):
        if text is not None:
            Path(path).write_text(text, encoding="utf-8")
    assert run("policy", "quote", "--firm", case[0], "--spend", case[1], "--json") == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert field in [problem["field"] for problem in problems]


def test_unknown_programme_and_missing_file(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    assert run("policy", "show", "sz-trainin-voucher") == 1
    assert "sz-training-voucher" in capsys.readouterr().err
    assert run("policy", "quote", "--firm", "nowhere.yaml", "--spend", case[1]) == 1


def test_a_device_in_place_of_a_file_is_refused(capsys: pytest.CaptureFixture[str], case: tuple[str, str]) -> None:
    assert run("policy", "quote", "--firm", "/dev/zero", "--spend", case[1], "--json") == 1
    assert [p["code"] for p in json.loads(capsys.readouterr().out)["problems"]] == ["unreadable"]
