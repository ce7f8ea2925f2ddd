import re
from dataclasses import fields
from importlib.resources import files

import pytest
from policy_samples import MADE_UP, changed

from dujiang.policy.catalogue import catalogue_with, programmes_of_round, read_programme, shipped_programmes
from dujiang.registry.book import ProgrammeUse

COMPUTABLE = {
    "bj-compute-voucher-rules", "dg-compute-voucher", "hn-compute-voucher-2025", "qy-compute-voucher-2024",
    "sd-compute-voucher-2025", "sz-training-voucher", "zz-compute-voucher-2024",
}  # fmt: skip
FILES = sorted(
    (f"{level.name}/{item.name}", item.read_bytes())
    for level in files("dujiang.catalog").joinpath("programmes").iterdir()
    for item in level.iterdir()
)


@pytest.mark.parametrize(("name", "content"), FILES, ids=[name for name, _ in FILES])
def test_a_shipped_file_is_right(name, content):
    entry, problems = read_programme(name, content)
    assert [p.say() for p in problems] == []
    p = entry.programme
    assert name == f"{p.jurisdiction.level}/{p.id}.yaml"
    assert p.verified
    assert not re.search(r"https?:|www\.|\.(com|cn|org|net|html?)\b", content.decode())


@pytest.mark.parametrize("entry", shipped_programmes().values(), ids=list(shipped_programmes()))
def test_every_number_has_its_clause(entry):
    p = entry.programme
    numbers = [p.rate, *p.special_rates, p.cap, p.minimum, p.budget]
    for number in numbers:
        if number is not None:
            assert p.clause(number.basis.clause).text
    assert all(b.clause is not None or b.assumption is not None for b in p.bases())
    assert {c.key for c in p.clauses} >= {b.clause for b in p.bases()} - {None}


def test_what_can_be_computed_is_what_the_sources_state_completely():
    shipped = shipped_programmes()
    assert {k for k, e in shipped.items() if e.programme.not_computable is None} == COMPUTABLE
    assert all(shipped[k].programme.cap is not None for k in COMPUTABLE)
    assert all(shipped[k].programme.valid.first is not None for k in COMPUTABLE)
    assert list(shipped) == sorted(shipped)


def test_silence_of_a_source_is_kept_visible():
    cap = shipped_programmes()["sz-training-voucher"].programme.cap
    assert "validity" in cap.basis.assumption.en
    assert len(shipped_programmes()["sz-training-voucher"].programme.assumptions()) == 4


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
        ("p/b.yaml", "duplicate-id"),
        ("p/c.yaml", "bad-encoding"),
        ("p/d.yaml", "bad-yaml"),
        ("p/e.yaml", "unknown-word"),
    ]
    assert "did you mean sz-training-voucher?" in problems[0].say()


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
