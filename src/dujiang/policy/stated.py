"""Facts as people write them, and as records hold them: money in yuan becomes micro-yuan."""

from datetime import date, datetime

from dujiang.core.money import parse_micro
from dujiang.core.text import Text
from dujiang.policy.reader import as_micro
from dujiang.registry.book import Fact

MONEY = Text("an amount in yuan, not below 0", "不小于 0 的金额（元）")
SCALAR = Text("true, false, a number, text or a date", "true、false、数、文本或日期")
_MOST_DIGITS = 30


def stored_value(name: str, value: object) -> Fact | Text:
    """Return a stated fact as records hold it, or what should stand there instead.

    Parameters
    ----------
    name : as in the file; money ends in `_cny` and may be a number, or a quoted text so that nothing is rounded
    value : not None, which states nothing
    """
    if name.endswith("_cny"):
        micro = parse_micro(value) if isinstance(value, str) else as_micro(value)
        return MONEY if micro is None or micro < 0 else micro
    if isinstance(value, datetime) or not isinstance(value, bool | int | float | str | date):
        return SCALAR
    # Nothing that is counted has so many digits; Python refuses to write numbers of thousands of them.
    return SCALAR if isinstance(value, int) and abs(value) > 10**_MOST_DIGITS else value
