"""Folders that a city keeps beside the package: overriding, adding, and every way in which they can be wrong."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.catalog import tables
from dujiang.catalog.rows import Row
from dujiang.core.errors import InputError, OperationError

HEADER = "id,vendor,model,domestic,memory_gb,tdp_w,source,quality,as_of,verified,unverified"


def _folder(tmp_path: Path, *rows: str, header: str = HEADER, name: str = "accelerators.csv") -> Path:
    folder = tmp_path / "city"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return folder


def _problems(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        tables.accelerators([folder])
    assert all(problem.say("zh") != problem.say("en") for problem in caught.value.problems)
    return [(problem.code, problem.where) for problem in caught.value.problems]


def test_a_row_of_the_city_replaces_the_row_of_that_id_and_adds_new_ones(tmp_path: Path) -> None:
    before = dict(tables.accelerators())
    folder = _folder(
        tmp_path,
        "h20-96,NVIDIA,H20 141GB,false,141,550,Delivery note,official,2025-06-30,true,",
        "own-card,Own,One,true,32,,Data sheet,official,,false,memory_gb",
    )
    after = tables.accelerators([folder])
    assert after["h20-96"].verified_value("memory_gb") == 141
    # The row is replaced as a whole: a figure that the city does not give is unknown, not the package's.
    assert after["h20-96"].fp16_bf16_dense_tflops is None
    assert after["own-card"].verified_value("memory_gb") is None
    assert set(after) == {*before, "own-card"}
    assert list(after) == sorted(after)
    assert all(after[key] is before[key] for key in before if key != "h20-96")
    assert dict(tables.accelerators()) == before


def test_later_folders_win_and_a_folder_without_the_table_changes_nothing(tmp_path: Path) -> None:
    row = "own-card,Own,{},true,,,Data sheet,official,,true,"
    first = _folder(tmp_path / "1", row.format("One"))
    second = _folder(tmp_path / "2", row.format("Two"))
    assert tables.accelerators([first, second])["own-card"].model == "Two"
    assert tables.accelerators([second, first])["own-card"].model == "One"
    assert tables.hubs([first]) == tables.hubs()


def test_questions_see_the_rows_of_the_city(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        "gansu-2023,province,甘肃,Gansu,average,2023,0.4,Announcement,official,2023,true",
        header="id,level,area,area_en,variant,year,kgco2_per_kwh,source,quality,as_of,verified",
        name="grid_factors.csv",
    )
    newest = tables.grid_factor("甘肃", extra=[folder])
    assert newest is not None
    assert newest.kgco2_per_kwh == 0.4


def test_a_change_in_the_folder_is_seen_on_the_next_call(tmp_path: Path) -> None:
    row = "own-card,Own,{},true,,,Data sheet,official,,true,"
    assert tables.accelerators([_folder(tmp_path, row.format("One"))])["own-card"].model == "One"
    assert tables.accelerators([_folder(tmp_path, row.format("Two"))])["own-card"].model == "Two"


def test_the_package_tables_are_read_once_and_cannot_be_changed() -> None:
    assert tables.hubs() is tables.hubs()
    with pytest.raises(TypeError):
        tables.hubs()["gs"] = tables.hubs()["gz"]  # type: ignore[index]


def test_files_of_a_spreadsheet_are_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "own-card,Own,One,true,,,Data sheet,official,,true,")
    path = folder / "accelerators.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert tables.accelerators([folder])["own-card"].vendor == "Own"


def test_all_problems_are_reported_together_with_their_places(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        "a,V,M,yes,-1,nan,,great,2025-13,true,",
        "b,V,M,true,,,S,press,,true,tdp_w",
        "c,V,M,true,,,S,press,,false,tdp;vendor",
        "d,V,M,true,,,S,press,,true,",
        "d,V,M,true,,,S,press,,true,",
        "e,V,M",
    )
    place = "city/accelerators.csv"
    assert _problems(folder) == [
        ("bad-type", f"{place}:2:as_of"),
        ("bad-type", f"{place}:2:domestic"),
        ("bad-type", f"{place}:2:memory_gb"),
        ("bad-type", f"{place}:2:quality"),
        ("bad-type", f"{place}:2:source"),
        ("bad-type", f"{place}:2:tdp_w"),
        ("bad-unverified", f"{place}:3:unverified"),
        ("bad-unverified", f"{place}:4:unverified"),
        ("bad-unverified", f"{place}:4:unverified"),
        ("duplicate-id", f"{place}:6:id"),
        ("bad-row", f"{place}:7"),
    ]


@pytest.mark.parametrize("missing", ["source", "quality", "verified", "id"])
def test_a_table_without_the_origin_of_its_rows_is_refused(tmp_path: Path, missing: str) -> None:
    names = [name for name in HEADER.split(",") if name != missing]
    assert _problems(_folder(tmp_path, header=",".join(names))) == [
        ("missing-column", f"city/accelerators.csv:1:{missing}")
    ]


def test_unknown_columns_and_tables_are_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, header=HEADER + ",colour")
    assert _problems(folder) == [("bad-column", "city/accelerators.csv:1:colour")]
    shutil.move(folder / "accelerators.csv", folder / "accelerator.csv")
    assert _problems(folder) == [("unknown-table", "city/accelerator.csv")]


def test_a_folder_that_is_not_there_can_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(OperationError) as caught:
        tables.hubs([tmp_path / "none"])
    assert "none" in caught.value.say("zh")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda rest: f"{HEADER}\n{rest}".encode("utf-8", "replace")))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_an_input_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    (folder / "accelerators.csv").write_bytes(data)
    problems = []
    try:
        tables.accelerators([folder])
    except InputError as error:
        problems = error.problems
    # What is not a table of ours under a sound header is said to be wrong, never passed over.
    assert problems or data.startswith(HEADER.encode())


@given(
    verified=st.booleans(),
    unverified=st.lists(st.sampled_from(tables.Accelerator.FIGURES), unique=True).map(tuple),
    field=st.sampled_from(tables.Accelerator.FIGURES),
)
@settings(max_examples=100, deadline=None)
def test_a_figure_is_a_fact_only_where_its_row_says_so(verified: bool, unverified: tuple[str, ...], field: str) -> None:
    card = tables.Accelerator(
        id="x",
        source="S",
        quality="press",
        verified=verified,
        unverified=() if verified else unverified,
        vendor="V",
        model="M",
        domestic=True,
        **dict.fromkeys(tables.Accelerator.FIGURES, 1.0),
    )
    expected = verified or (bool(unverified) and field not in unverified)
    assert card.verified_value(field) == (1.0 if expected else None)
    assert isinstance(card, Row)
