"""Effects of a policy, against cases worked by hand."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.core.text import Text
from dujiang.lab.effects import ALL_EFFECTS, effects, paired
from dujiang.lab.sums import Window
from lab_frames import job, jobs_frame, series_frame

WINDOW = Window(0, 8)
SERIES = series_frame([("a", slot, 4, 1.0) for slot in range(8)])
REGIONS = {"east": Text("the east", "东部")}


def found(here: pl.DataFrame, there: pl.DataFrame) -> dict[str, Any]:
    document = effects((here, SERIES), (there, SERIES), WINDOW, REGIONS)
    assert document is not None
    return document


def test_a_voucher_that_fills_an_idle_centre() -> None:
    """Ask 2, price 2. The job is worth 1.5: with half of it paid it runs, and half a yuan is spent beyond its worth."""
    there = jobs_frame(job("a", limit=1.5), job("b", start_h=0, limit=9, firm="g"))
    here = jobs_frame(job("a", limit=1.5, start_h=1, voucher=1), job("b", start_h=0, limit=9, firm="g"))
    document = found(here, there)
    assert document["additional_gpu_hours"] == document["supported_gpu_hours"] == 1
    assert document["displaced_gpu_hours"] == 0
    assert document["additionality"] == 1
    # The firm pays 1 for what is worth 1.5 to it; the centre gets what it costs.
    assert document["incidence"] == {"buyers": 0.5, "centres": 0, "lost": 0.5}
    assert document["leverage"] == {"net_per_voucher": 1, "additional_net_per_voucher": 1}
    assert document["cny_per_additional_gpu_hour"] == 1
    assert (document["firms_better"], document["firms_worse"], document["firms_same"]) == (1, 0, 1)


def test_a_voucher_that_only_raises_the_price() -> None:
    """The centre is full: the price rises by what is paid, and nothing else happens."""
    there = jobs_frame(job("a", start_h=0, limit=9, price=2))
    here = jobs_frame(job("a", start_h=0, limit=9, price=3, voucher=1))
    document = found(here, there)
    assert document["additionality"] == document["net_additional_gpu_hours"] == 0
    assert document["incidence"] == {"buyers": 0, "centres": 1, "lost": 0}
    assert document["leverage"] == {"net_per_voucher": 2, "additional_net_per_voucher": 0}
    assert document["price_change_share"] == 0.5
    assert document["cny_per_additional_gpu_hour"] is None


def test_a_job_that_is_displaced_makes_its_firm_worse_off() -> None:
    there = jobs_frame(job("a", limit=1), job("b", start_h=0, limit=9, firm="g", size="large"))
    here = jobs_frame(job("a", limit=1, start_h=0, voucher=1.5), job("b", limit=9, firm="g", size="large"))
    document = found(here, there)
    assert (document["additional_gpu_hours"], document["displaced_gpu_hours"]) == (1, 1)
    assert (document["firms_better"], document["firms_worse"]) == (1, 1)
    # Firms gain 0.5 and lose 7 on a voucher of 1.5.
    assert document["incidence"]["buyers"] == pytest.approx(-6.5 / 1.5, abs=1e-6)
    large = next(group for group in document["by_size"] if group["key"] == "large")
    assert (large["buyer_surplus_cny"], large["gpu_hours_served"], large["firms_worse"]) == (-7, -1, 1)
    assert large["mean_wait_h"] is None
    assert document["by_region"][0]["name"] == {"en": "the east", "zh": "东部"}


def test_vouchers_of_the_reference_are_no_effect() -> None:
    run = jobs_frame(job("a", start_h=0, voucher=1))
    document = found(run, run)
    assert document["incidence"] is None
    assert document["leverage"]["net_per_voucher"] == 1
    assert document["leverage"]["additional_net_per_voucher"] is None
    assert document["additional_gpu_hours"] == document["displaced_gpu_hours"] == 0
    assert set(document["change"].values()) <= {0, None}


def test_what_else_differs_is_no_effect_of_the_money() -> None:
    there = jobs_frame(job("a", limit=1.5), job("b", start_h=0, limit=9, firm="g"))
    here = jobs_frame(job("a", limit=1.5, start_h=1, voucher=1), job("b", start_h=0, limit=9, firm="g"))
    document = effects((here, SERIES), (there, SERIES), WINDOW, REGIONS, only_programmes=False)
    assert document is not None
    assert document["incidence"] is None
    assert document["cny_per_additional_gpu_hour"] is None
    assert document["leverage"] == {"net_per_voucher": 1, "additional_net_per_voucher": None}
    assert document["additional_gpu_hours"] == 1


def test_fewer_vouchers_than_the_reference_have_no_incidence() -> None:
    there, here = jobs_frame(job("a", start_h=0, voucher=2)), jobs_frame(job("a", start_h=0, voucher=1))
    document = found(here, there)
    assert document["incidence"] is None
    assert document["leverage"]["additional_net_per_voucher"] is None


def test_hours_that_are_lost_have_no_price() -> None:
    there = jobs_frame(job("a"), job("b", start_h=0, gpus=5))
    document = found(jobs_frame(job("a", start_h=0, voucher=1), job("b", gpus=5)), there)
    assert document["net_additional_gpu_hours"] == -4
    assert document["cny_per_additional_gpu_hour"] is None


def test_a_change_of_a_single_fen_makes_nobody_better_off() -> None:
    there = jobs_frame(job("a", start_h=0, price=2, limit=9))
    for less, better in ((0.01, 0), (0.02, 1)):
        here = jobs_frame(job("a", start_h=0, price=2 - less, limit=9))
        assert found(here, there)["firms_better"] == better
        assert found(there, here)["firms_worse"] == better


def test_a_firm_of_two_regions_counts_once() -> None:
    there = jobs_frame(job("a"), job("b", region="west"))
    here = jobs_frame(job("a", start_h=0), job("b", region="west", start_h=0))
    document = found(here, there)
    assert document["firms_better"] == 1
    assert [group["firms_better"] for group in document["by_region"]] == [1, 1]


@pytest.mark.parametrize("change", [{"limit": 3}, {"gpus": 2}, {"firm": "x"}, {"submit_h": 1}, {"hours": 2}])
def test_other_jobs_cannot_be_compared(change: dict[str, Any]) -> None:
    here, there = jobs_frame(job("a", **change)), jobs_frame(job("a"))
    assert not paired(here, there)
    assert effects((here, SERIES), (there, SERIES), WINDOW, REGIONS) is None
    assert not paired(jobs_frame(job("a"), job("b")), there)


ENDS = st.tuples(st.none() | st.integers(0, 3), st.integers(2, 5), st.sampled_from([0.0, 0.5]))
PAIRS = st.lists(st.tuples(ENDS, ENDS, st.integers(6, 9)), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_what_is_gained_is_the_difference_of_what_ran_and_money_is_followed_to_the_end(pairs: Any) -> None:
    def frame(side: int) -> pl.DataFrame:
        return jobs_frame(
            *(
                job(
                    f"{n}", start_h=pair[side][0], price=pair[side][1], voucher=pair[side][2], limit=pair[2], gpus=n + 1
                )
                for n, pair in enumerate(pairs)
            )
        )

    here, there = frame(0), frame(1)
    document = found(here, there)
    assert document["net_additional_gpu_hours"] == document["change"]["gpu_hours_served"]
    if document["incidence"] is not None:
        assert sum(document["incidence"].values()) == pytest.approx(1, abs=1e-5)
    assert sum(g["buyer_surplus_cny"] for g in document["by_size"]) == pytest.approx(
        document["change"]["buyer_surplus_cny"], abs=0.02
    )
    back = found(there, here)
    assert back["net_additional_gpu_hours"] == pytest.approx(-document["net_additional_gpu_hours"])
    assert (back["firms_better"], back["firms_worse"]) == (document["firms_worse"], document["firms_better"])


def test_every_effect_is_described_once() -> None:
    keys = [measure.key for measure in ALL_EFFECTS]
    assert len(set(keys)) == len(keys)
    document = found(jobs_frame(job("a", start_h=0)), jobs_frame(job("a")))
    for key in keys:
        group, dot, name = key.partition(".")
        assert group in document
        assert not dot or document[group] is None or name in document[group]
