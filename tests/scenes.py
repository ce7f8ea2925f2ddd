"""Small scenarios that every test of the lab may change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dujiang.core.errors import InputError
from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem
from dujiang.lab.case import Case
from dujiang.lab.make_case import make_case
from dujiang.lab.parse_scenario import parse_scenario
from dujiang.lab.scenario import Scenario

ROOT = Path(__file__).parents[1]
DATA = next((p for p in (ROOT / "shared" / "data", ROOT.parent / "shared" / "data") if p.exists()), None)
needs_data = pytest.mark.skipif(
    DATA is None, reason="needs the public traces in shared/data beside the checkout; they are not in the repository"
)

LOG = """job_id,cluster,submit_s,duration_s,gpus,user_hash,vc
a,k,0,3600,1,,x
b,k,1800,5400,2,,x
c,k,3600,36,8,,y
d,k,7201,7200,4,,y
e,k,80000,1000000,1,,x
f,k,90000.5,60,1,,z
"""

SCENARIO = """
title: {en: small, zh: 小}
start: 2025-11-03T00:00:00+08:00
seed: 3
fleet: {per_vc: 1.25x, region: 广东}
demand: {trace: log.csv}
firms:
  count: 5
  kinds: {manufacturing_enterprise: 1}
  cities: {广东/东莞: 1}
  facts: {via_platform: true, self_built: false}
programmes:
  - {id: dg-compute-voucher, rate: 0.5, cap_cny: 1000, budget_cny: 5000}
"""


def document(text: str = SCENARIO, changes: Mapping[str, Any] | None = None) -> Marked:
    """Return a scenario's document with values changed by dotted path; `None` takes a key out."""
    doc, problems = read_yaml("scenario.yaml", text)
    assert doc is not None, problems
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        at = doc.value
        for name in parents:
            at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
        key = int(last) if isinstance(at, list) else last
        if value is None:
            del at[key]
        else:
            at[key] = value
    return doc


def scenario(folder: Path, changes: Mapping[str, Any] | None = None, text: str = SCENARIO) -> Scenario:
    """Return a good scenario whose files are in a folder."""
    parsed, problems = parse_scenario(document(text, changes), folder)
    assert parsed is not None, [p.say() for p in problems]
    return parsed


def bad(text: str) -> list[Problem]:
    """Return the problems of a document."""
    doc, problems = read_yaml("scenario.yaml", text)
    assert doc is not None, problems
    parsed, problems = parse_scenario(doc, Path("nowhere"))
    assert parsed is None
    return problems


def case(folder: Path, changes: Mapping[str, Any] | None = None, log: str | pl.DataFrame = LOG) -> Case:
    """Return the case of a scenario on a log, which is written to the folder."""
    put(folder, log)
    return make_case(scenario(folder, changes))


def problems_of(folder: Path, changes: Mapping[str, Any] | None = None, log: str | pl.DataFrame = LOG) -> list[Problem]:
    """Return what is wrong with a case."""
    with pytest.raises(InputError) as error:
        case(folder, changes, log)
    return error.value.problems


def put(folder: Path, log: str | pl.DataFrame) -> None:
    """Write the log."""
    path = folder / "log.csv"
    if isinstance(log, str):
        path.write_text(log)
    else:
        log.write_csv(path)
