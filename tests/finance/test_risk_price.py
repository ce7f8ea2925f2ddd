"""Means, tails and premiums of a priced chain, against the sample itself and against what is known exactly."""

from pathlib import Path

import numpy as np
import pytest

from books import dujiang
from dujiang.core.marked import Marked, read_yaml
from dujiang.finance.parse_risk import parse_risk
from dujiang.finance.risk_price import RiskPrice, _tail, price
from dujiang.finance.risk_terms import RiskTerms

EXAMPLE = Path(__file__).parents[2] / "examples/risk/guarantee.yaml"
SMALL = """\
title: {en: small, zh: 小}
years: 2
scenarios: 4000
seed: 8
tail: 0.95
discount: 0.1
correlation: 0.2
parties:
  - {id: bank, name: {en: bank, zh: 银行}}
  - {id: guarantor, name: {en: guarantor, zh: 担保}}
bearer: bank
loans:
  - {id: a, name: {en: a, zh: 甲}, loans: 50, owed_cny: 100, pd: 0.1, lgd: 0.5, term_years: 2}
agreements:
  - {id: g, name: {en: g, zh: 保}, from: bank, to: guarantor, share: 0.8}
"""


def marked(text: str) -> Marked:
    doc, problems = read_yaml("risk.yaml", text)
    assert doc is not None, problems
    return doc


def terms_of(text: str) -> RiskTerms:
    terms, problems = parse_risk(marked(text))
    assert terms is not None, [p.say() for p in problems]
    return terms


@pytest.fixture(scope="module")
def small() -> RiskPrice:
    return price(terms_of(SMALL))


def test_the_parts_of_the_parties_are_those_of_the_whole(small: RiskPrice) -> None:
    bank, guarantor = small.parties["bank"], small.parties["guarantor"]
    assert bank.expected.value + guarantor.expected.value == pytest.approx(small.total.expected.value)
    assert guarantor.expected.value == pytest.approx(0.8 * small.total.expected.value)
    assert bank.premium.value + guarantor.premium.value == pytest.approx(small.total.premium.value)
    assert small.cessions["g"].expected == guarantor.expected


def test_the_mean_covers_the_closed_form_and_its_interval_narrows(small: RiskPrice) -> None:
    # 50 loans of 100 yuan: 10 % lose half in the first year, 10 % of the others in the second.
    exact = 50 * 50 * (0.1 + 0.9 * 0.1) * 10**6
    assert small.total.expected.low < exact < small.total.expected.high
    few = price(terms_of(SMALL.replace("4000", "250")))
    width = small.total.expected.high - small.total.expected.low
    assert few.total.expected.high - few.total.expected.low == pytest.approx(4 * width, rel=0.25)


def test_the_tail_is_that_of_the_sample(small: RiskPrice) -> None:
    losses = np.sort(small.simulated.borne.by_party.sum(axis=(1, 2)))
    found = small.total
    assert found.quantile.value == losses[3799]  # 3800 of 4000 scenarios lose no more
    assert found.quantile.low <= found.quantile.value <= found.quantile.high
    assert found.quantile.low == losses[3771]
    worse = losses.astype(float)
    assert found.tail_mean.value == pytest.approx(losses[3800:].mean())
    assert found.tail_mean.value > found.quantile.value > found.expected.value
    assert found.worst == worse[-1]


def test_the_quantile_is_the_least_loss_that_is_enough_often_enough() -> None:
    quantile, mean = _tail(np.arange(1000.0), 990_000)
    assert quantile.value == 989  # 990 of 1000 are no greater
    assert (quantile.low, quantile.high) == (982, 997)  # 1.96 x sqrt(1000 x 0.99 x 0.01) = 6.2 ranks on each side
    assert mean.value == pytest.approx(994.5)
    assert _tail(np.array([5.0]), 990_000)[0].value == 5


def test_premiums_at_the_break_even_are_worth_what_losses_are(small: RiskPrice) -> None:
    losses = small.simulated.borne.by_party[:, :, 1].mean(axis=0)
    balance = small.simulated.balance_ucny.mean(axis=0)
    rate = small.parties["guarantor"].premium.value / 1e6
    paid = rate * (balance[0] + balance[1] / 1.1)
    assert paid == pytest.approx(losses[0] / 1.1 + losses[1] / 1.21)
    assert small.parties["guarantor"].premium.low < small.parties["guarantor"].premium.value
    assert small.parties["guarantor"].premium_ucny == pytest.approx(rate * balance.mean())


def test_intervals_hold_as_often_as_they_say() -> None:
    """Of 60 samples, some 57 intervals of 95 % hold the exact mean; fewer than 49 has a chance of one in 10 000."""
    exact, held = 50 * 50 * 0.19 * 10**6, 0
    for seed in range(60):
        found = price(terms_of(SMALL.replace("4000", "400").replace("seed: 8", f"seed: {seed}"))).total.expected
        held += found.low <= exact <= found.high
    assert 49 <= held <= 60


@pytest.mark.parametrize(
    "old, new",
    [
        ("pd: 0.1", "pd: 0.000001"),
        ("pd: 0.1", "pd: 0.999999"),
        ("lgd: 0.5", "lgd: 0"),
        ("correlation: 0.2", "correlation: 0.999999"),
        ("correlation: 0.2", "correlation: 0"),
        ("tail: 0.95", "tail: 0.999999"),
        ("tail: 0.95", "tail: 0.000001"),
        ("discount: 0.1", "discount: 0.999999"),
        ("term_years: 2", "term_years: 1"),
        ("loans: 50", "loans: 1"),
    ],
)
def test_the_ends_of_every_range_are_priced(tmp_path: Path, old: str, new: str) -> None:
    assert SMALL.count(old) == 1
    (tmp_path / "risk.yaml").write_text(SMALL.replace(old, new).replace("4000", "200"), encoding="utf-8")
    ended = dujiang("risk", "price", tmp_path / "risk.yaml", "--json")
    assert ended.code == 0, ended.err
    total, parts = ended.document["total"], ended.document["parties"]
    losses = [float(p["expected_loss_cny"]["value"]) for p in parts]
    assert sum(losses) == pytest.approx(float(total["expected_loss_cny"]["value"]), abs=0.02)
    assert 0 <= float(total["expected_loss_cny"]["value"]) <= float(total["worst_cny"]) <= 5000
    assert dujiang("risk", "price", tmp_path / "risk.yaml").code == 0


def test_what_the_file_leaves_open_is_said() -> None:
    text = "\n".join(line for line in SMALL.splitlines() if line.split(":")[0] not in ("scenarios", "seed", "tail"))
    said = [t.en for t in terms_of(text).assumptions]
    assert [s.split(":")[0] for s in said] == ["scenarios 10,000", "seed 1", "tail 0.99"]
    assert terms_of(SMALL).assumptions == ()


@pytest.mark.parametrize(
    "old, new, code, row, field",
    [
        ("\nyears: 2", "\nyears: 0", "bad-number", 2, "years"),
        ("\nyears: 2", "\nyears: two", "bad-number", 2, "years"),
        ("scenarios: 4000", "scenarios: 1", "bad-number", 3, "scenarios"),
        ("tail: 0.95", "tail: 1", "bad-share", 5, "tail"),
        ("tail: 0.95", "tail: .nan", "bad-share", 5, "tail"),
        ("correlation: 0.2", "correlation: 1", "bad-share", 7, "correlation"),
        ("correlation: 0.2", "correlation: true", "bad-share", 7, "correlation"),
        ("correlation: 0.2\n", "", "missing-field", None, "correlation"),
        ("{id: guarantor", "{id: bank", "duplicate-id", 10, "parties.1.id"),
        ("bearer: bank", "bearer: nobody", "no-such-party", 11, "bearer"),
        ("pd: 0.1", "pd: 0", "bad-share", 13, "loans.0.pd"),
        ("pd: 0.1", "pd: 10", "bad-share", 13, "loans.0.pd"),
        ("lgd: 0.5", "lgd: -0.5", "bad-share", 13, "loans.0.lgd"),
        ("loans: 50", "loans: 300001", "bad-number", 13, "loans.0.loans"),
        ("loans: 50", "loans: null", "bad-number", 13, "loans.0.loans"),
        ("owed_cny: 100", "owed_cny: 0.001", "bad-amount", 13, "loans.0.owed_cny"),
        ("term_years: 2", "repayment: daily", "unknown-word", 13, "loans.0.repayment"),
        ("term_years: 2", "term: 2", "unknown-field", 13, "loans.0.term"),
        ("to: guarantor", "to: bank", "same-party", 15, "agreements.0.to"),
        ("to: guarantor", "to: insurer", "no-such-party", 15, "agreements.0.to"),
        ("from: bank, to: guarantor", "from: guarantor, to: bank", "bears-nothing", 15, "agreements.0.from"),
        ("share: 0.8", "share: 80", "bad-share", 15, "agreements.0.share"),
        ("share: 0.8", "above_cny: 9, top_cny: 9", "empty-layer", 15, "agreements.0.top_cny"),
        ("share: 0.8", "above_cny: 9, above_share: 0.1", "two-terms", 15, "agreements.0.above_share"),
        ("share: 0.8", "per: loan, above_share: 0.1", "not-per-loan", 15, "agreements.0.above_share"),
        ("share: 0.8", "per: decade", "unknown-word", 15, "agreements.0.per"),
        ("\nyears: 2", "\nyears: 2\nextra: 1", "unknown-field", 3, "extra"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, code: str, row: int | None, field: str) -> None:
    assert SMALL.count(old) == 1
    terms, problems = parse_risk(marked(SMALL.replace(old, new)))
    assert terms is None
    assert (code, row, field) in {(p.code, p.row, p.field) for p in problems}, [p.say() for p in problems]


def test_agreements_of_single_loans_come_first() -> None:
    more = "  - {id: h, name: {en: h, zh: 再}, from: bank, to: guarantor, per: loan}\n"
    _, problems = parse_risk(marked(SMALL + more))
    assert [(p.code, p.field) for p in problems] == [("bad-order", "agreements.1.per")]


@pytest.mark.parametrize(
    "old, new, field", [("loans: 50", "loans: 200000", "loans"), ("scenarios: 4000", "scenarios: 200000", "scenarios")]
)
def test_too_much_for_the_memory_is_refused(old: str, new: str, field: str) -> None:
    text = SMALL.replace("\nyears: 2", "\nyears: 30").replace(old, new)
    more = "".join(f"  - {{id: h{n}, name: {{en: h, zh: 再}}, from: bank, to: guarantor}}\n" for n in range(30))
    _, problems = parse_risk(marked(text + more))
    assert [(p.code, p.field) for p in problems] == [("too-large", field)]


def test_too_much_money_is_refused() -> None:
    text = SMALL.replace("owed_cny: 100", "owed_cny: 1000000000").replace("loans: 50", "loans: 1001")
    _, problems = parse_risk(marked(text))
    assert [p.found for p in problems] == ["1001000000000000000"]


@pytest.mark.parametrize("text", ["", "- 1", "title", "null", "parties: {}", "loans: 3\nagreements: 4", "{" * 50])
def test_any_document_is_answered_with_problems(text: str) -> None:
    doc, problems = read_yaml("risk.yaml", text)
    found = problems if doc is None else parse_risk(doc)[1]
    assert found


def test_the_example_is_priced_and_every_party_and_yuan_is_there() -> None:
    ended = dujiang("risk", "price", EXAMPLE, "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    total = float(document["total"]["expected_loss_cny"]["value"])
    assert sum(float(p["expected_loss_cny"]["value"]) for p in document["parties"]) == pytest.approx(total, abs=0.1)
    closed = float(document["expected_loss_in_closed_form_cny"])
    mean = document["total"]["expected_loss_cny"]
    assert float(mean["low"]) < closed < float(mean["high"])
    by_name = {p["party"]: p for p in document["parties"]}
    # 财金〔2024〕60号: at least 20 % of a loan stays with the bank before the city compensates it.
    kept = float(by_name["bank"]["expected_loss_cny"]["value"]) + float(by_name["city"]["expected_loss_cny"]["value"])
    assert kept == pytest.approx(0.2 * total, rel=1e-6)
    assert float(by_name["national"]["expected_loss_cny"]["value"]) == pytest.approx(0.3 * total, rel=1e-6)
    assert float(by_name["city"]["worst_cny"]) <= 20_000_000
    assert document["assumptions"]
    assert dujiang("risk", "price", EXAMPLE, "--json").out == ended.out


@pytest.mark.parametrize("lang, words", [("en", "national guarantee fund"), ("zh", "国家融资担保基金")])
def test_words_for_people(lang: str, words: str) -> None:
    ended = dujiang("--lang", lang, "risk", "price", EXAMPLE)
    assert (ended.code, ended.err) == (0, "")
    assert words in ended.out
    assert ("assumed: " if lang == "en" else "假设：") in ended.out


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert dujiang("risk", "price", tmp_path / "no.yaml").code == 1
    assert dujiang("risk", "price", tmp_path).code == 1
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9")
    assert dujiang("risk", "price", tmp_path / "latin.yaml").code == 1
    assert dujiang("risk", "price").code == 2
