import re
import sys
from dataclasses import fields
from datetime import date
from importlib.resources import files

import pytest
from policy_samples import MADE_UP, changed

from dujiang.policy.catalogue import (
    _installed_entries,
    catalogue,
    catalogue_with,
    check_together,
    is_programme_file,
    programmes_of_round,
    read_programme,
    shipped_programmes,
)
from dujiang.policy.programme import SILENT_BUDGET, SourceStatus
from dujiang.registry.book import ProgrammeUse

FILES = sorted(
    (f"{level.name}/{item.name}", item.read_bytes())
    for level in files("dujiang.catalog").joinpath("programmes").iterdir()
    for item in level.iterdir()
    if is_programme_file(item.name)
)


@pytest.mark.parametrize(("name", "content"), FILES, ids=[name for name, _ in FILES])
def test_a_shipped_file_is_right(name, content):
    entry, problems = read_programme(name, content)
    assert [p.say() for p in problems] == []
    p = entry.programme
    folder, _, stem = name.removesuffix(".yaml").partition("/")
    assert folder == p.jurisdiction.level
    assert stem in (p.id, f"{p.id}@{p.version}")
    assert p.verified or p.source_status is not SourceStatus.RULE
    assert not re.search(r"https?:|www\.|\.(com|cn|org|net|html?)\b", content.decode())


@pytest.mark.parametrize("entry", shipped_programmes().values(), ids=list(shipped_programmes()))
def test_every_number_has_its_clause(entry):
    p = entry.programme
    numbers = [p.rate, p.amount, *p.special_rates, *p.caps, p.minimum, p.budget, p.pro_rata, p.combined_ceiling]
    for number in numbers:
        if number is not None:
            assert p.clause(number.basis.clause).text
    assert all(b.clause is not None or b.assumption is not None for b in p.bases())
    assert {c.key for c in p.clauses} >= {b.clause for b in p.bases()} - {None}


def test_what_can_be_computed_states_all_that_an_amount_needs():
    shipped = shipped_programmes()
    assert list(shipped) == sorted(shipped)
    computable = [e.programme for e in shipped.values() if e.programme.not_computable is None]
    assert {"sz-training-voucher", "dg-compute-voucher", "bj-compute-voucher-rules"} <= {p.id for p in computable}
    assert all(p.rate or p.amount or p.special_rates for p in computable)
    assert all(p.valid.first is not None for p in computable)
    assert all(p.source_status is SourceStatus.RULE and p.verified for p in computable)


def test_silence_of_a_source_is_kept_visible():
    p = shipped_programmes()["sz-training-voucher"].programme
    (cap,) = p.caps
    assert "validity" in cap.basis.assumption.en
    assert cap.basis.assumption in p.assumptions()
    assert SILENT_BUDGET in p.assumptions()


def test_the_shipped_programmes_agree_with_each_other():
    merged, problems = catalogue()
    assert problems == []
    assert [p.say() for p in check_together(merged)] == []


def test_an_own_file_replaces_the_programme_of_its_id():
    own = changed(("id: made-up", "id: dg-compute-voucher")).encode()
    entries, problems = catalogue_with({"programmes/mine.yaml": own})
    assert problems == []
    assert entries["dg-compute-voucher"].content == own
    assert entries.keys() == shipped_programmes().keys()
    assert shipped_programmes()["dg-compute-voucher"].content != own


def test_a_round_has_its_own_programmes_and_those_that_it_names():
    entries, problems = programmes_of_round(
        [ProgrammeUse("sz-training-voucher"), ProgrammeUse("dg-compute-voucher", 5)], {"p/x.yaml": MADE_UP.encode()}
    )
    assert problems == []
    assert list(entries) == ["dg-compute-voucher", "made-up", "sz-training-voucher"]


def test_all_problems_of_a_folder_are_reported_together():
    entries, problems = programmes_of_round(
        [ProgrammeUse("sz-trainig-voucher")],
        {
            "p/a.yaml": MADE_UP.encode(),
            "p/b.yaml": MADE_UP.encode(),
            "p/c.yaml": b"\xff\xfe",
            "p/d.yaml": b"a: [",
            "p/e.yaml": changed(("id: made-up", "id: other"), ("good: compute", "good: gold")).encode(),
        },
    )
    assert list(entries) == ["made-up"]
    assert [(p.file, p.code) for p in problems] == [
        ("book.yaml", "no-such-programme"),
        ("p/b.yaml", "overlapping-validity"),
        ("p/c.yaml", "bad-encoding"),
        ("p/d.yaml", "bad-yaml"),
        ("p/e.yaml", "unknown-word"),
    ]
    assert "did you mean 'sz-training-voucher'?" in problems[0].say()


FROM, UNTIL = "from: 2026-01-01", "until: 2026-12-31"


def version(first, last, **changes):
    """Write the made-up programme for other days."""
    text = changed((FROM, f"from: {first}"), (UNTIL, f"until: {last}"))
    for old, new in changes.items():
        text = text.replace(f"{old}: ", f"{old}: {new} #", 1)
    return text.encode()


YEARS = {
    "p/2025.yaml": version("2025-01-01", "2025-12-31"),
    "p/2026.yaml": version("2026-01-01", "2026-12-31"),
    "p/2028.yaml": version("2028-01-01", "null"),
}


@pytest.mark.parametrize(
    ("day", "file"),
    [
        (date(2024, 12, 31), "p/2025.yaml"),  # not yet
        (date(2025, 1, 1), "p/2025.yaml"),
        (date(2025, 12, 31), "p/2025.yaml"),
        (date(2026, 1, 1), "p/2026.yaml"),
        (date(2026, 12, 31), "p/2026.yaml"),
        (date(2027, 1, 1), "p/2028.yaml"),  # between two: the next to come
        (date(2040, 1, 1), "p/2028.yaml"),
        (None, "p/2028.yaml"),
    ],
)
def test_the_version_that_holds_on_the_day_counts(day, file):
    entries, problems = catalogue_with(YEARS, day)
    assert problems == []
    assert entries["made-up"].file == file
    assert programmes_of_round([], YEARS, day)[0]["made-up"].file == file


def test_after_its_last_day_a_programme_is_still_listed():
    entries, _ = catalogue_with({"p/2025.yaml": YEARS["p/2025.yaml"]}, date(2026, 1, 1))
    assert entries["made-up"].file == "p/2025.yaml"


@pytest.mark.parametrize(
    ("first", "last", "overlap"),
    [
        ("2026-12-31", "2027-01-01", True),
        ("2027-01-01", "2027-01-01", False),
        ("2025-12-31", "2025-12-31", False),
        ("2025-12-31", "2026-01-01", True),
        ("null", "2025-12-31", False),
        ("null", "2026-01-01", True),
        ("2026-12-31", "null", True),
        ("2027-01-01", "null", False),
        ("null", "null", True),
        ("2026-05-01", "2026-05-02", True),
    ],
)
def test_two_files_of_one_programme_share_no_day(first, last, overlap):
    _, problems = catalogue_with({"p/a.yaml": MADE_UP.encode(), "p/b.yaml": version(first, last)})
    assert [(p.file, p.code, p.row, p.field) for p in problems] == (
        [("p/b.yaml", "overlapping-validity", 15, "valid")] if overlap else []
    )
    merged, _ = catalogue([{"p/a.yaml": MADE_UP.encode(), "p/b.yaml": version(first, last)}])
    assert len(merged.versions["made-up"]) == 2 - overlap


def test_a_later_folder_replaces_what_shares_a_day_with_it_and_nothing_else():
    mine = {"q/2026.yaml": version("2026-07-01", "2027-03-31")}
    merged, problems = catalogue([YEARS, mine])
    assert problems == []
    assert [e.file for e in merged.versions["made-up"]] == ["p/2025.yaml", "q/2026.yaml", "p/2028.yaml"]
    assert merged.on(date(2026, 2, 1))["made-up"].file == "q/2026.yaml"  # not yet: ours is gone, not mixed with theirs


def test_a_folder_can_add_a_year_to_a_shipped_programme():
    later = changed(("id: made-up", "id: sz-training-voucher"), (FROM, "from: 2026-12-18"), (UNTIL, "until: null"))
    entries, _ = catalogue_with({"p/x.yaml": later.encode()}, date(2026, 12, 17))
    assert entries["sz-training-voucher"].file == "city/sz-training-voucher.yaml"
    entries, _ = catalogue_with({"p/x.yaml": later.encode()}, date(2026, 12, 18))
    assert entries["sz-training-voucher"].file == "p/x.yaml"


def purse(own_id, *partners, amount=5000, first="2026-01-01", last="2026-12-31", rule="null"):
    shared = f"shared_with: [{', '.join(partners)}], " if partners else ""
    text = changed(
        ("id: made-up", f"id: {own_id}"),
        ("budget: {amount_cny: 5000, ", f"budget: {{amount_cny: {amount}, rule: {rule}, {shared}"),
        (FROM, f"from: {first}"),
        (UNTIL, f"until: {last}"),
    )
    return text.encode()


NOT_SHARED, NOT_ALIKE = ("contradictory-purse", "budget.shared_with"), ("contradictory-purse", "budget")


@pytest.mark.parametrize(
    ("files_", "found"),
    [
        ([purse("a", "b"), purse("b", "a")], []),
        ([purse("a", "b", "c"), purse("b", "a", "c"), purse("c", "a", "b")], []),
        ([purse("a", "b", rule="pro_rata"), purse("b", "a", rule="pro_rata")], []),
        ([purse("a", "b"), purse("b")], [("0.yaml", *NOT_SHARED)]),
        (
            [purse("a", "b"), purse("b", "a", "c"), purse("c", "a", "b")],
            [("0.yaml", *NOT_SHARED), ("1.yaml", *NOT_SHARED), ("2.yaml", *NOT_SHARED)],
        ),
        ([purse("a", "b"), purse("b", "a", amount=6000)], [("0.yaml", *NOT_ALIKE), ("1.yaml", *NOT_ALIKE)]),
        ([purse("a", "b"), purse("b", "a", rule="pro_rata")], [("0.yaml", *NOT_ALIKE), ("1.yaml", *NOT_ALIKE)]),
        ([purse("a", "nobody")], [("0.yaml", "no-such-programme", "budget.shared_with")]),
        (
            [purse("a", "b"), purse("b", "a", first="2027-01-01", last="null")],
            [("0.yaml", *NOT_SHARED), ("1.yaml", *NOT_SHARED)],
        ),
        # Another year's version of a partner may have its own purse.
        ([purse("a", "b"), purse("b", "a"), purse("b", amount=10, first="2027-01-01", last="null")], []),
    ],
)
def test_a_shared_purse_is_one_purse(files_, found):
    _, problems = catalogue_with({f"{i}.yaml": content for i, content in enumerate(files_)})
    assert [(p.file, p.code, p.field) for p in problems] == found
    assert all(p.row is not None for p in problems)


def test_names_of_other_programmes_have_to_exist():
    others = (
        "excludes: [{programmes: [dg-compute-vouchr], scope: contract, clause: terms}]\n"
        "priority: [{programmes: [nobody-at-all], clause: terms}]"
    )
    text = changed(("notes: {zh: 说明, en: a note}", others))
    _, problems = catalogue_with({"p.yaml": text.encode()})
    assert [(p.code, p.field, p.row) for p in problems] == [
        ("no-such-programme", "excludes.0.programmes", 41),
        ("no-such-programme", "priority.0.programmes", 42),
    ]
    assert "did you mean 'dg-compute-voucher'?" in problems[0].say()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install packages of programmes for the time of a test: files on the path, with their metadata."""

    def add(name, target, contents):
        for file, content in contents.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[dujiang.programmes]\n{name} = {target}\n")
        _installed_entries.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield add
    for module in [m for m in sys.modules if m.startswith("town_")]:
        del sys.modules[module]
    _installed_entries.cache_clear()


def test_a_package_can_bring_programmes(install):
    own = changed(("id: made-up", "id: dg-compute-voucher")).encode()
    code = b"from importlib.resources import files\nFOLDER = files(__name__) / 'rules'\n"
    install("town", "town_rules", {"town_rules/__init__.py": code, "town_rules/rules/deep/x.yaml": MADE_UP.encode()})
    install("village", "town_rules:FOLDER", {"town_rules/rules/y.yaml": own})
    merged, problems = catalogue()
    assert problems == []
    assert merged.on(None)["made-up"].file == "village:deep/x.yaml"  # the same file, offered by both
    assert merged.on(None)["dg-compute-voucher"].file == "village:y.yaml"  # replaces ours
    assert shipped_programmes()["dg-compute-voucher"].file == "city/dg-compute-voucher.yaml"
    mine, _ = catalogue_with({"p.yaml": own})
    assert mine["dg-compute-voucher"].file == "p.yaml"  # a user's own folder is on top


def test_a_broken_package_is_a_problem_and_no_more(install):
    install("town", "town_missing", {})
    install("village", "town_broken", {"town_broken/x.yaml": b"a: ["})
    merged, problems = catalogue()
    assert [(p.code, p.file) for p in problems] == [("broken-package", "town"), ("bad-yaml", "village:x.yaml")]
    assert merged.on(None).keys() == shipped_programmes().keys()


def test_files_of_cases_are_no_programmes():
    entries, problems = catalogue_with({"p/made-up.cases.yaml": b"cases: []", "p/made-up.yaml": MADE_UP.encode()})
    assert problems == []
    assert "made-up" in entries


def test_a_byte_order_mark_is_no_mistake():
    entry, problems = read_programme("p.yaml", b"\xef\xbb\xbf" + MADE_UP.encode())
    assert problems == []
    assert entry.content.startswith(b"\xef")


def test_records_cannot_be_changed():
    entry = shipped_programmes()["dg-compute-voucher"]
    with pytest.raises(AttributeError):
        entry.programme.id = "other"
    with pytest.raises(TypeError):
        shipped_programmes()["x"] = entry
    assert {f.name for f in fields(entry)} == {"programme", "file", "content"}
