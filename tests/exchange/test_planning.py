"""A request answered from files: the estimate, the market's own quote, the programmes' own answer, and the funding."""

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from books import dujiang, edit, write_tiny
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO
from dujiang.core.problem import ProblemList
from dujiang.exchange.clearing import clear_to
from dujiang.exchange.planning import plan_request
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling
from dujiang.policy.catalogue import catalogue
from dujiang.store.read_products import read_products
from dujiang.store.read_programmes import read_programmes

REQUEST = """\
workload: {parameters: 7000000000, tokens: 1000000000, utilisation: 0.4}
gpus: 16
deadline_hours: 24
origin_region: 北京
data_gb: 12.5
purpose: training
"""
LOAN = "instruments: [{id: loan, kind: loan, most_cny: 90000, rate: 0.06}]"


@pytest.fixture(scope="module")
def cleared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cleared")
    clear_to(write_tiny(place / "book"), place / "out", Coupling.FULL, Effort())
    (place / "firm.yaml").write_text("enterprise_id: e1\ncity: 北京\n", encoding="utf-8")
    return place


@pytest.fixture
def place(cleared: Path, tmp_path: Path) -> Path:
    copytree(cleared, tmp_path, dirs_exist_ok=True)
    return tmp_path


def planned(place: Path, text: str, firm: str | None = "firm.yaml") -> dict[str, Any]:
    (place / "request.yaml").write_text(text, encoding="utf-8")
    problems = ProblemList()
    merged, _ = catalogue([read_programmes(place / "book/programmes", problems)])
    products = read_products(None, problems)
    assert not problems
    path = None if firm is None else place / firm
    return plan_request(place / "book", place / "out", place / "request.yaml", merged, products, firm=path)


def quoted(place: Path, hours: float, gpus: int = 16) -> dict[str, Any]:
    """What `dujiang quote` says of the same order."""
    order = f"gpus: {gpus}\nhours: {hours}\nrelease: 0\ndeadline: 24\norigin_region: 北京\ndata_gb: 12.5\n"
    (place / "order.yaml").write_text(order, encoding="utf-8")
    ended = dujiang("quote", place / "book", place / "out", "--order", place / "order.yaml", "--json")
    return {q["pool_id"]: q for q in ended.document["quotes"]}


def line(document: dict[str, Any], key: str) -> dict[str, Any]:
    return next(row for row in document["lines"] if row["id"] == key)


def test_a_run_takes_as_long_as_the_card_needs_and_costs_what_the_market_quotes(place: Path) -> None:
    document = planned(place, REQUEST)
    # 6 x 7e9 x 1e9 / (312e12 x 0.4 x 3600) = 93.48 GPU-hours on 16 cards: six slots, in fast pools too.
    assert {round(p["gpu_hours"]["expected"], 2) for p in document["pools"]} == {93.48}
    same = {"bj-a": quoted(place, 6)["bj-a"], "qy-a": quoted(place, 7.5)["qy-a"]}
    assert len(document["pools"]) == 2
    for pool in document["pools"]:
        offer, quote = pool["quotes"]["expected"], same[pool["pool_id"]]
        assert (offer["start"], offer["slots"]) == (quote["start"], quote["slots"])
        assert offer["gross_cny"] * MICRO == quote["gross_ucny"]
        assert offer["transfer_cny"] * MICRO == quote["transfer_ucny"]
        assert offer["slots"] == 6
    nets = [pool["net_cny"] for pool in document["pools"]]
    assert nets == sorted(nets)
    assert document["chosen"] == document["pools"][0]["pool_id"]


def test_gpu_hours_are_of_speed_one_as_in_orders(place: Path) -> None:
    text = REQUEST.replace("{parameters: 7000000000, tokens: 1000000000, utilisation: 0.4}", "{gpu_hours: 160}")
    document = planned(place, text)
    quotes = quoted(place, 10)
    assert {p["pool_id"]: p["quotes"]["expected"]["slots"] for p in document["pools"]} == {"bj-a": 10, "qy-a": 8}
    for pool in document["pools"]:
        assert pool["quotes"]["expected"]["gross_cny"] * MICRO == quotes[pool["pool_id"]]["gross_ucny"]


def test_the_support_is_what_the_programmes_answer_and_its_clause_stands_beside_it(place: Path) -> None:
    document = planned(place, REQUEST)
    voucher = line(document, "test-voucher")
    gross = line(document, "compute")["expected_cny"]
    assert voucher["expected_cny"] == -min(gross / 2, 100)
    assert (voucher["origin"], voucher["source"]) == ("clause", "half (summary; a test)")
    net = document["pools"][0]["net_cny"]
    assert net == pytest.approx(gross + line(document, "transfer")["expected_cny"] + voucher["expected_cny"])
    assert line(document, "total")["expected_cny"] == pytest.approx(net)
    assert [row["id"] for row in planned(place, REQUEST, None)["lines"]] == ["compute", "transfer", "total"]


def test_what_nobody_published_pays_nothing(place: Path) -> None:
    edit(place / "book", "programmes/test-voucher.yaml", "verified: true", "verified: false")
    clear_to(place / "book", place / "out", Coupling.FULL, Effort())
    assert [row["id"] for row in planned(place, REQUEST)["lines"]] == ["compute", "transfer", "total"]


def test_serving_takes_two_operations_for_each_parameter_and_token(place: Path) -> None:
    needs = "needs: {inference: {tokens: 3000000000, utilisation: 0.2, cny_per_gpu_hour: 10}}\n"
    row = line(planned(place, REQUEST + needs), "inference")
    # 2 x 7e9 x 3e9 / (312e12 x 0.2 x 3600) = 186.966 GPU-hours
    assert row["expected_cny"] == 1869.66
    assert "2 x 7e+09 parameters x 3e+09 tokens" in row["source"]


def test_ranges_stay_ranges_and_an_end_without_room_has_no_price(place: Path) -> None:
    text = REQUEST.replace("tokens: 1000000000, utilisation: 0.4", "tokens: [1000000000, 2000000000, 90000000000]")
    document = planned(place, text)
    share = next(row for row in document["figures"] if row["id"] == "utilisation")
    assert (share["low"], share["expected"], share["high"], share["origin"]) == (0.3, 0.4, 0.5, "assumption")
    for key in ("compute", "total"):
        row = line(document, key)
        assert row["low_cny"] < row["expected_cny"]
        assert row["high_cny"] is None
    assert document["pools"][0]["quotes"]["high"] is None


def test_other_needs_say_what_is_stated_published_and_assumed(place: Path) -> None:
    needs = """
needs:
  people: {count: 2, months: [3, 5]}
  inference: {gpu_hours: 100}
  compliance: {cny: [1000, 2000, 4000], source: own estimate}
"""
    document = planned(place, REQUEST + needs)
    people = line(document, "people")
    assert [people[f"{end}_cny"] for end in ("low", "expected", "high")] == [240_000, 440_000, 700_000]
    assert people["assumed"] == ["months", "cny_each"]
    assert {f["id"]: f["origin"] for f in people["figures"]} == {
        **dict.fromkeys(("count", "months"), "request"),
        "cny_each": "catalogue",
    }
    offer = document["pools"][0]["quotes"]["expected"]
    inference = line(document, "inference")
    assert inference["expected_cny"] == pytest.approx(100 * offer["gross_cny"] / (16 * offer["slots"]), abs=0.005)
    assert inference["figures"][1]["origin"] == "quote"
    assert "own estimate" in line(document, "compliance")["figures"][0]["source"]
    whole = line(document, "total")
    for end in ("low", "expected", "high"):
        others = sum(row[f"{end}_cny"] for row in document["lines"] if row["id"] != "total")
        assert whole[f"{end}_cny"] == pytest.approx(others)


def test_a_card_without_a_published_peak_is_left_out_until_the_request_states_one(place: Path) -> None:
    pools = place / "book/pools.csv"
    pools.write_text(pools.read_text(encoding="utf-8").replace("qy,a100-80-sxm", "qy,ascend-910b"), encoding="utf-8")
    clear_to(place / "book", place / "out", Coupling.FULL, Effort())
    document = planned(place, REQUEST)
    assert [row["pool_id"] for row in document["left_out"]] == ["qy-a"]
    assert [pool["pool_id"] for pool in document["pools"]] == ["bj-a"]
    stated = planned(place, REQUEST.replace("0.4}", "0.4, peak_tflops: {ascend-910b: 300}}"))
    assert {pool["pool_id"] for pool in stated["pools"]} == {"bj-a", "qy-a"}
    assert stated["left_out"] == []


def test_the_rest_is_funded_with_the_support_arriving_later(place: Path) -> None:
    funding = (
        f"\nneeds: {{compliance: {{cny: 30000}}}}\nfunding: {{start: 2025-11, months: 7, own_cash_cny: 500, {LOAN}"
    )
    document = planned(place, REQUEST + funding + ", income: {2026-04: 90000}}")
    plan = document["funding"]
    assert plan["feasible"]
    assert "loan" in plan["used"]
    costs = plan["project"]["costs"]
    gross = line(document, "compute")["expected_cny"]
    assert costs["compute"] == [pytest.approx(gross), 0, 0, 0, 0, 0, 0]
    assert sum(costs["compliance"]) == 30_000
    assert "test-voucher" in {item["id"] for item in plan["instruments"]}
    late = sum(row["subsidy_cny"] for row in plan["schedule"])
    assert late <= -line(document, "test-voucher")["expected_cny"]
    high = planned(place, REQUEST + funding.replace("30000", "[1, 2, 60000]") + ", case: high}")
    assert high["funding"]["feasible"] is False  # nothing comes in to repay the loan
    assert sum(high["funding"]["project"]["costs"]["compliance"]) == 60_000


def test_a_run_outside_the_months_and_unknown_instruments_are_problems_with_their_lines(place: Path) -> None:
    text = REQUEST + "funding:\n  start: 2026-01\n  months: 3\n  own_cash_cny: 5\n  instruments: [nothing]\n"
    with pytest.raises(InputError) as caught:
        planned(place, text)
    assert [(p.code, p.row, p.field) for p in caught.value.problems] == [
        ("bad-month", 8, "funding.start"),
        ("no-such-instrument", 11, "funding.instruments.0"),
    ]


def test_no_pool_is_an_answer_too(place: Path) -> None:
    text = REQUEST.replace("gpus: 16", "gpus: 500") + "needs: {inference: {gpu_hours: 5}, compliance: {cny: 7}}\n"
    document = planned(place, text)
    assert (document["chosen"], document["pools"], document["funding"]) == (None, [], None)
    assert [row["kind"] for row in document["not_estimated"]] == ["inference"]
    assert [row["id"] for row in document["lines"]] == ["compliance"]
    assert "_ucny" not in document["lines"][0]


def test_a_need_beyond_all_money_is_a_problem(place: Path) -> None:
    with pytest.raises(InputError) as caught:
        planned(place, REQUEST + "needs:\n  data: {count: 1000000000, cny_each: 1000000000}\n")
    assert [(p.code, p.row, p.field) for p in caught.value.problems] == [("too-large", 8, "needs.data")]
