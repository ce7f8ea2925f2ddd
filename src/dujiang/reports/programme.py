"""A programme as a page that a person would read: every rule in both languages, and under it what it rests on."""

from collections.abc import Iterator
from dataclasses import dataclass

from dujiang.core.text import Text
from dujiang.policy.programme import Clause, Programme, Quality
from dujiang.policy.rules import PART_WORDS, Part, Rule, rules
from dujiang.reports.environment import environment

QUALITY_WORDS = {
    Quality.OFFICIAL: Text("official", "官方"),
    Quality.PRESS: Text("press", "媒体"),
    Quality.AGGREGATOR: Text("reprint", "转载"),
    Quality.COMMUNITY: Text("community", "社区"),
    Quality.LOW: Text("weak source", "弱来源"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One rule with what it rests on."""

    rule: Rule
    clause: Clause | None
    assumption: Text | None
    repeated: bool
    """The clause stands in full under an earlier rule."""


def sections(programme: Programme) -> Iterator[tuple[Part, list[Shown]]]:
    """Yield the parts of a page that have anything, each with its rules; a clause is quoted in full once."""
    quoted: set[str] = set()
    all_rules = rules(programme)
    for part in Part:
        shown = []
        for rule in all_rules:
            if rule.part is not part:
                continue
            key = None if rule.basis is None else rule.basis.clause
            assumption = None if rule.basis is None else rule.basis.assumption
            shown.append(Shown(rule, None if key is None else programme.clause(key), assumption, key in quoted))
            if key is not None:
                quoted.add(key)
        if shown:
            yield part, shown


def render_programme(programme: Programme) -> str:
    """Write the page.

    Parameters
    ----------
    programme : one version of a programme

    Returns
    -------
    an HTML document with everything inside and no scripts; the same programme gives the same text
    """
    template = environment().get_template("programme.html.jinja")
    return template.render(
        programme=programme, sections=list(sections(programme)), part_words=PART_WORDS, quality_words=QUALITY_WORDS
    )
