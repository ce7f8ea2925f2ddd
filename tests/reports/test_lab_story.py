"""The three sentences: true of any document, every figure from it, and no difference claimed that cannot be told."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_documents import Document, isolated, run, search, study

from dujiang.core.text import Text
from dujiang.reports.lab_comparison import names_of
from dujiang.reports.lab_comparison_story import compared
from dujiang.reports.lab_document import Estimate, Study, estimate
from dujiang.reports.lab_story import story
from dujiang.reports.lab_words import Unit, amount, cell, change, cny, hours, interval, price

CANNOT = "cannot be told"
CANNOT_ZH = "无法判断"
FOCUS = 3
"""The setting that the study's story tells of: the one that spends most."""


def told(document: Document) -> str:
    return " ".join(said.en for said in story(document))


def told_zh(document: Document) -> str:
    return "".join(said.zh for said in story(document))


def set_at(document: Document, path: str, value: Any) -> Document:
    """Return a copy with another value at a path of keys joined by slashes; whole numbers count places in lists."""
    found = copy.deepcopy(document)
    *before, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    holder: Any = found
    for key in before:
        holder = holder[key]
    holder[last] = value
    return found


def at(document: Document, path: str) -> Any:
    found: Any = document
    for key in path.split("/"):
        found = found[int(key) if key.isdigit() else key]
    return found


def effect(name: str) -> str:
    return f"points/{FOCUS}/effects/{name}"


def about(mean: float, low: float, high: float) -> Document:
    return {"mean": mean, "low": low, "high": high}


RUN_FIGURES = (
    *("jobs", "firms", "centres", "gpus", "window_h", "served_share", "utilisation", "mean_wait_h", "median_wait_h"),
    *("p95_wait_h", "net_cny", "voucher_cny"),
)
STUDY_FIGURES = (
    *(f"scenario/{key}" for key in ("jobs", "firms", "centres", "gpus", "window_h")),
    *(effect(f"net_additional_gpu_hours/{end}") for end in ("mean", "low", "high")),
    *(effect(f"{key}/mean") for key in ("additional_gpu_hours", "displaced_gpu_hours", "incidence.lost")),
    *(effect(f"incidence.{who}/{end}") for who in ("buyers", "centres") for end in ("mean", "low", "high")),
    *(effect(f"{key}/mean") for key in ("firms_better", "firms_worse")),
    f"points/{FOCUS}/measures/voucher_cny/mean",
)


# Figures come from the document


@pytest.mark.parametrize("document", [run(), study(), search(), isolated()])
def test_there_are_three_sentences(document: Document) -> None:
    sentences = story(document)
    assert len(sentences) == 3
    for said in sentences:
        assert re.fullmatch(r"[A-Z\d\"].*[^.;]\.", said.en), said.en
        assert re.fullmatch(r"[^\s].*[^。；]。", said.zh), said.zh
        assert said.zh.count("。") == 1
        assert not re.search(r"\.\s", said.en)
    assert sentences == story(copy.deepcopy(document))


@pytest.mark.parametrize("key", RUN_FIGURES)
def test_each_figure_of_a_run_comes_from_the_document(key: str) -> None:
    other = set_at(run(), key, run()[key] * 0.6)
    assert told(other) != told(run())
    assert told_zh(other) != told_zh(run())


@pytest.mark.parametrize("path", STUDY_FIGURES)
def test_each_figure_of_a_study_comes_from_the_document(path: str) -> None:
    other = set_at(study(), path, at(study(), path) * (1.5 if path.startswith("scenario") else 1.07))
    assert told(other) != told(study())
    assert told_zh(other) != told_zh(study())


def figures(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))


def leaves(node: Any) -> Iterator[float]:
    if isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from leaves(item)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield float(node)


def written(document: Document) -> set[str]:
    """Every way in which a figure of a document may be written."""
    found = {"20"}  # "one in twenty" is said in words; the level of the intervals and counts follow
    for value in leaves(document):
        for say in (cny, hours, price):
            found |= figures("".join(say(value)))
        for unit in Unit:
            found |= figures("".join(amount(unit, value)) + "".join(change(unit, value)) + cell(unit, value))
        found |= figures(f"{value / 24:,.0f}")
    return found


@pytest.mark.parametrize("document", [run(), study(), isolated()])
def test_no_figure_is_made_up(document: Document) -> None:
    labels = "".join(re.findall(r'"[^"]*"', told(document)))
    known = written(document) | figures(labels)
    if "points" in document:
        spent = at(document, f"points/{FOCUS}/measures/voucher_cny/mean")
        net = at(document, effect("net_additional_gpu_hours/mean"))
        known |= figures(price(spent / net).en) | {str(len(document["points"])), str(len(document["seeds"]))}
    else:
        known |= figures(f"{100 * document['voucher_cny'] / (document['voucher_cny'] + document['net_cny']):.1f}")
    assert figures(told(document)) - known == set()


def test_a_figure_that_is_in_no_document_would_be_found() -> None:
    assert "12,345.6" not in written(study())


# One run


def test_a_run_without_vouchers_says_nothing_of_what_they_do() -> None:
    text = told(isolated())
    assert "no voucher is paid" in text
    assert "says nothing of what a voucher would do" in text
    assert "没有支付算力券" in told_zh(isolated())


def test_a_run_with_vouchers_does_not_claim_that_they_moved_anything() -> None:
    assert "takes a second, paired run to tell" in told(run())
    assert "配对" in told_zh(run())


def test_nobody_served_and_nobody_there() -> None:
    nobody = run() | {"served_share": 0.0, "mean_wait_h": None, "median_wait_h": None, "p95_wait_h": None}
    assert "not a single job runs to its end" in told(nobody).lower()
    assert "wait" not in story(nobody)[1].en
    assert "Nobody asked for compute." in told(nobody | {"jobs": 0})


@pytest.mark.parametrize("key", RUN_FIGURES[5:])
def test_what_a_run_does_not_tell_is_unknown_or_left_out(key: str) -> None:
    missing = set_at(run(), key, None)
    text = told(missing)
    if key not in ("median_wait_h", "p95_wait_h"):
        assert "not known" in text
        assert "未知" in told_zh(missing)
    assert "None" not in text
    assert not {"0", "0.0", "0.00"} & figures(text)


def test_half_of_the_jobs_may_not_wait_at_all() -> None:
    assert "half of them not at all" in told(run() | {"median_wait_h": 0.0})
    assert "半数无需等待" in told_zh(run() | {"median_wait_h": 0.0})


def test_one_of_each_is_no_plural() -> None:
    one = run() | {"jobs": 1, "firms": 1, "centres": 1, "gpus": 1, "window_h": 24}
    assert story(one)[0].en.startswith("1 job of 1 firm meet 1 accelerator in 1 centre over 1 day;")


# A study


def test_the_story_tells_of_the_setting_that_spends_most() -> None:
    assert '"voucher share 75 %" against "voucher share 0 %"' in told(study())
    other = set_at(study(), "points/1/measures/voucher_cny/mean", 9e9)
    assert '"voucher share 25 %" against' in told(other)


def test_no_setting_is_picked_for_how_good_it_looks() -> None:
    other = set_at(study(), "points/1/effects/net_additional_gpu_hours", about(9e6, 8e6, 1e7))
    assert Study(other).focus is not None
    assert Study(other).focus.index == FOCUS


def test_the_best_of_a_search_is_said_to_be_picked_from_those_tried() -> None:
    assert "of the settings tried" in told(search()).lower()
    assert "comes out best for additional GPU-hours, net: against" in told(search())
    assert "在试过的方案中" in told_zh(search())
    loose = search() | {"reference": None}
    assert "comes out best for additional GPU-hours, net; " in told(loose)
    assert "no setting is named as the reference" in told(loose).lower()


def test_the_best_is_told_of_and_not_the_one_that_spends_most() -> None:
    found = search()
    cheap = next(p for p in found["points"] if p["values"]["programmes.dg.rate"] == 0.1)
    found["search"]["best"] = cheap["index"]
    assert f'"{cheap["label"]["en"]}" comes out best' in told(found)


def test_money_of_a_best_setting_that_changes_more_than_vouchers_is_not_followed() -> None:
    found = search()
    found["points"][found["search"]["best"]]["values"]["fleet.multiple_of_mean_load"] = 2.0
    assert "for each additional GPU-hour" not in told(found)
    assert "firms gain" not in told(found)
    assert "vouchers pay CNY" in told(found).replace("V", "v")


def test_a_search_names_what_it_varied() -> None:
    found = search()
    found["search"]["over"] = [
        {"key": "a.rate", "name": {"en": "voucher share", "zh": "补贴比例"}, "low": 0, "high": 1},
        {"key": "a.cap_cny", "name": {"en": "cap per firm", "zh": "单家上限"}, "low": 0, "high": 1},
    ]
    assert "30 settings of voucher share and cap per firm, each" in told(found)
    assert "按补贴比例、单家上限设 30 种方案" in told_zh(found)


def test_more_hours_are_told_only_where_the_interval_leaves_zero_out() -> None:
    sure = set_at(study(), effect("net_additional_gpu_hours"), about(9_000.0, 1.0, 18_000.0))
    assert "9,000 more GPU-hours run in the replay (95% interval 1 to 18,000 GPU-hours)" in told(sure)
    unsure = set_at(study(), effect("net_additional_gpu_hours"), about(9_000.0, -1.0, 18_000.0))
    assert f"whether more GPU-hours run {CANNOT}: +9,000 GPU-hours" in told(unsure)
    assert "which includes zero" in told(unsure)
    assert CANNOT_ZH in told_zh(unsure)
    assert "包含零" in told_zh(unsure)
    assert "for each additional GPU-hour" not in told(unsure)


def test_fewer_hours_are_told_as_fewer() -> None:
    fewer = set_at(study(), effect("net_additional_gpu_hours"), about(-500.0, -900.0, -100.0))
    assert "500 fewer GPU-hours run in the replay (95% interval 100 to 900 GPU-hours)" in told(fewer)
    assert "少运行 500 卡时" in told_zh(fewer)


def test_a_difference_without_an_interval_may_be_chance() -> None:
    bare = set_at(study(), effect("net_additional_gpu_hours"), 9_000.0)
    assert "no interval was worked out" in told(bare)
    assert "未计算区间" in told_zh(bare)


def test_exactly_nothing_is_said_to_be_exactly_nothing() -> None:
    none = set_at(study(), effect("net_additional_gpu_hours"), about(0.0, 0.0, 0.0))
    assert "exactly the same GPU-hours run" in told(none)
    assert CANNOT not in story(none)[1].en


def test_with_whom_the_money_ends() -> None:
    assert "firms gain 54.2% of it (95% interval 47.2% to 61.2%), centres gain 36.6% of it (28.6% to 44.6%)" in told(
        study()
    )
    assert "9.2% is nobody's gain" in told(study())
    losing = set_at(study(), effect("incidence.centres"), about(-0.2, -0.3, -0.1))
    assert "centres lose 20.0% of it (10.0% to 30.0%)" in told(losing)
    on_top = set_at(study(), effect("incidence.lost/mean"), -0.07)
    assert "together 7.0% more than was paid" in told(on_top)
    nothing = set_at(study(), effect("incidence.centres"), about(0.0, 0.0, 0.0))
    assert "centres gain nothing by it" in told(nothing)
    wasted = set_at(study(), effect("incidence.lost/mean"), 1.31)
    assert "so more is lost than was paid (131.0%)" in told(wasted)


def test_a_setting_that_surely_takes_less_money_for_each_hour_is_named() -> None:
    found = set_at(study(), effect("cny_per_additional_gpu_hour"), about(17.8, 15.0, 21.8))
    assert "it is CNY" not in told(found)  # the other's interval is not known
    found = set_at(found, "points/1/effects/cny_per_additional_gpu_hour", about(7.33, 6.6, 8.2))
    said = story(found)[2]
    assert 'with "voucher share 25 %" it is CNY 7.33 (CNY 6.60 to CNY 8.20)' in said.en
    assert 'of the money with "voucher share 75 %", firms gain 54.2% (95% interval' in said.en
    assert "of it" not in said.en
    assert "“补贴比例 25%”时为 7.33 元（6.60 至 8.20 元）" in said.zh
    overlapping = set_at(found, "points/1/effects/cny_per_additional_gpu_hour/high", 15.1)
    assert "it is CNY" not in told(overlapping)


def test_who_gains_cannot_be_told_where_the_interval_includes_zero() -> None:
    wide = set_at(study(), effect("incidence.buyers"), about(-1.8, -13.3, 0.4))
    said = story(wide)[2]
    assert f"whether firms gain by it {CANNOT} (−180.0% of it; 95% interval −1,330.0% to 40.0%" in said.en
    assert "nobody's gain" not in said.en  # the rest cannot be told either
    assert "无法判断企业是否从中得益" in said.zh


def test_a_setting_without_vouchers_is_told_by_use_and_waiting() -> None:
    bare = study()
    for point in bare["points"]:
        point["measures"]["voucher_cny"] = about(0.0, 0.0, 0.0)
    said = story(bare)[2].en
    assert said.startswith("No voucher is paid there;")
    assert f"whether mean wait of jobs that ran {CANNOT}".replace("ran ", "ran changes ") in said
    sure = set_at(bare, effect("change.mean_wait_h"), about(0.5, 0.25, 0.75))
    assert "mean wait of jobs that ran goes from 1.9 hours to 2.5 hours, +30 minutes" in story(sure)[2].en


def test_what_a_study_does_not_tell_is_unknown() -> None:
    bare = study()
    bare["points"][FOCUS]["effects"] = {}
    text = told(bare)
    assert "with whom the money ends is not known" in text
    assert "who is worse off is not known" in text
    assert "without an interval that would tell it from chance" in text  # use, which has no paired difference
    del bare["points"][FOCUS]["measures"]["utilisation"]
    assert "accelerator time at work is not known" in told(bare)


def test_without_a_reference_settings_are_not_compared() -> None:
    loose = study() | {"reference": None}
    text = told(loose)
    assert "no setting is named as the reference" in text.lower()
    assert 'least at 55.3% (95% interval 54.1% to 56.5%) with "voucher share 0 %"' in text
    assert "overlap" not in text
    wide = set_at(loose, "points/0/measures/utilisation", about(0.553, 0.5, 0.605))
    assert f"the two intervals overlap, so which is the better {CANNOT}" in told(wide)


def test_one_point_and_none() -> None:
    one = study()
    one["points"] = one["points"][:1]
    assert "only one setting, so nothing can be compared" in told(one)
    assert "replays 1 setting of voucher share with 5 random draws:" in told(one)
    none = study() | {"points": []}
    assert "There is no result yet." in told(none)


def reach_and_vouchers(*, alone: bool = True) -> Document:
    """Return a study of which some settings change more than vouchers."""
    found = study()
    for place, (point, coupling) in enumerate(
        zip(found["points"], ("isolated", "isolated", "full", "full"), strict=True)
    ):
        point["values"] = {"coupling": coupling if alone or not place else "full", "programmes.x.rate": place / 4}
        point["label"] = {"en": f"S{place}", "zh": f"方案{place}"}
    found["factors"] = []
    return found


def test_voucher_money_is_told_only_of_settings_that_change_nothing_else() -> None:
    found = reach_and_vouchers()
    _, changes, money = story(found)
    assert changes.en.startswith('Against "S0", "S1" runs 8,')
    assert changes.en.count("more GPU-hours") == 3
    assert changes.en.count("95% interval") == 1
    assert money.en.startswith('With "S1", vouchers pay')
    assert "“方案1”时" in money.zh
    spent, net = (
        at(found, f"points/1/{key}/mean") for key in ("measures/voucher_cny", "effects/net_additional_gpu_hours")
    )
    assert f"CNY {spent / net:,.2f} for each additional GPU-hour" in money.en


def test_where_vouchers_are_never_all_that_changes_nothing_is_said_of_what_they_do() -> None:
    found = reach_and_vouchers(alone=False)
    money = story(found)[2]
    assert "for each additional GPU-hour" not in told(found)
    assert " gain " not in money.en
    assert "nowhere are they all that changes, so what they do is not told" in money.en
    assert (
        'the mean wait is between 1.9 hours (1.7 to 2.1 hours) with "S0"'.replace("(1.7", "(95% interval 1.7")
        in money.en
    )
    assert "没有一种方案只改变算力券" in money.zh
    for point in found["points"]:
        point["measures"]["voucher_cny"] = 0.0
    assert "no voucher is paid in any setting" in told(found).lower()


def test_of_many_settings_the_least_and_the_greatest_change_are_told() -> None:
    found = reach_and_vouchers()
    extra = copy.deepcopy(found["points"][3]) | {"index": 4, "label": {"en": "S4", "zh": "方案4"}}
    extra["effects"]["net_additional_gpu_hours"] = about(-500.0, -900.0, 100.0)
    found["points"].append(extra)
    changes = story(found)[1]
    assert changes.en.startswith(f'Against "S0", from the least to the greatest, whether "S4" runs more {CANNOT}')
    assert '"S3" runs 19,406 more GPU-hours' in changes.en
    assert "S2" not in changes.en


def test_counts_of_jobs_that_differ_between_draws_are_a_range() -> None:
    assert "41,230 to 42,000 jobs" in told(set_at(study(), "scenario/jobs_most", 42_000))


def test_no_word_claims_a_cause() -> None:
    for document in (run(), study(), search()):
        assert not re.search(r"\b(because|caus|lead|led to|thanks|drives?|boost|creates?)\w*", told(document))
        assert not re.search(r"导致|促使|拉动|带来", told_zh(document))


ENDS = st.floats(-1e5, 1e5).map(lambda value: round(value, 2))


@settings(max_examples=60, deadline=None)
@given(st.tuples(ENDS, ENDS, ENDS).map(sorted))
def test_an_interval_that_includes_zero_is_always_worded_as_one(ends: list[float]) -> None:
    low, mean, high = ends
    said = story(set_at(study(), effect("net_additional_gpu_hours"), about(mean, low, high)))[1]
    if low == mean == high == 0:
        assert "exactly the same" in said.en
    else:
        includes = low <= 0 <= high
        assert (CANNOT in said.en) == includes
        assert (CANNOT_ZH in said.zh) == includes
        assert (" more GPU-hours run in" in said.en) == (low > 0)
        assert (" fewer GPU-hours run in" in said.en) == (high < 0)


@settings(max_examples=60, deadline=None)
@given(st.tuples(ENDS, ENDS, ENDS).map(sorted))
def test_the_sign_of_a_difference(ends: list[float]) -> None:
    low, mean, high = ends
    sign = Estimate(mean, low, high).sign
    assert (sign == 1) == (low > 0)
    assert (sign == -1) == (high < 0)
    assert Estimate(mean).sign is None


def test_ends_that_make_no_interval_are_none() -> None:
    assert estimate({"mean": 1.0, "low": 2.0, "high": 1.5}) == Estimate(1.0)
    assert estimate({"mean": 1.0, "low": None, "high": 1.5}) == Estimate(1.0)
    assert estimate({"mean": None, "low": 0.0, "high": 1.5}) is None
    assert estimate(float("nan")) is None
    assert estimate(True) is None
    assert Estimate(5.0, -3.0, -1.0).sign is None  # a mean outside its interval tells nothing


# Runs side by side


def pair() -> list[Document]:
    return [isolated(), run()]


def test_runs_side_by_side_are_three_sentences() -> None:
    documents = pair()
    sentences = compared(documents, names_of(documents))
    text = " ".join(said.en for said in sentences)
    assert len(sentences) == 3
    assert all(said.en.endswith(".") and said.zh.endswith("。") for said in sentences)
    assert "41,230 jobs from the same input files and the same random draws" in text
    assert 'between 53.1% ("Each centre for itself") and 61.2% ("Dongguan voucher at 50 %")' in text
    assert "small differences may be chance" in text


def test_runs_that_come_to_the_same_are_said_to() -> None:
    same = [run() | {"title": "A"}, run() | {"title": "B"}]
    said = compared(same, names_of(same))[1].en
    assert "accelerator time at work is 61.2% in all of them" in said.lower()


def test_runs_of_other_jobs_or_draws_are_said_to_be() -> None:
    first, second = pair()
    names = names_of([first, second])
    assert "not from the same" in compared([first, second | {"seed": 2}], names)[0].en
    assert "not from the same" in compared([first, second | {"sources": {}}], names)[0].en
    assert "differ in how many jobs" in compared([first, second | {"jobs": 7}], names)[0].en


def test_the_second_of_two_runs_is_told_against_the_first() -> None:
    first, second = pair()
    names = names_of([first, second])
    second["effects"] = {"net_additional_gpu_hours": -1_234.0}
    said = compared([first, second], names)[1]
    assert '"Dongguan voucher at 50 %" runs 1,234 GPU-hours fewer than "Each centre for itself"' in said.en
    assert "少运行 1,234 卡时" in said.zh


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_any_number_of_runs_can_be_told(count: int) -> None:
    documents = [run() for _ in range(count)]
    for said in compared(documents, names_of(documents)):
        assert said.en.endswith(".")
        assert "None" not in said.en


# How figures are said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (cny(0), Text("CNY 0", "0 元")),
        (cny(-12.5), Text("CNY −12.50", "−12.50 元")),
        (cny(2_500_000), Text("CNY 2.50 million", "250.0 万元")),
        (hours(0.5), Text("30 minutes", "30 分钟")),
        (hours(0.001), Text("under a minute", "不到 1 分钟")),
        (hours(0.0), Text("0 minutes", "0 分钟")),
        (hours(1 / 60), Text("1 minute", "1 分钟")),
        (hours(96.0), Text("4.0 days", "4.0 天")),
        (change(Unit.SHARE, -0.0512), Text("−5.1 percentage points", "−5.1 个百分点")),
        (change(Unit.CHANGE, 0.041), Text("+4.1%", "+4.1%")),
        (change(Unit.GPU_HOURS, -7.0), Text("−7 GPU-hours", "−7 卡时")),
        (change(Unit.GPU_HOURS, -2_519_930.0), Text("−2.52 million GPU-hours", "−252.0 万卡时")),
        (amount(Unit.COUNT, 44.5), Text("44.5", "44.5")),
        (amount(Unit.COUNT, 698.7), Text("699", "699")),
    ],
)
def test_figures_are_said_with_units_and_true_minus_signs(said: Text, expected: Text) -> None:
    assert said == expected


def test_an_interval_names_its_unit_once_and_its_level() -> None:
    value = Estimate(0.1, 0.05, 0.15)
    assert interval(Unit.SHARE, value, 0.9).en == " (90% interval +5.0 to +15.0 percentage points)"
    assert interval(Unit.HOURS, Estimate(5, 2, 9), 0.95, differs=False).zh == "（95% 区间：2.0 至 9.0 小时）"
    assert interval(Unit.SHARE, Estimate(0.1), 0.95) == Text("", "")
    assert interval(Unit.SHARE, Estimate(0.1, 0.1, 0.1), 0.95) == Text("", "")
    assert cell(Unit.PRICE, -0.001, sign=True) == "0.00"


def test_a_search_that_finds_nothing_within_its_limit_says_so() -> None:
    document = search()
    document["search"] = document["search"] | {"best": document["reference"], "budget": 2000.0}
    second, third = story(document)[1:]
    assert "within cny 2,000, none of the settings tried does better than the reference" in second.en.lower()
    assert "2,000" in second.zh
    assert "frontier" in third.en


def test_money_of_the_warm_up_is_not_forgotten() -> None:
    document = run()
    spent = sum(entry["spent_cny"] for entry in document["programmes"])
    assert spent > 0
    told_of = story(document | {"voucher_cny": 0.0})[2].en
    assert "after the warm-up" in told_of
    assert "says nothing" not in told_of
    assert "with the warm-up" in story(document | {"voucher_cny": spent / 2})[2].en
    assert "with the warm-up" not in story(document | {"voucher_cny": spent})[2].en
