"""The pages of the policy lab: one file each that opens without a network, both languages, light, dark and on paper."""

from collections.abc import Sequence

from dujiang.reports.environment import environment
from dujiang.reports.lab_comparison import comparison_page
from dujiang.reports.lab_document import Document
from dujiang.reports.lab_page import Page
from dujiang.reports.lab_run import run_page
from dujiang.reports.lab_study import study_page
from dujiang.reports.scripts import chart_library, island


def render_run(document: Document) -> str:
    """Write the page of one scenario.

    Pure: the same document gives the same text. What the document does not tell is said to be unknown.

    Parameters
    ----------
    document : `summary.json` of a run

    Returns
    -------
    an HTML document with everything inlined, well under 6 MB, most of it the chart library
    """
    return _written(run_page(document))


def render_study(document: Document) -> str:
    """Write the page of a study; `document` is `study.json`, all else as in `render_run`."""
    return _written(study_page(document))


def render_comparison(documents: Sequence[Document]) -> str:
    """Write the page of runs side by side; `documents` are their `summary.json`, all else as in `render_run`."""
    return _written(comparison_page(documents))


def _written(page: Page) -> str:
    template = environment(island=island).get_template("lab.html.jinja")
    return template.render(page=page, plotly=chart_library())
