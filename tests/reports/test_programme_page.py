"""A programme as an HTML page: complete, in both languages, closed to whatever a file may hold."""

from html.parser import HTMLParser

import pytest

from dujiang.core.marked import read_yaml
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Programme
from dujiang.policy.rules import rules
from dujiang.reports.programme import render_programme, sections

SHIPPED = {key: entry.programme for key, entry in shipped_programmes().items()}
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Collects the text of a page, and that every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("key", sorted(SHIPPED))
def test_every_rule_and_every_clause_is_on_the_page(key: str) -> None:
    programme = SHIPPED[key]
    page = Page(render_programme(programme))
    for rule in rules(programme):
        assert rule.text.zh in page.text
        assert rule.text.en in page.text
    for basis in programme.bases():
        if basis.clause is not None:
            clause = programme.clause(basis.clause)
            assert (f"“{clause.text}”" if clause.verbatim else clause.text) in page.text
            assert clause.source in page.text
        if basis.assumption is not None:
            assert basis.assumption.zh in page.text
            assert basis.assumption.en in page.text


def test_the_page_stands_alone() -> None:
    html = render_programme(SHIPPED["sz-training-voucher"])
    assert "://" not in html
    assert not {"script", "link", "img", "iframe"} & Page(html).tags
    assert html == render_programme(SHIPPED["sz-training-voucher"])


def _hostile() -> Programme:
    text = """\
id: hostile
version: 2026-01-01
name: {zh: "<script>alert(1)</script>", en: "a & b \\"c\\""}
jurisdiction: {level: nation}
issuer: "<b>"
document: null
document_no: null
kind: k
instrument: i
good: compute
verified: false
confidence: low
clauses:
  terms: {text: "</blockquote><script>", verbatim: true, source: "{{ 7*7 }}", quality: low}
valid: {from: null, until: null, clause: terms}
conditions: []
base: contract
rate: {share: 0.5, rule: of, clause: terms}
cap: null
budget: null
"""
    marked, problems = read_yaml("hostile.yaml", text)
    assert marked is not None, problems
    programme, problems = parse_programme(marked)
    assert programme is not None, problems
    return programme


def test_what_a_file_says_stays_text() -> None:
    page = Page(render_programme(_hostile()))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "</blockquote><script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_clause_is_quoted_in_full_once() -> None:
    programme = SHIPPED["sz-training-voucher"]
    shown = [item for _, items in sections(programme) for item in items if item.clause is not None]
    first = [item.clause.key for item in shown if not item.repeated and item.clause is not None]
    assert len(first) == len(set(first)) < len(shown)
    assert {item.rule.path for _, items in sections(programme) for item in items} == {r.path for r in rules(programme)}
