"""Section 1: the round in three plain sentences and six figures."""

from collections.abc import Mapping
from typing import Any

from dujiang.core.text import Text
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    Pair,
    count_of,
    coupling,
    energy_use,
    money_paid,
    moved_by_vouchers,
)
from dujiang.reports.layout import Card
from dujiang.reports.words import (
    COUPLING_WORDS,
    NONE,
    UNKNOWN,
    at_least,
    carbon,
    energy,
    gpu_hours,
    money,
    same,
    share,
    whole,
)


def story(data: ReportData) -> tuple[Text, ...]:
    """Tell the round in three plain sentences."""
    book, pair = data.book, Pair.of(data)
    orders, firms = book.orders.height, book.orders["enterprise_id"].n_unique()
    cards, centres = int(book.pools["gpus"].sum()), book.centres.height
    if not orders:
        return (
            Text(
                f"Nobody asked for compute in this round; {centres:,} centres offered {cards:,} accelerators.",
                f"本轮没有需求订单；{centres:,} 个算力中心共提供 {cards:,} 张加速卡。",
            ),
        )
    first = Text(
        f"{firms:,} organisations placed {orders:,} orders for the {cards:,} accelerators of {centres:,} computing "
        f"centres over {_span(book.slots).en}.",
        f"{firms:,} 家单位在 {_span(book.slots).zh}内提交 {orders:,} 份订单，"
        f"面向 {centres:,} 个算力中心的 {cards:,} 张加速卡。",
    )
    paid = money_paid(data.outcome)
    gap = data.outcome.summary.get("gap")
    certified = _gap_sentence(gap)
    third = Text(
        f"Enterprises pay {money(paid['net_ucny']).en} and vouchers {money(paid['voucher_ucny']).en}; {certified.en}",
        f"企业自付 {money(paid['net_ucny']).zh}，算力券支付 {money(paid['voucher_ucny']).zh}；{certified.zh}",
    )
    return first, _second(pair), third


def _span(slots: int) -> Text:
    if slots % 24 == 0:
        days = slots // 24
        return Text(f"{days:,} day{'s' if days != 1 else ''}", f"{days:,} 天")
    return Text(f"{slots:,} hours", f"{slots:,} 小时")


def _second(pair: Pair) -> Text:
    after = pair.after.summary
    served, use = count_of(after, "awards"), share(after.get("utilisation"))
    if pair.before is None:
        return Text(
            f"{served:,} of them were served ({share(after.get('served_share'))}), and {use} of the accelerator hours "
            "on offer are in use.",
            f"其中 {served:,} 份获得算力（{share(after.get('served_share'))}），可用卡时的使用率为 {use}。",
        )
    before = pair.before.summary
    kinds = [COUPLING_WORDS[coupling(outcome)] for outcome in (pair.before, pair.after)]
    was = share(before.get("utilisation"))
    return Text(
        f"With {kinds[0].en}, {count_of(before, 'awards'):,} orders find a place and {was} of the "
        f"accelerator hours are used; with {kinds[1].en}, {served:,} orders and {use}.",
        f"{kinds[0].zh}时，{count_of(before, 'awards'):,} 份订单获得算力，使用率 {was}；"
        f"{kinds[1].zh}后，{served:,} 份订单获得算力，使用率 {use}。",
    )


def _gap_sentence(gap: float | None) -> Text:
    if gap is None:
        return Text("how close this is to the best possible is not certified.", "与最优方案的差距未经证明。")
    if gap <= 0:
        return Text("it is proven that no other allocation is worth more.", "可证明没有更优的分配方案。")
    return Text(
        f"it is proven that this reaches at least {at_least(1 - gap)} of the best possible value.",
        f"可证明已达到最优价值的 {at_least(1 - gap)} 以上。",
    )


def cards(data: ReportData) -> tuple[Card, ...]:
    """Return the key figures."""
    pair = Pair.of(data)
    after, before = pair.after.summary, None if pair.before is None else pair.before.summary
    paid = money_paid(data.outcome)
    moved, _, idle = moved_by_vouchers(data.book, data.outcome)
    orders = data.book.orders.height
    turnover = paid["gross_ucny"] + paid["transfer_ucny"]
    vouchers = (
        Text(
            f"{gpu_hours(moved).en} ran that could not have paid their own way; {money(idle).en} was not needed",
            f"撬动 {gpu_hours(moved).zh}原本付不起的算力；其中 {money(idle).zh}未起作用",
        )
        if paid["voucher_ucny"]
        else Text("no voucher was used in this round", "本轮未使用算力券")
    )
    return (
        Card(
            Text("Accelerators in use", "算力使用率"),
            same(share(after.get("utilisation"))),
            None if before is None else same(share(before.get("utilisation"))),
            Text("share of the accelerator hours on offer", "占可用卡时的比例"),
        ),
        Card(
            Text("Orders served", "获得算力的订单"),
            same(whole(count_of(after, "awards"))),
            None if before is None else same(whole(count_of(before, "awards"))),
            Text(
                f"of {orders:,} orders ({share(after.get('served_share'))})",
                f"共 {orders:,} 份（{share(after.get('served_share'))}）",
            ),
        ),
        Card(
            Text("Money paid", "成交金额"),
            money(turnover),
            None,
            Text(
                f"{money(paid['gross_ucny']).en} to centres, {money(paid['transfer_ucny']).en} for data transfer",
                f"付给算力中心 {money(paid['gross_ucny']).zh}，数据传输 {money(paid['transfer_ucny']).zh}",
            ),
        ),
        Card(Text("Voucher money", "算力券资金"), money(paid["voucher_ucny"]), None, vouchers),
        _proof_card(data.outcome.summary),
        _energy_card(data),
    )


def _proof_card(summary: Mapping[str, Any]) -> Card:
    title, gap = Text("Proven share of the best possible", "可证明达到最优的比例"), summary.get("gap")
    if gap is None:
        return Card(title, same(NONE), None, Text("this outcome carries no certificate", "本结果没有附带证书"))
    if summary.get("dual_bound_ucny") == 0:
        return Card(title, same(NONE), None, Text("there was nothing to gain in this round", "本轮没有可实现的价值"))
    checked = Text("of value; anyone can check it from the result files alone", "按价值计；任何人都可仅凭结果文件复核")
    return Card(title, same(f"≥ {at_least(1 - gap)}"), None, checked)


def _energy_card(data: ReportData) -> Card:
    title = Text("Energy and carbon", "能耗与碳排放")
    use = None if data.usage is None else energy_use(data.usage)
    if use is None or use["kwh"].null_count() == use.height:
        return Card(title, UNKNOWN, None, Text("nothing was metered yet", "尚无计量数据"))
    known = float(use["kwh"].sum())
    gaps = int(use["kwh_unknown"].sum()), int(use["kgco2_unknown"].sum())
    if use["kgco2"].null_count() == use.height:
        mass = Text("carbon not known", "碳排放未知")
    else:
        mass = carbon(float(use["kgco2"].sum()))
    missing = Text("", "")
    if any(gaps):
        missing = Text(
            f"; without {gaps[0]:,} awards of unknown energy and {gaps[1]:,} of unknown carbon",
            f"；未含能耗未知的 {gaps[0]:,} 份、碳排放未知的 {gaps[1]:,} 份",
        )
    return Card(
        title,
        energy(known),
        None,
        Text(mass.en + ", from metered hours" + missing.en, mass.zh + "，按计量卡时估算" + missing.zh),
    )
