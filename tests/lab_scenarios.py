"""Scenario and study files that replay in a fraction of a second."""

from pathlib import Path

SCENARIO = """\
title: {en: small, zh: 小}
start: 2025-11-03T00:00:00+08:00
seed: 1
fleet: {nodes: nodes.csv, ask_cny_per_gpu_hour: 2, watts_per_gpu: 400, pue: 1.3, grid_kgco2_per_kwh: 0.5}
demand: {generate_h: 96, jobs_per_h: 1.5, longest_h: 96}
firms:
  count: 20
  kinds: {manufacturing_enterprise: 1}
  cities: {广东/东莞: 1}
  willingness: {elasticity: 1.2, floor: 0.5}
  facts: {via_platform: true, self_built: false}
programmes: [{id: dg-compute-voucher, rate: 0.5, budget_cny: 2000}]
"""
RATE = "programmes.dg-compute-voucher.rate"
STUDY = f"""\
title: {{en: how much, zh: 多少}}
scenario: scenario.yaml
vary: {{{RATE}: [0, 0.5]}}
reference: {{{RATE}: 0}}
seeds: 2
bootstrap: {{resamples: 50}}
"""


def write_scenario(folder: Path, text: str = SCENARIO, *, more: str = "") -> Path:
    """Write a scenario and its nodes; return the scenario's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes.csv").write_text("cluster,gpu_type,gpus\neast,unknown,24\nwest,unknown,16\n", encoding="utf-8")
    (folder / "scenario.yaml").write_text(text + more, encoding="utf-8")
    return folder / "scenario.yaml"


def write_study(folder: Path, text: str = STUDY, *, more: str = "", scenario: str = "") -> Path:
    """Write a study with its scenario; return the study's path."""
    write_scenario(folder, more=scenario)
    (folder / "study.yaml").write_text(text + more, encoding="utf-8")
    return folder / "study.yaml"


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, without those that say how long something took."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return {name: data for name, data in found.items() if not name.endswith(("timing.json", ".lock"))}
