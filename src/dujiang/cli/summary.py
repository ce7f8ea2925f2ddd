"""A cleared round on one screen."""

from collections.abc import Callable, Mapping
from typing import Any

from dujiang.cli.output import Output
from dujiang.core.text import Text

REASONS: Mapping[str, Text] = {
    "no_compatible_pool": Text("no compatible pool", "没有合适的资源池"),
    "no_room": Text("no room in its window", "时间窗内容纳不下"),
    "limit_below_ask": Text("limit below the reserve price", "限价低于保留价"),
    "limit_below_price": Text("limit below the price", "限价低于成交价"),
    "voucher_exhausted": Text("voucher money used up", "算力券额度用尽"),
    "paradoxical": Text("could pay, found no place", "出价足够但无处安放"),
}


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _yuan(value: float) -> str:
    return f"{value:,.0f}"


ROWS: tuple[tuple[Text, Callable[[Mapping[str, Any]], str]], ...] = (
    (Text("orders served", "成交订单"), lambda s: f"{s['awards']:,} / {s['orders']:,}"),
    (Text("share of GPU-hours served", "成交卡时占比"), lambda s: _percent(s["gpu_hours_served_share"])),
    (Text("utilisation", "利用率"), lambda s: _percent(s["utilisation"])),
    (Text("mean wait, h", "平均等待（小时）"), lambda s: f"{s['mean_wait_h']:.2f}"),
    (Text("welfare, CNY", "社会福利（元）"), lambda s: _yuan(s["welfare_cny"])),
    (Text("upper bound, CNY", "理论上界（元）"), lambda s: _yuan(s["dual_bound_cny"])),
    (Text("certified gap", "认证差距"), lambda s: f"{100 * s['gap']:.2f} %"),
    (Text("paid to centres, CNY", "算力中心收入（元）"), lambda s: _yuan(s["turnover_cny"])),
    (Text("paid to carriers, CNY", "传输费（元）"), lambda s: _yuan(s["transfer_cny"])),
    (Text("vouchers, CNY", "算力券（元）"), lambda s: _yuan(s["voucher_cny"])),
    (Text("paid by enterprises, CNY", "企业实付（元）"), lambda s: _yuan(s["net_cny"])),
    (Text("uplift (discount to limits), CNY", "让利（元）"), lambda s: _yuan(s["uplift_cny"])),
)


def show_summaries(output: Output, summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print summaries side by side, one column each, and why orders were not served."""
    names = list(summaries)
    columns = [(Text("", ""), False)] + [(Text(name, name), True) for name in names]
    rows = [[output.say(label), *(show(summaries[name]) for name in names)] for label, show in ROWS]
    for reason, label in REASONS.items():
        counts = [summaries[name]["rejections"][reason] for name in names]
        if any(counts):
            rows.append([f"  {output.say(label)}", *(f"{count:,}" for count in counts)])
    first = summaries[names[0]]
    output.table(Text(first["title"], first["title_zh"]), columns, rows)
