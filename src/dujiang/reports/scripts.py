"""What a page with charts carries inside: the chart library, and data that cannot end its script element."""

import json
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dujiang.reports.charts import plain


def chart_library() -> Markup:
    """Return the chart library as it stands inside a page."""
    return Markup(get_plotlyjs())  # noqa: S704 the library's own bundle


def island(value: Any) -> Markup:
    """Write JSON that no string inside it can break out of."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 every character that could end the script is escaped
