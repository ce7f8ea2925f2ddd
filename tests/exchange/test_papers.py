"""The papers of a round are what its ledger and its readings say, whatever became of the awards."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rounds import Order, write_book

from dujiang.dispatch.connector import JobState, JobStatus
from dujiang.exchange.awarded import Awarded, awarded, budgets, caps_in_use
from dujiang.exchange.clearing import Round, clear_round, open_round
from dujiang.exchange.papers import paper_files, settled_sums
from dujiang.market.engine import Effort
from dujiang.market.outcome import Coupling, Outcome
from dujiang.metering.usage import Usage, metered
from dujiang.reports.data import Settled
from dujiang.settlement import account
from dujiang.settlement.bill import reserved_net, reserved_vouchers
from dujiang.settlement.postings import open_budget, open_cap, reserve, settle
from dujiang.store.ledger import Ledger

YUAN = 1_000_000
T0 = datetime(2025, 11, 3, tzinfo=UTC)
FIRMS = ("e1", "企业/二 号", "E~3")


@dataclass(frozen=True)
class Cleared:
    """A round whose awards have not been run."""

    round_: Round
    outcome: Outcome
    awards: list[Awarded]


@pytest.fixture(scope="module")
def cleared(tmp_path_factory) -> Cleared:
    """Nine awards of three firms, some with data, all but two at most with a voucher; sz has a budget that runs out."""
    folder = tmp_path_factory.mktemp("papers") / "book"
    write_book(
        folder,
        [
            Order(f"o{n}", 1 + n, round(0.7 + 0.31 * n, 2), 0, 6, 900, FIRMS[n % 3], "east", 1.7 * (n % 2))
            for n in range(9)
        ],
        slots=6,
    )
    claims = "enterprise_id,programme_id,period,amount_cny\nE~3,gz-voucher,2025,70.55\ne1,sz,2024,300\n"
    (folder / "claims.csv").write_text(claims, encoding="utf-8")
    round_ = open_round(folder)
    outcome, _ = clear_round(round_, Coupling.FULL, Effort())
    return Cleared(round_, outcome, awarded(round_, outcome))


def status(award: Awarded, state: str, share: float) -> JobStatus:
    """What a connector would say of an award that ran a share of its hours."""
    key, hours = award.run.order_id, award.run.hours_micro / YUAN
    end = T0 + timedelta(hours=hours * share)
    if state == "never":
        return JobStatus(key, JobState.CANCELLED)
    if state == "unseen":
        return JobStatus(key, JobState.UNSEEN, started=T0)
    return JobStatus(key, JobState.ENDED if state == "ended" else JobState.FAILED, 0, T0, end)


def papers(cleared: Cleared, folder: Path, ends: list[tuple[str, float]]) -> tuple[Mapping[str, bytes], dict, Settled]:
    """Reserve, meter, settle and write the papers of a round whose awards ended so."""
    round_, awards = cleared.round_, cleared.awards
    readings: list[Usage] = []
    (folder / "ledger.sqlite").unlink(missing_ok=True)
    with Ledger(folder / "ledger.sqlite") as ledger:
        entries = [open_budget(key, left, T0) for key, left in budgets(round_).items()]
        entries += [open_cap(*key, left, T0) for key, left in caps_in_use(round_, awards).items()]
        entries += [reserve(award.award, T0) for award in awards]
        ledger.write(entry for entry in entries if entry is not None)
        for award, (state, share) in zip(awards, ends, strict=True):
            reading = metered(award.run, status(award, state, share), market_s_per_real_s=1, power=award.power)
            readings.append(reading)
            ledger.write(settle(award.award, reading, T0 + timedelta(hours=1)))
        files, posted = paper_files(round_, cleared.outcome, None, awards, readings, ledger, "运营方")
        charges = [award.charge(reading) for award, reading in zip(awards, readings, strict=True)]
        return files, dict(posted), settled_sums(round_, [c for c in charges if c is not None], ledger)


ENDS = st.lists(
    st.tuples(st.sampled_from(["ended", "failed", "never", "unseen"]), st.floats(0, 1)), min_size=9, max_size=9
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=ENDS)
def test_whatever_becomes_of_the_awards_all_papers_say_the_same(cleared, tmp_path, ends) -> None:
    files, posted, said = papers(cleared, tmp_path, ends)
    lines = pl.read_parquet(io.BytesIO(files["ledger.parquet"]))
    left: dict[str, int] = defaultdict(int)
    moved: dict[tuple[str, str], int] = defaultdict(int)
    for kind, name, ucny in lines.select("kind", "account", "amount_ucny").iter_rows():
        left[name] += ucny
        moved[kind, name] += ucny
    centres = -sum(ucny for name, ucny in left.items() if name.startswith("Liabilities:Centre:"))
    assert (said.gross_ucny, said.transfer_ucny) == (centres, -left.get(account.CARRIER, 0))
    vouchers = sum(u for (kind, name), u in moved.items() if kind == "post" and name.startswith("Liabilities:Prog"))
    net = sum(u for (kind, name), u in moved.items() if kind == "post" and name.startswith("Liabilities:Enterprise:"))
    assert (said.voucher_ucny, said.net_ucny) == (vouchers, net)
    assert posted["posted_rounding"] == left.get(account.ROUNDING, 0)
    assert said.gross_ucny + said.transfer_ucny == net + vouchers + posted["posted_rounding"]
    assert posted == {
        "posted_gross": said.gross_ucny,
        "posted_transfer": said.transfer_ucny,
        "posted_voucher": said.voucher_ucny,
        "posted_net": said.net_ucny,
        "posted_rounding": left.get(account.ROUNDING, 0),
    }
    # All that was set aside was paid, was released, or still waits for a reading.
    aside = sum(reserved_net(a.award) + sum(reserved_vouchers(a.award)) for a in cleared.awards)
    waits = [a for a, (state, _) in zip(cleared.awards, ends, strict=True) if state == "unseen"]
    waiting = sum(reserved_net(a.award) + sum(reserved_vouchers(a.award)) for a in waits)
    assert aside == net + vouchers + said.voided_ucny + waiting
    assert -sum(ucny for name, ucny in left.items() if name.endswith(":Reserved")) == waiting
    _check_programmes(cleared, said, left, moved)
    _check_documents(files, left, moved, waits)


def _check_programmes(cleared: Cleared, said: Settled, left: Mapping, moved: Mapping) -> None:
    assert [p.programme_id for p in said.programmes] == ["gz-voucher", "sz"]
    for p in said.programmes:
        own = [a.award for a in cleared.awards if [v.programme_id for v in a.award.vouchers] == [p.programme_id]]
        assert own
        assert p.reserved_ucny == sum(sum(reserved_vouchers(award)) for award in own)
        assert p.posted_ucny == moved["post", account.programme_reserved(p.programme_id)]
    gz, sz = said.programmes
    assert gz.left_ucny is None
    assert sz.left_ucny == -left.get(account.programme_available("sz"), 0)
    assert 0 <= sz.left_ucny <= 300 * YUAN - sz.posted_ucny


def _check_documents(files: Mapping[str, bytes], left: Mapping, moved: Mapping, waits: list[Awarded]) -> None:
    pages = {row["file"]: row for row in csv.DictReader(io.StringIO(files["invoices/index.csv"].decode()))}
    assert {f"invoices/{name}" for name in [*pages, "index.csv"]} == {n for n in files if n.startswith("invoices/")}
    sides = {
        "enterprise": account.enterprise_reserved,
        "centre": account.centre,
        "programme": account.programme_reserved,
    }
    for row in pages.values():
        assert int(Decimal(row["total_cny"]) * YUAN) == abs(moved["post", sides[row["kind"]](row["party_id"])])
        if row["kind"] == "enterprise":
            assert int(row["pending"]) == sum(a.award.enterprise_id == row["party_id"] for a in waits)
    billed: dict[str, Decimal] = defaultdict(Decimal)
    for row in csv.DictReader(io.StringIO(files["focus.csv"].decode())):
        billed[row["BillingAccountId"]] += Decimal(row["BilledCost"])
        assert row["BillingPeriodStart"] == "2025-11-02T16:00:00Z"
        assert row["BillingPeriodEnd"] == "2025-11-02T22:00:00Z"
    for firm in FIRMS:
        assert int(billed[firm] * YUAN) == moved["post", account.enterprise_reserved(firm)]
    opened = re.findall(r"^\S+ open (\S+) CNY$", files["ledger.beancount"].decode(), re.MULTILINE)
    assert set(opened) == set(left)


def test_a_budget_that_is_used_up_shows_nothing_left_and_none_shows_none(cleared, tmp_path) -> None:
    _, _, said = papers(cleared, tmp_path, [("ended", 1.0)] * 9)
    gz, sz = said.programmes
    assert gz.left_ucny is None
    assert sz.left_ucny is not None
    assert sz.reserved_ucny <= 300 * YUAN
    terms = cleared.round_.terms
    spent = replace(cleared.round_, terms=replace(terms, budget_left_ucny=terms.budget_left_ucny * 0))
    with Ledger(tmp_path / "empty.sqlite") as ledger:
        assert [p.left_ucny for p in settled_sums(spent, [], ledger).programmes] == [None, 0]


def test_caps_are_opened_with_what_claims_left_of_them(cleared) -> None:
    left = caps_in_use(cleared.round_, cleared.awards)
    assert left["gz-voucher", "E~3"] == 20 * YUAN
    assert {key for key in left if key[0] == "sz"} <= {("sz", "e1"), ("sz", "企业/二 号")}
    assert all(ucny == 220 * YUAN for (programme, _), ucny in left.items() if programme == "sz")
    # A claim of another year takes nothing off a yearly budget.
    assert budgets(cleared.round_) == {"sz": 300 * YUAN}


def test_awards_carry_prices_and_hours_of_their_own_slots(cleared) -> None:
    prices = cleared.outcome.prices.rows_by_key(("pool_id", "slot"), named=True, unique=True)
    for item in cleared.awards:
        slots = range(item.run.start, item.run.start + item.run.slots)
        row = [prices[item.run.pool_id, slot] for slot in slots]
        assert item.award.prices_ucny == tuple(r["ucny_per_gpu_hour"] for r in row)
        assert item.award.asks_ucny == tuple(r["ask_ucny_per_gpu_hour"] for r in row)
        assert item.begin == cleared.round_.book.start + timedelta(hours=item.run.start)
        assert item.end - item.begin == timedelta(hours=item.run.slots)
        assert item.power.watts_per_gpu == (700 if item.run.pool_id == "池-1" else None)
