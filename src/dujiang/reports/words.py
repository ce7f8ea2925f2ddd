"""Numbers and closed sets in the words of both languages."""

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from dujiang.core.money import MICRO, round_to_fen
from dujiang.core.text import Text
from dujiang.market.outcome import Coupling, Reason
from dujiang.metering.usage import UsageOutcome

UNKNOWN = Text("Not known", "未知")
NONE = "–"
"""Stands in a cell where a figure does not exist (nothing offered, nothing asked)."""

COUPLING_WORDS: dict[Coupling, Text] = {
    Coupling.ISOLATED: Text("each region by itself", "各区域各自撮合"),
    Coupling.FULL: Text("all centres together", "全网统一撮合"),
}

REASON_WORDS: dict[Reason, Text] = {
    Reason.NO_COMPATIBLE_POOL: Text("No centre within reach has what it needs", "可达范围内没有合适的算力"),
    Reason.NO_ROOM: Text("Too big or too urgent for every suitable pool", "规模过大或时间过紧"),
    Reason.LIMIT_BELOW_ASK: Text("Offered less than any centre's floor price", "出价低于所有中心的保留价"),
    Reason.LIMIT_BELOW_PRICE: Text("Offered less than the price of the round", "出价低于本轮成交价"),
    Reason.VOUCHER_EXHAUSTED: Text("Could pay only with a voucher that had run out", "需用券，而券额已用完"),
    Reason.LINK_FULL: Text("Could pay, but the link for its data was full", "付得起，但传输链路已满"),
    Reason.PARADOXICAL: Text("Could pay, but no unbroken block was left", "付得起，但没有完整时段可排"),
}

KIND_WORDS: dict[str, Text] = {
    "enterprise": Text("Enterprise", "企业"),
    "manufacturing_enterprise": Text("Manufacturer", "制造业企业"),
    "software_it_enterprise": Text("Software and IT firm", "软件和信息技术企业"),
    "university": Text("University", "高校"),
    "research_institute": Text("Research institute", "科研院所"),
}

USAGE_WORDS: dict[UsageOutcome, Text] = {
    UsageOutcome.ENDED: Text("ran to their end", "运行完成"),
    UsageOutcome.FAILED: Text("failed on the way", "中途失败"),
    UsageOutcome.CANCELLED: Text("were stopped", "被终止"),
    UsageOutcome.NEVER_STARTED: Text("never started", "未启动"),
    UsageOutcome.UNSEEN: Text("have no reading yet", "尚无读数"),
}

SIZE_BANDS: tuple[tuple[int, Text], ...] = (
    (10, Text("Under 10 people", "不足10人")),
    (100, Text("10-99 people", "10-99人")),
    (300, Text("100-299 people", "100-299人")),
)
"""Upper ends (exclusive) by staff; the steps are those for software and IT services in 工信部联企业〔2011〕300号."""
SIZE_TOP = Text("300 people or more", "300人及以上")


def joined(parts: Iterable[Text]) -> Text:
    """Join sentences: with a space in English, without one in Chinese."""
    parts = tuple(parts)
    return Text(" ".join(part.en for part in parts), "".join(part.zh for part in parts))


def same(text: str) -> Text:
    """Return a name that is the same in both languages."""
    return Text(text, text)


def whole(value: float | None) -> str:
    """Write a count with thousands separators."""
    return NONE if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Write a share in percent with one decimal."""
    return NONE if value is None else f"{100 * value:,.1f}%"


def at_most(value: float) -> str:
    """Write a share in percent, rounded up to 0.01: a bound must not look tighter than it is."""
    return f"{math.ceil(round(value * 1e4, 6)) / 100:.2f}%"


def at_least(value: float) -> str:
    """Write a share in percent, rounded down to 0.01."""
    return f"{math.floor(round(value * 1e4, 6)) / 100:.2f}%"


def decimal(value: float | None, places: int = 2) -> str:
    """Write a number with thousands separators and a fixed number of decimals."""
    return NONE if value is None else f"{value:,.{places}f}"


def yuan(ucny: int | None) -> str:
    """Write micro-yuan in yuan to the fen, for a table cell."""
    if ucny is None:
        return NONE
    return f"{Decimal(round_to_fen(ucny)) / MICRO:,.2f}"


def _scaled(value: Decimal, unit: int) -> str:
    """Three or four significant digits: what a reader can hold in mind."""
    scaled = value / unit
    places = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 1000 else 0
    return f"{scaled.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,}"


def money(ucny: int) -> Text:
    """Say an amount for a headline, in the units that each language counts in."""
    value = Decimal(ucny) / MICRO
    size = abs(value)
    if size >= 10**9:
        en = f"CNY {_scaled(value, 10**9)} billion"
    elif size >= 10**6:
        en = f"CNY {_scaled(value, 10**6)} million"
    else:
        en = f"CNY {value:,.0f}"
    if size >= 10**8:
        zh = f"{_scaled(value, 10**8)} 亿元"
    elif size >= 10**4:
        zh = f"{_scaled(value, 10**4)} 万元"
    else:
        zh = f"{value:,.0f} 元"
    return Text(en, zh)


def gpu_hours(value: float) -> Text:
    """Say an amount of compute."""
    zh = f"{_scaled(Decimal(value), 10**4)} 万卡时" if value >= 10**5 else f"{value:,.0f} 卡时"
    return Text(f"{value:,.0f} GPU-hours", zh)


def energy(kwh: float) -> Text:
    """Say an amount of energy."""
    if kwh >= 10_000:
        return Text(f"{kwh / 1000:,.1f} MWh", f"{kwh / 1e4:,.2f} 万度")
    return Text(f"{kwh:,.0f} kWh", f"{kwh:,.0f} 度")


def carbon(kg: float) -> Text:
    """Say a mass of carbon dioxide."""
    if kg >= 1000:
        return Text(f"{kg / 1000:,.1f} t CO₂", f"{kg / 1000:,.1f} 吨二氧化碳")
    return Text(f"{kg:,.0f} kg CO₂", f"{kg:,.0f} 千克二氧化碳")
