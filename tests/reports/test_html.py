"""The report: everything inside, both languages, what users wrote stays text, figures as cleared."""

import dataclasses
import json
import re
import time
from typing import Any

import plotly.graph_objects as go
import polars as pl
import pytest
from first_fit import PROGRAMME, first_fit, make_book, meter, table
from page_reader import EVIL, own_part, read, resolved, walk, words_only

from dujiang.core.text import Text
from dujiang.market.outcome import (
    AWARD_SCHEMA,
    LINK_PRICE_SCHEMA,
    MULTIPLIER_SCHEMA,
    PRICE_SCHEMA,
    REJECTION_SCHEMA,
    VOUCHER_SCHEMA,
    Coupling,
    Outcome,
)
from dujiang.reports.charts import Tone, label, plain
from dujiang.reports.data import ProgrammeSettled, ReportData, Settled, Source
from dujiang.reports.findings import Need, centre_use, energy_use, flows, moved_by_vouchers, served_by, voucher_need
from dujiang.reports.html import render_report
from dujiang.reports.page import page
from dujiang.reports.words import at_least, at_most, energy, money, yuan


@pytest.fixture(scope="module")
def full() -> ReportData:
    book = make_book()
    outcome = first_fit(book)
    assert 0 < outcome.awards.height < book.orders.height
    assert outcome.awards["voucher_ucny"].sum() > 0
    paid = {name: int(outcome.awards[name].sum()) for name in AWARD_SCHEMA if name.endswith("_ucny")}
    settled = Settled(
        paid["gross_ucny"],
        paid["transfer_ucny"],
        paid["voucher_ucny"],
        paid["net_ucny"],
        0,
        (ProgrammeSettled(PROGRAMME, 0, paid["voucher_ucny"], 12_345_670_000), ProgrammeSettled("other", 0, 0, None)),
    )
    return ReportData(
        book,
        outcome,
        first_fit(book, Coupling.ISOLATED),
        meter(book, outcome),
        settled,
        sources=(Source(Text("staff bands", "企业规模"), "工信部联企业〔2011〕300号"),),
        assumptions={"meter": {"watts": "nameplate"}},
        names={"guizhou": Text("Guizhou", "贵州")},
    )


@pytest.fixture(scope="module")
def html(full: ReportData) -> str:
    return render_report(full)


def empty_outcome(**summary: Any) -> Outcome:
    return Outcome(
        awards=pl.DataFrame(schema=AWARD_SCHEMA),
        vouchers=pl.DataFrame(schema=VOUCHER_SCHEMA),
        prices=pl.DataFrame(schema=PRICE_SCHEMA),
        link_prices=pl.DataFrame(schema=LINK_PRICE_SCHEMA),
        rejections=pl.DataFrame(schema=REJECTION_SCHEMA),
        multipliers=pl.DataFrame(schema=MULTIPLIER_SCHEMA),
        summary=summary,
    )


def test_needs_no_network(html: str) -> None:
    own = own_part(html)
    assert "http://" not in own
    assert "https://" not in own
    assert "//cdn" not in own
    for tag, attrs in read(own).tags:
        assert tag not in {"link", "img", "iframe", "base", "object", "embed"}
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")
    assert "default-src 'none'" in own


def test_stays_small(full: ReportData, html: str) -> None:
    assert len(html.encode()) < 6_000_000
    assert len(own_part(html).encode()) < 400_000


def test_links_lead_somewhere(html: str) -> None:
    tags = read(own_part(html)).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {str(attrs["href"])[1:] for tag, attrs in tags if tag == "a"}
    assert targets
    assert targets <= set(ids)


def test_every_word_is_said_in_both_languages(html: str) -> None:
    said = read(own_part(html)).said
    assert len(said) > 200
    for (first, en), (second, zh) in zip(said[::2], said[1::2], strict=True):
        assert (first, second) == ("en", "zh")
        assert en.strip(), zh
        assert zh.strip(), en
    # Chinese where Chinese is meant: every pair but those of figures with a Latin unit.
    chinese = sum(bool(re.search(r"[\u4e00-\u9fff]", zh)) for _, zh in said[1::2])
    assert chinese > 0.95 * len(said) / 2


def test_every_label_of_a_figure_is_in_both_languages(html: str) -> None:
    figures = json.loads(read(own_part(html)).islands["figures"])
    shown = "use price scarce by-size by-kind by-region reasons flow need budget kwh carbon"
    assert set(figures) == set(shown.split())
    labelled = 0
    for path, node in walk(figures):
        if isinstance(node, list):
            continue
        if path.endswith((".title.text", ".ticktext", ".name", ".label", ".valuesuffix")):
            assert isinstance(node, dict), (path, node)
            assert node["en"], path
            assert node["zh"], path
            labelled += 1
        if isinstance(node, dict) and ("en" in node) != ("zh" in node):
            pytest.fail(f"{path}: one language only")
    assert labelled > 50


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_figures_are_what_plotly_accepts(full: ReportData, lang: str) -> None:
    for figure in page(full).figures.values():
        made = resolved(plain(figure), lang)
        checked = go.Figure(data=made["data"], layout=made["layout"])
        assert len(checked.data) == len(figure["data"])


def test_every_tone_has_a_colour_in_both_schemes(full: ReportData, html: str) -> None:
    nodes = [node for _, node in walk(plain(page(full).figures)) if isinstance(node, dict)]
    used = {node["tone"] for node in nodes if "tone" in node}
    palette = html[html.index("const PALETTE") : html.index("const FIGURES")]
    light, dark = palette.split("dark:")
    for tone in used | {"ink", "muted", "grid", "paper"}:
        assert re.search(rf"\b{tone}:", light), tone
        assert re.search(rf"\b{tone}:", dark), tone


def test_what_users_write_stays_text(full: ReportData) -> None:
    book = full.book
    swap = {name: EVIL + name for name in book.orders["order_id"].to_list()}
    centres = book.centres.with_columns(pl.lit(EVIL).alias("name"), pl.lit(EVIL).alias("region"))
    evil = dataclasses.replace(
        book,
        title=Text(EVIL, EVIL),
        centres=centres,
        pools=book.pools.with_columns(pl.lit(EVIL).alias("accelerator")),
        enterprises=book.enterprises.with_columns(pl.lit(EVIL).alias("kind")),
        orders=book.orders.with_columns(
            pl.col("order_id").replace(swap), pl.lit(EVIL + "{{ 7 * 7 }}").alias("origin_region")
        ),
        assumptions={EVIL: EVIL, "nested": {EVIL: [EVIL]}},
    )
    awards = full.outcome.awards.with_columns(
        pl.col("order_id").replace(swap),
        pl.when(pl.col("programme_id").is_not_null()).then(pl.lit(EVIL)).alias("programme_id"),
    )
    data = dataclasses.replace(
        full,
        book=evil,
        outcome=dataclasses.replace(full.outcome, awards=awards),
        other=None,
        sources=(Source(Text(EVIL, EVIL), EVIL),),
        names={},
    )
    clean = read(own_part(render_report(full)))
    own = own_part(render_report(data))
    assert "<img" not in own
    assert EVIL not in own
    reader = read(own)
    assert sum(tag == "script" for tag, _ in reader.tags) == sum(tag == "script" for tag, _ in clean.tags)
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    # Plotly reads markup in text: none may be left once JSON is read.
    figures = json.loads(reader.islands["figures"])
    markup = {tag for _, node in walk(figures) if isinstance(node, str) for tag in re.findall(r"</?\w+>|<img", node)}
    assert markup == {"<b>", "</b>", "<br>", "<extra>", "</extra>"}
    assert any("&lt;/script&gt;" in node for _, node in walk(figures) if isinstance(node, str))


def test_names_no_order_and_no_enterprise(full: ReportData, html: str) -> None:
    own = own_part(html)
    assert not [name for name in full.book.orders["order_id"].to_list() if name in own]
    assert not [name for name in full.book.enterprises["enterprise_id"].to_list() if f">{name}<" in own]


def test_figures_are_those_of_the_summary(full: ReportData, html: str) -> None:
    text = words_only(own_part(html))
    for outcome in (full.outcome, full.other):
        assert outcome is not None
        summary = outcome.summary
        assert yuan(summary["welfare_ucny"]) in text
        assert yuan(summary["dual_bound_ucny"]) in text
        assert f"≤ {at_most(summary['gap'])}" in text
        assert f"{100 * summary['utilisation']:.1f}%" in text
        assert f"{summary['awards']:,}" in text
        assert f"{summary['turnover_cny']:,.2f}" in text
    cards = {card.title.en: card for card in page(full).cards}
    summary = full.outcome.summary
    assert cards["Orders served"].value.en == f"{summary['awards']:,}"
    assert cards["Orders served"].before == Text(*[f"{full.other.summary['awards']:,}"] * 2)
    assert cards["Accelerators in use"].value.en == f"{100 * summary['utilisation']:.1f}%"
    assert cards["Proven share of the best possible"].value.en == f"≥ {at_least(1 - summary['gap'])}"
    spent = round(summary["vouchers"][0]["spent_cny"] * 1e6)
    assert cards["Voucher money"].value == money(spent)


def test_sums_of_the_findings_are_those_of_the_outcome(full: ReportData) -> None:
    book, outcome = full.book, full.outcome
    use = centre_use(book, outcome)
    assert use["used"].sum() / use["offered"].sum() == pytest.approx(outcome.summary["utilisation"])
    assert use["income_ucny"].sum() == outcome.awards["gross_ucny"].sum()
    for column in ("size", "kind", "origin_region"):
        groups = served_by(book, outcome, column)
        assert groups["orders"].sum() == book.orders.height
        assert groups["served"].sum() == outcome.awards.height
        assert groups["voucher_ucny"].sum() == outcome.awards["voucher_ucny"].sum()
    moved = flows(book, outcome)
    assert moved["orders"].sum() == outcome.awards.height
    assert moved["transfer_ucny"].sum() == outcome.awards["transfer_ucny"].sum()
    need = voucher_need(book, outcome)
    assert need["voucher_ucny"].sum() == outcome.awards["voucher_ucny"].sum()


def test_what_a_voucher_moved() -> None:
    """Own means against the cost at the floor and at the price: below, between, at and above."""
    book = make_book(orders=5)
    limits = [99, 100, 149, 150, 400]
    book = dataclasses.replace(book, orders=book.orders.with_columns(pl.Series("limit_ucny", limits) + 7))
    rows = [
        {
            "order_id": order,
            "pool_id": "p-beijing",
            "centre_id": "c-beijing",
            "gpus": 2,
            "hours_micro": 3_000_000,
            "ask_cost_ucny": 100,
            "price_cost_ucny": 150,
            "transfer_ucny": 7,
            "voucher_ucny": 10,
            "net_ucny": 50,
            "programme_id": "k",
        }
        for order in book.orders["order_id"].to_list()
    ]
    awards = pl.DataFrame(rows, schema=AWARD_SCHEMA)
    used = pl.DataFrame(rows, schema=VOUCHER_SCHEMA)
    outcome = dataclasses.replace(empty_outcome(), awards=awards, vouchers=used)
    found = {row["need"]: row for row in voucher_need(book, outcome).iter_rows(named=True)}
    assert {need: row["orders"] for need, row in found.items()} == {
        Need.BELOW_ASK: 1,
        Need.BELOW_PRICE: 2,
        Need.NOT_NEEDED: 2,
    }
    assert found[Need.BELOW_PRICE]["gpu_hours"] == 12.0
    assert found[Need.NOT_NEEDED]["voucher_ucny"] == 20
    second = used.with_columns(programme_id=pl.lit("l"), voucher_ucny=pl.lit(1, dtype=pl.Int64))
    both = dataclasses.replace(outcome, vouchers=pl.concat([used, second]))
    assert voucher_need(book, both)["orders"].to_list() == [1, 2, 2, 1, 2, 2]
    assert moved_by_vouchers(book, both) == (18.0, 30, 20)  # an award with two vouchers runs once


def test_unknown_energy_stays_unknown(full: ReportData, html: str) -> None:
    use = {row["centre_id"]: row for row in energy_use(full.usage).iter_rows(named=True)}
    assert use["c-gansu"]["kwh"] is None  # watts not known
    assert use["c-gansu"]["kwh_unknown"] == use["c-gansu"]["awards"]
    assert use["c-ningxia"]["kwh"] > 0
    assert use["c-ningxia"]["kgco2"] is None  # grid factor not known
    known = full.usage["kwh"].drop_nulls().sum()
    cards = {card.title.en: card for card in page(full).cards}
    assert cards["Energy and carbon"].value == energy(known)
    assert "of unknown energy" in cards["Energy and carbon"].caption.en
    ended = f"Of {full.usage.height:,} awards {full.usage.height:,} ran to their end."
    assert ended in words_only(own_part(html))
    assert "全部或部分未知：庆阳算力中心" in own_part(html)
    dark = full.usage.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("it_kwh", "kwh", "kgco2"))
    said = page(dataclasses.replace(full, usage=dark))
    assert said.cards[-1].value.en == "Not known"
    assert "kwh" not in said.figures


@pytest.mark.parametrize("coupling", list(Coupling))
def test_before_is_always_the_isolated_round(full: ReportData, coupling: Coupling) -> None:
    """Whichever outcome is the main one, the story runs from isolated to coupled."""
    assert full.other is not None
    flipped = dataclasses.replace(full, outcome=full.other, other=full.outcome)
    data = full if coupling is Coupling.FULL else flipped
    card = page(data).cards[1]
    assert card.before is not None
    assert card.before.en == str(full.other.summary["awards"])
    assert card.value.en == str(full.outcome.summary["awards"])


def test_says_when_things_are_missing(full: ReportData) -> None:
    """No other coupling, no metering, no settlement, no vouchers."""
    outcome = first_fit(full.book, vouchers=False)
    text = words_only(own_part(render_report(ReportData(full.book, outcome))))
    assert "no voucher was used in this round" in text
    assert "No programme took part in this round." in text
    assert "Nothing has been metered for this round yet." in text
    assert "本轮尚无计量数据。" in text
    assert "each region by itself, " not in text


@pytest.mark.parametrize("orders", [0, 40])
def test_renders_without_awards(orders: int) -> None:
    book = make_book(orders=orders)
    refused = [(name, "no_room", None, None, "", "") for name in sorted(book.orders["order_id"].to_list())]
    outcome = dataclasses.replace(
        first_fit(make_book(orders=0)), rejections=pl.DataFrame(refused, schema=REJECTION_SCHEMA, orient="row")
    )
    own = own_part(render_report(ReportData(book, outcome, outcome, meter(book, outcome))))
    read(own)
    text = words_only(own)
    assert "No order was served, so nothing flows." in text
    assert "Compute was nowhere scarce" in text
    assert ("Nobody asked for compute" in text) is (orders == 0)
    assert ("Too big or too urgent" in own) is True


def test_renders_when_nothing_at_all_is_there() -> None:
    """No centre, no order, and an outcome whose summary is empty."""
    book = make_book(orders=0, centres=table("centres", []), pools=table("pools", []), title=Text("", ""))
    own = own_part(render_report(ReportData(book, empty_outcome())))
    text = words_only(own)
    assert "Round of the exchange" in text
    assert "No centre offered capacity in this round." in text
    assert "This outcome carries no certificate." in text
    assert json.loads(read(own).islands["figures"]) == {}


def test_a_big_book_stays_small_and_quick() -> None:
    """200 centres over 60 days: rows and columns are bounded, and what is left out is said."""
    small = make_book(orders=0)
    names = [f"{i:03d}" for i in range(200)]
    centres = table("centres", [{"centre_id": f"c{n}", "region": f"r{n}", "name": f"centre {n}"} for n in names])
    pool = small.pools.row(0, named=True)
    pools = table("pools", [pool | {"pool_id": f"p{n}", "centre_id": f"c{n}", "accelerator": f"a{n}"} for n in names])
    book = dataclasses.replace(small, centres=centres, pools=pools, slots=1440)
    outcome = first_fit(book, vouchers=False)
    lifted = outcome.prices.with_columns(pl.col("ucny_per_gpu_hour") + 1_000_000 * (pl.col("slot") % 3))
    began = time.perf_counter()
    data = ReportData(book, dataclasses.replace(outcome, prices=lifted))
    own = own_part(render_report(data))
    assert time.perf_counter() - began < 10
    assert len(own.encode()) < 1_000_000
    assert "Each column is the mean of 6 hours." in own
    assert "The 40 largest of 200 centres are drawn" in own
    figures = json.loads(read(own).islands["figures"])
    assert len(figures["scarce"]["data"][0]["z"]) == 40
    assert len(figures["scarce"]["data"][0]["x"]) == 240
    assert figures["scarce"]["data"][0]["z"][0][0] == pytest.approx(1.0)  # mean of 0, 1, 2, 0, 1, 2


def test_is_pure(full: ReportData, html: str) -> None:
    assert render_report(full) == html


def test_labels_are_cut_by_width_and_escaped() -> None:
    long = label(Text("a" * 40, "都" * 40), 20)
    assert long == Text("a" * 20 + "…", "都" * 10 + "…")
    assert label(Text("<b>&", "<b>&")).en == "&lt;b&gt;&amp;"


def test_plain_leaves_nothing_that_json_cannot_hold() -> None:
    made = plain({"a": float("nan"), "b": Text("x", "y"), "c": Tone("ink"), "d": (1, 2.0000001)})
    assert made == {"a": None, "b": {"en": "x", "zh": "y"}, "c": {"tone": "ink"}, "d": [1, 2.0]}


@pytest.mark.parametrize(
    "ucny, en, zh",
    [
        (0, "CNY 0", "0 元"),
        (999_999_000_000, "CNY 999,999", "100.0 万元"),
        (1_234_567_000_000, "CNY 1.23 million", "123.5 万元"),
        (12_345_678_000_000_000, "CNY 12.3 billion", "123.5 亿元"),
    ],
)
def test_money_in_words(ucny: int, en: str, zh: str) -> None:
    assert money(ucny) == Text(en, zh)


def test_a_bound_is_never_rounded_to_look_tighter() -> None:
    assert at_most(0.00401) == "0.41%"
    assert at_most(0.004) == "0.40%"
    assert at_least(0.99999) == "99.99%"
    assert at_least(1.0) == "100.00%"
