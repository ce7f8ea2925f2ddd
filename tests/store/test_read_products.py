"""Reading products and a bank's own terms from disk: whatever stands there ends in records or problems."""

from pathlib import Path

import pytest

from dujiang.core.problem import ProblemList
from dujiang.finance.catalogue import shipped_products
from dujiang.finance.product import NO_OWN_TERMS
from dujiang.store.read_products import read_own_terms, read_products

PROGRAMMES = {"sz-training-voucher": None}


def terms(path: Path) -> tuple[object, list[str]]:
    problems = ProblemList()
    found = read_own_terms(path, shipped_products(), PROGRAMMES, problems)
    return found, [p.code for p in problems]


def test_without_a_folder_they_are_the_shipped_ones() -> None:
    problems = ProblemList()
    assert read_products(None, problems) == dict(shipped_products())
    assert not problems


def test_a_folder_with_a_broken_file_is_a_problem_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("id: [", encoding="utf-8")
    problems = ProblemList()
    found = read_products(tmp_path, problems)
    assert [p.file for p in problems] == ["broken.yaml"]
    assert found == dict(shipped_products())


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    problems = ProblemList()
    read_products(tmp_path / "nowhere", problems)
    assert [p.code for p in problems] == ["unreadable"]


def test_own_terms_are_read_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("source: 某行\nproducts:\n  boc-ip-pledge: {rate: 0.031}\n", encoding="utf-8")
    found, codes = terms(path)
    assert codes == []
    assert found.products == {"boc-ip-pledge": {"rate": 31_000}}
    path.write_text("source: 某行\nproducts:\n  boc-ip-pledge:\n    rat: 0.031\n", encoding="utf-8")
    problems = ProblemList()
    assert read_own_terms(path, shipped_products(), PROGRAMMES, problems) is NO_OWN_TERMS
    assert [(p.row, p.field) for p in problems] == [(4, "products.boc-ip-pledge.rat")]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xff", b"a: [", b"null", b"- 1", b"source: 1\nproducts: {boc-ip-pledge: 3}"]
)
def test_whatever_stands_in_the_file_ends_in_problems(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(content)
    found, codes = terms(path)
    assert found is NO_OWN_TERMS
    assert codes


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        found, codes = terms(path)
        assert found is NO_OWN_TERMS
        assert len(codes) == 1
