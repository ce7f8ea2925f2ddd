"""Claims, holdings and folders of programmes from disk; what cannot be read is a problem with its place."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from dujiang.core.problem import ProblemList
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.claims import Purchase
from dujiang.store.read_claims import read_claims
from dujiang.store.read_ownership import read_ownership
from dujiang.store.read_programmes import MOST_BYTES, read_programmes

PROGRAMME = shipped_programmes()["sz-training-voucher"].programme
FIRM = Purchase("firm", None, None, date(2025, 6, 1))
CLAIMS = {"enterprise_id": "firm", "programme_id": PROGRAMME.id, "period": "2025", "amount_cny": "12.5"}


def codes(problems: ProblemList) -> list[tuple[str, str, int | None]]:
    return [(p.code, p.file, p.row) for p in problems]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_claims_are_read_from_either_kind_of_table(tmp_path: Path, ending: str) -> None:
    path, frame = tmp_path / f"claims.{ending}", pl.DataFrame([CLAIMS])
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    problems = ProblemList()
    assert read_claims(path, problems).claimed(PROGRAMME, FIRM).enterprise_year_ucny == 12_500_000
    assert not problems


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_holdings_are_read_from_either_kind_of_table(tmp_path: Path, ending: str) -> None:
    path, frame = tmp_path / f"ownership.{ending}", pl.DataFrame({"holder": ["a"], "held": ["b"], "share": [0.25]})
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    problems = ProblemList()
    assert read_ownership(path, problems).related("a", "b") is not None
    assert not problems


@pytest.mark.parametrize("read", [read_claims, read_ownership])
def test_a_table_that_cannot_be_read_is_a_problem(tmp_path: Path, read) -> None:
    for name, content, code in (
        ("missing.csv", None, "unreadable"),
        ("ragged.csv", b"a,b\n1\n", "ragged-row"),
        ("broken.parquet", b"PAR1", "bad-parquet"),
        ("gb.csv", "持有".encode("gb18030"), "bad-encoding"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        problems = ProblemList()
        read(tmp_path / name, problems)
        assert codes(problems)[0][:2] == (code, name)


def test_a_folder_is_read_with_the_folders_in_it(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("a.yaml", "b/c.yaml", "b/c.cases.yaml", "b/readme.md"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    problems = ProblemList()
    found = read_programmes(tmp_path, problems)
    assert found == {"a.yaml": b"a.yaml", "b/c.cases.yaml": b"b/c.cases.yaml", "b/c.yaml": b"b/c.yaml"}
    assert not problems


def test_what_would_be_left_out_in_silence_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "short.yml").write_text("id: x\n", encoding="utf-8")
    (folder / "long.yaml").write_bytes(b"#" * (MOST_BYTES + 1))
    (folder / "gone.yaml").symlink_to(folder / "nowhere")
    problems = ProblemList()
    assert read_programmes(folder, problems) == {}
    assert codes(problems) == [
        ("unreadable", "gone.yaml", None),
        ("unreadable", "link", None),
        ("too-large", "long.yaml", None),
        ("bad-name", "short.yml", None),
    ]
    problems = ProblemList()
    read_programmes(folder / "nowhere", problems)
    assert codes(problems) == [("unreadable", "nowhere", None)]
