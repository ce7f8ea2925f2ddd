"""`report.html`: one file that opens without a network, in Chinese and English, light and dark, on screen and paper."""

from dujiang.reports.data import ReportData
from dujiang.reports.environment import environment
from dujiang.reports.page import page
from dujiang.reports.scripts import chart_library, island


def render_report(data: ReportData) -> str:
    """Write the report of one round.

    Pure: the same data give the same text. It names no order and no enterprise.

    Parameters
    ----------
    data : book, outcome and what else is known; what is None is said to be missing, never guessed

    Returns
    -------
    an HTML document with everything inlined, well under 6 MB, most of it the chart library
    """
    template = environment(island=island).get_template("report.html.jinja")
    return template.render(page=page(data), plotly=chart_library())
