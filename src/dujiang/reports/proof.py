"""Section 7: the certificate, what its words mean."""

from collections.abc import Callable, Mapping
from typing import Any

from dujiang.core.text import Text
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    Pair,
    coupling,
)
from dujiang.reports.layout import Table, table_of
from dujiang.reports.words import (
    COUPLING_WORDS,
    NONE,
    at_most,
    decimal,
    money,
    share,
    whole,
    yuan,
)


def certificate(data: ReportData) -> tuple[Table, float | None, Text]:
    """Section 7: the figures of the certificate, the gauge and what it says."""
    pair = Pair.of(data)
    columns = [outcome for outcome in (pair.before, pair.after) if outcome is not None]
    head: list[Text] = [Text("Figure", "指标"), *(COUPLING_WORDS[coupling(outcome)] for outcome in columns)]

    def line(words: Text, say: Callable[[Mapping[str, Any]], str]) -> list[Text | str]:
        return [words, *(say(outcome.summary) for outcome in columns)]

    def amount(summary: Mapping[str, Any], key: str) -> str:
        exact, rounded = summary.get(f"{key}_ucny"), summary.get(f"{key}_cny")
        return yuan(exact) if exact is not None else decimal(rounded)

    rows = [
        line(Text("Value of the allocation (welfare), CNY", "分配价值（福利，元）"), lambda s: amount(s, "welfare")),
        line(
            Text("No allocation is worth more than (bound), CNY", "任何分配都不超过（上界，元）"),
            lambda s: amount(s, "dual_bound"),
        ),
        line(Text("Gap", "差距"), lambda s: NONE if s.get("gap") is None else f"≤ {at_most(s['gap'])}"),
        line(Text("Uplift, CNY", "价差（元）"), lambda s: amount(s, "uplift")),
        line(Text("Orders", "订单数"), lambda s: whole(s.get("orders"))),
        line(Text("Awards", "中标数"), lambda s: whole(s.get("awards"))),
        line(Text("Accelerators in use", "算力使用率"), lambda s: share(s.get("utilisation"))),
        line(Text("Orders served", "订单满足率"), lambda s: share(s.get("served_share"))),
        line(Text("GPU-hours served", "卡时满足率"), lambda s: share(s.get("gpu_hours_served_share"))),
        line(Text("Mean wait, hours", "平均等待（小时）"), lambda s: decimal(s.get("mean_wait_h"), 1)),
        line(Text("Paid to centres, CNY", "付算力中心（元）"), lambda s: amount(s, "turnover")),
        line(Text("Paid for transfer, CNY", "传输费（元）"), lambda s: amount(s, "transfer")),
        line(Text("Carbon term of the value, CNY", "其中碳成本项（元）"), lambda s: amount(s, "carbon_term")),
        line(Text("Small-firm term of the value, CNY", "其中小企业项（元）"), lambda s: amount(s, "small_firm_term")),
    ]
    summary = data.outcome.summary
    gap = summary.get("gap")
    gauge = None if gap is None or summary.get("dual_bound_ucny") == 0 else min(1.0, max(0.0, 1.0 - gap))
    return table_of(head, rows), gauge, _gauge_words(summary)


def _gauge_words(summary: Mapping[str, Any]) -> Text:
    gap, welfare, bound = summary.get("gap"), summary.get("welfare_ucny"), summary.get("dual_bound_ucny")
    if gap is None or welfare is None or bound is None:
        return Text("This outcome carries no certificate.", "本结果没有附带证书。")
    if bound == 0:
        return Text(
            "No order could have gained anything in this round; there is nothing to prove.",
            "本轮没有可实现的价值，无须证明。",
        )
    return Text(
        f"The allocation is worth {money(welfare).en}. From the published prices alone it follows that no other "
        f"allocation of the same offers and orders can be worth more than {money(bound).en}.",
        f"本分配的价值为 {money(welfare).zh}。仅由公布的价格即可推出："
        f"同样的供给与订单，任何其他分配的价值都不超过 {money(bound).zh}。",
    )


TERMS: tuple[tuple[str, Text, Text], ...] = (
    (
        "welfare",
        Text("Value (welfare)", "分配价值（福利）"),
        Text(
            "For every order served: the most it could bear, vouchers included, less what its centre asks at least. "
            "Summed; with carbon and small-firm terms where the round asks for them.",
            "对每份获得算力的订单：其（含券）最高可承受价减去算力中心的保留成本，求和；本轮要求时计入碳与小企业项。",
        ),
    ),
    (
        "bound",
        Text("Bound", "上界"),
        Text(
            "A ceiling that no allocation can pass, computed from prices and budgets only (duality). Whoever has the "
            "result files can compute it again.",
            "任何分配都不能超过的上限，仅由价格与预算计算（对偶）。持有结果文件者均可重新计算。",
        ),
    ),
    (
        "gap",
        Text("Gap", "差距"),
        Text(
            "(Bound - value) / bound: how far this round can be from the best.",
            "（上界－价值）／上界：本轮与最优的最大可能距离。",
        ),
    ),
    (
        "floor",
        Text("Floor (reserve price)", "保留价"),
        Text(
            "The least that a centre accepts per GPU-hour. No centre gets less.",
            "算力中心可接受的最低卡时价；任何中心所得都不低于此。",
        ),
    ),
    (
        "uplift",
        Text("Uplift", "价差"),
        Text(
            "Orders are indivisible, so a few are served although the price is above what they can bear; they pay what "
            "they can. The difference is summed here and not hidden.",
            "订单不可拆分，个别订单在价格高于其承受力时仍被安排，按其承受力付费；差额在此如实汇总。",
        ),
    ),
    (
        "gpu-hour",
        Text("GPU-hour", "卡时"),
        Text("One accelerator for one hour.", "一张加速卡运行一小时。"),
    ),
    (
        "coupling",
        Text("Each region by itself / all centres together", "各区域各自撮合／全网统一撮合"),
        Text(
            "The same offers and orders cleared twice: once with every order confined to its own region or centre, "
            "once with every centre that the links reach.",
            "同样的供给与订单撮合两次：一次订单只能用本区域（或本中心）的算力，一次可用网络可达的全部中心。",
        ),
    ),
)
