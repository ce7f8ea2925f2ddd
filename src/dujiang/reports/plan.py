"""A funding plan as one page: the story, where money comes from and goes, what to apply for, and what it rests on.

Made from the document of `dujiang fund` alone, so that whoever has `plan.json` can have the page. It decides nothing.
Each term that is an assumption is marked where it is used and listed at the foot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from dujiang.core.money import MICRO
from dujiang.core.text import Lang, Text
from dujiang.finance.product import TERMS
from dujiang.reports.environment import environment
from dujiang.reports.plan_chart import Band, Line, cash_chart
from dujiang.reports.words import NONE, at_most, money, same

Document = Mapping[str, Any]

_REPAYMENT_WORDS: Final[Mapping[str, Text]] = {
    "end": Text("whole, at the end of the term", "到期一次还本"),
    "equal": Text("equal parts of principal", "等额本金"),
    "free": Text("any time, at the latest at the end of the term", "期内随时归还"),
}

COST_WORDS: Final[Mapping[str, Text]] = {
    "compute": Text("compute", "算力"),
    "inference": Text("inference", "推理算力"),
    "data": Text("data", "数据"),
    "model": Text("model", "模型"),
    "people": Text("people", "人员"),
    "equipment": Text("equipment", "设备"),
    "compliance": Text("compliance", "合规"),
    "building": Text("building", "土建"),
    "power": Text("power", "电力"),
    "operations": Text("operations", "运维"),
    "acquisition": Text("acquisition", "并购"),
}
"""Kinds of cost that people use; any other stands as it is written."""

OBJECTIVE_WORDS: Final[Mapping[str, Text]] = {
    "cheapest": Text("cheapest", "成本最低"),
    "fastest": Text("fastest", "到位最快"),
    "no-dilution": Text("least diluting", "股权稀释最少"),
    "longest-runway": Text("longest-lasting", "资金跑道最长"),
}
KIND_TONES: Final[Mapping[str, str]] = {
    "loan": "debt",
    "bond": "debt",
    "receivables": "debt",
    "lease": "lease",
    "equity": "equity",
    "subsidy": "support",
}
_FIELD_WORDS: Final[Mapping[str, Text]] = {
    "costs": Text("the costs", "费用"),
    "income": Text("the income", "收入"),
    "assets": Text("the value of the assets", "资产价值"),
    "pre_money_cny": Text("the firm's worth before new money", "投前估值"),
    "own_cash_cny": Text("own cash", "自有资金"),
    "discount": Text("discount rate a year", "年折现率"),
}
WORDS: Final[Mapping[str, Text]] = {
    "assumed": Text("assumed", "含假设"),
    "clause": Text("the rule it rests on", "依据条款"),
    "assumptions": Text("What is assumed", "假设清单"),
    "assumptions_said": Text(
        "No source states the following. They are examples of this project or of whoever wrote the project file, "
        "and no facts; put a bank's own terms in their place (--terms).",
        "以下内容没有来源载明，是本项目或项目文件填写者的示例，并非事实；可用机构自己的条款替换（--terms）。",
    ),
}


_NONE_TEXT: Final = Text("none", "无")


class Column(NamedTuple):
    """A heading."""

    name: Text
    number: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table."""

    cells: tuple[Text, ...]
    strong: bool = False
    assumed: Text | None = None
    """Which of its terms are assumptions."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: Text | None = None
    empty: Text = _NONE_TEXT
    """Stands there if there are no rows."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to apply for."""

    when: Text
    name: Text
    what: Text
    clause: Text | None
    assumed: Text | None


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page."""

    title: Text
    said: Text | None = None
    tables: tuple[Table, ...] = ()
    chart: Markup | None = None
    steps: tuple[Step, ...] = ()


class Card(NamedTuple):
    """One figure in large."""

    what: Text
    figure: Text
    note: Text


class Group(NamedTuple):
    """The assumptions about one thing."""

    name: Text
    lines: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template shows."""

    title: Text
    when: Text
    story: tuple[Text, ...]
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]
    assumptions: tuple[Group, ...]
    foot: Text


def plan_page(document: Document, lang: Lang = "zh") -> str:
    """Write the page of a plan.

    Parameters
    ----------
    document : what `dujiang fund --json` prints
    lang : language that is shown first; the other is one click away

    Returns
    -------
    an HTML document with everything inside and no scripts; the same document gives the same text
    """
    return environment().get_template("plan.html.jinja").render(page=page(document), words=WORDS, lang=lang)


def page(document: Document) -> Page:
    """Put the page together."""
    view = _View(document)
    project = document["project"]
    objective = OBJECTIVE_WORDS[document["objective"]]
    months = view.months
    feasible = document["feasible"]
    kind = Text(f"The {objective.en} plan", f"{objective.zh}方案") if feasible else Text("No plan", "无可行方案")
    return Page(
        title=_name(project),
        when=Text(
            f"{kind.en}, {months[0]} to {months[-1]}, {len(months)} months",
            f"{kind.zh}，{months[0]} 至 {months[-1]}，共 {len(months)} 个月",
        ),
        story=_story(view) if feasible else _shortfall_story(view),
        cards=_cards(view) if feasible else (),
        sections=tuple(_sections(view) if feasible else _shortfall_sections(view)),
        assumptions=_assumptions(view),
        foot=Text(
            "Interest is simple per month and rounded to the fen; costs are paid in their month, money is drawn at its "
            "opening and repaid at its end. Tables are in whole yuan, plan.json is to the fen. "
            "A plan is no offer: every institution decides by itself.",
            "利息按月单利计、四舍六入五成双到分；费用当月支付，资金月初提用、月末偿还。"
            "表中金额取整到元，plan.json 精确到分。方案不构成要约，是否提供由各机构自行决定。",
        ),
    )


class _View:
    """The document, with names and amounts at hand; amounts in micro-yuan."""

    def __init__(self, document: Document) -> None:
        self.doc = document
        self.project = document["project"]
        self.instruments = {item["id"]: item for item in document["instruments"]}
        year, month = map(int, self.project["start"].split("-"))
        whole = range(self.project["months"])
        self.months = [f"{year + (month - 1 + m) // 12:04d}-{(month - 1 + m) % 12 + 1:02d}" for m in whole]
        rows = self.project["costs"].values()
        self.costs = [sum(_ucny(row[m]) for row in rows) for m in whole]
        self.income = [_ucny(amount) for amount in self.project["income"]]

    def name(self, key: str) -> Text:
        """Return the name of an instrument, of a milestone, or the key itself."""
        if key in self.instruments:
            return _name(self.instruments[key])
        milestone = next((m for m in self.project["milestones"] if m["id"] == key), None)
        if milestone is None or not milestone["what"]:
            return same(key)
        return Text(milestone["what"], milestone["what_zh"])

    def assumed(self, key: str) -> Text | None:
        """Say which terms of an instrument are assumptions."""
        return _terms(self.instruments[key]["assumed"]) if key in self.instruments else None

    def unfunded(self) -> list[int]:
        """Return the cash at the end of each month if nothing were raised."""
        flows = [i - c for i, c in zip(self.income, self.costs, strict=True)]
        return list(accumulate(flows, initial=_ucny(self.project["own_cash_cny"])))[1:]

    def by_month(self, field: str, kinds: Iterable[str] | None = None) -> list[float]:
        """Return a field of the schedule by month, in yuan, of some kinds of instruments or of all."""
        wanted = None if kinds is None else set(kinds)
        found = dict.fromkeys(self.months, 0.0)
        for row in self.doc["schedule"]:
            if wanted is None or self.instruments[row["instrument_id"]]["kind"] in wanted:
                found[row["month"]] += row[field]
        return list(found.values())


def _ucny(yuan_: float) -> int:
    return round(yuan_ * MICRO)


def _name(item: Document) -> Text:
    return Text(item["name"], item["name_zh"])


def _says(item: Document, name: str) -> Text | None:
    return None if item[name] is None else Text(item[name], item[f"{name}_zh"])


def _percent(share: float | None) -> Text:
    return same(NONE if share is None else f"{share:.2%}")


def _amount(yuan_: float | None) -> Text:
    """Write an amount for a table, to the yuan: the fen are in the document."""
    return same(NONE if yuan_ is None else f"{round(yuan_):,}".replace("-", "−"))


def _terms(names: Sequence[str]) -> Text | None:
    if not names:
        return None
    words = [TERMS[name].text if name in TERMS else same(name) for name in names]
    return Text(
        f"Assumed and not stated by a source: {', '.join(w.en for w in words)}",
        f"假设（来源未载明）：{'、'.join(w.zh for w in words)}",
    )


def _listed(names: Sequence[Text]) -> Text:
    # A name with a comma would look like two.
    between, last = ("; ", "; and ") if any("," in n.en for n in names) else (", ", " and ")
    en = between.join(n.en for n in names[:-1]) + (last if len(names) > 1 else "") + (names[-1].en if names else "")
    return Text(en, "、".join(n.zh for n in names))


# The story


def _need(view: _View) -> Text:
    """Say what the project needs."""
    spent, earned = money(sum(view.costs)), money(sum(view.income))
    own, cash = money(_ucny(view.project["own_cash_cny"])), view.unfunded()
    broke = next((m for m, amount in enumerate(cash) if amount < 0), None)
    start = Text(
        f"Over {len(view.months)} months the project spends {spent.en} and earns {earned.en}",
        f"{len(view.months)} 个月内，项目支出 {spent.zh}，收入 {earned.zh}",
    )
    if broke is None:
        return Text(f"{start.en}; its own {own.en} would do.", f"{start.zh}；自有资金 {own.zh} 已经够用。")
    worst = min(range(len(cash)), key=cash.__getitem__)
    missing = money(-cash[worst])
    return Text(
        f"{start.en}; its own {own.en} would be used up in {view.months[broke]}, and in {view.months[worst]} "
        f"{missing.en} would be missing.",
        f"{start.zh}；自有资金 {own.zh} 将在 {view.months[broke]} 用尽，"
        f"缺口在 {view.months[worst]} 达到最大，为 {missing.zh}。",
    )


def _story(view: _View) -> tuple[Text, ...]:
    return tuple(said for said in (_need(view), _answer(view), _hinges(view)) if said is not None)


def _answer(view: _View) -> Text:
    """Say how it is funded and what that costs."""
    cost = view.doc["cost_of_capital"]
    drawn = [i for i in cost["instruments"] if i["drawn_cny"]]
    drawn.sort(key=lambda i: -i["drawn_cny"])
    supports = [i for i in cost["instruments"] if i["subsidy_cny"]]
    parts_en, parts_zh = [], []
    if drawn:
        total = money(sum(_ucny(i["drawn_cny"]) for i in drawn))
        names = _listed([view.name(i["instrument_id"]) for i in drawn])
        parts_en.append(f"raises {total.en} from {names.en}")
        parts_zh.append(f"向{names.zh}筹集 {total.zh}")
    if supports:
        total, names = money(_ucny(cost["support_cny"])), _listed([view.name(i["instrument_id"]) for i in supports])
        parts_en.append(f"gets back {total.en} of public support ({names.en})")
        parts_zh.append(f"以{names.zh}取得财政支持 {total.zh}")
    if not parts_en:
        return Text("The plan raises nothing.", "方案无需筹资。")
    charges, share = money(_ucny(cost["charges_cny"])), view.doc["dilution"]["share"]
    rate = cost["annual_rate"]
    asked = any(i["gain_cny"] for i in cost["instruments"])
    price_en = f"interest{', fees and what investors ask for' if asked else ' and fees'} come to {charges.en}"
    price_zh = f"利息{'、费用及投资人要求的收益' if asked else '和费用'}合计 {charges.zh}"
    if rate is not None:
        price_en += f", {rate:.1%} a year"
        price_zh += f"，年化 {rate:.1%}"
    if share:
        price_en += f", and {share:.1%} of the firm goes to investors"
        price_zh += f"，投资人取得 {share:.1%} 的股权"
    return Text(f"The plan {' and '.join(parts_en)}; {price_en}.", f"方案{'，'.join(parts_zh)}；{price_zh}。")


def _hinges(view: _View) -> Text | None:
    """Say on what the plan depends most: what it cannot do without, and the worst that may happen."""
    parts_en, parts_zh = [], []
    lost = [a for a in view.doc["alternatives"] if a["feasible"] is False]
    dear = [a for a in view.doc["alternatives"] if a["feasible"] and a["more_cny"]]
    if lost:
        name = _listed([view.name(a["without"]) for a in lost])
        parts_en.append(f"there is no plan without {name.en}")
        parts_zh.append(f"缺少{name.zh}则无可行方案")
    elif dear:
        most = max(dear, key=lambda a: a["more_cny"])
        name, more = view.name(most["without"]), money(_ucny(most["more_cny"]))
        parts_en.append(f"without {name.en} it would cost {more.en} more")
        parts_zh.append(f"没有{name.zh}将多付 {more.zh}")
    broken = [s for s in view.doc["shocks"] if s["breaks_month"] is not None]
    if broken:
        worst = max(broken, key=lambda s: (s["shortfall_cny"] or 0, s["missing_cny"]))
        what, missing = _shock_words(view, worst), money(_ucny(worst["missing_cny"]))
        parts_en.append(f"if {what.en}, it breaks in {worst['breaks_month']} and is {missing.en} short")
        parts_zh.append(f"若{what.zh}，将在 {worst['breaks_month']} 断裂，最多缺 {missing.zh}")
    elif view.doc["shocks"]:
        parts_en.append("it holds whichever milestone slips or purse runs dry")
        parts_zh.append("里程碑推迟或资金池用尽时方案仍成立")
    if not parts_en:
        return None
    said = "; ".join(parts_en)
    return Text(f"{said[0].upper()}{said[1:]}.", f"{'；'.join(parts_zh)}。")


def _shock_words(view: _View, shock: Document) -> Text:
    name = view.name(shock["subject"])
    if shock["kind"] == "slip":
        months = shock["months"]
        return Text(f'"{name.en}" slips by {months} months', f"“{name.zh}”推迟 {months} 个月")
    return Text(f"the purse of {name.en} runs dry", f"{name.zh}资金用尽")


def _cards(view: _View) -> tuple[Card, ...]:
    cost, optimum = view.doc["cost_of_capital"], view.doc["optimum"]
    raised = sum(_ucny(i["drawn_cny"]) for i in cost["instruments"])
    share = view.doc["dilution"]["share"]
    charges, support = (money(_ucny(cost[f"{name}_present_value_cny"])) for name in ("charges", "support"))
    low = min(view.doc["cash"], key=lambda row: row["closing_cny"])
    helped = Card(
        Text("public support", "财政支持"),
        money(_ucny(cost["support_cny"])),
        Text(f"today worth {support.en}", f"折现 {support.zh}"),
    )
    cards = [
        Card(Text("raised", "筹资"), money(raised), Text("debt and equity, drawn in all", "债务和股权累计提用")),
        Card(
            Text("cost of capital, net", "资金净成本（现值）"),
            money(_ucny(cost["present_value_cny"])),
            Text(f"{charges.en} of charges less support", f"费用 {charges.zh} 减去财政支持")
            if cost["support_cny"]
            else Text("all charges, discounted", "全部费用折现"),
        ),
        Card(
            Text("a year", "年化资金成本"),
            _percent(cost["annual_rate"]),
            Text("all financiers together, without support", "全部出资方合计，不计补助"),
        ),
        Card(
            Text("lowest cash", "月末现金最低"),
            money(_ucny(low["closing_cny"])),
            Text(f"end of {low['month']}", f"{low['month']} 月末"),
        ),
    ]
    if cost["support_cny"]:
        cards.insert(1, helped)
    if owed := sum(view.doc["owed_at_end"].values()):
        cards.append(Card(Text("owed at the end", "期末欠款"), money(_ucny(owed)), same(view.months[-1])))
    if share is None or share:
        worth = view.project["pre_money_cny"]
        note = Text("the firm's worth is not stated", "未给出估值")
        if worth is not None:
            said = money(_ucny(worth))
            note = Text(f"at a worth of {said.en} before", f"投前估值 {said.zh}")
        cards.append(Card(Text("goes to investors", "出让股权"), _percent(share), note))
    proof = Text("proven", "已证明") if optimum["proven"] else Text("not proven", "未证明")
    gap, said = same(f"≤ {at_most(optimum['gap'])}"), Text(f"{proof.en} by the solver", f"求解器{proof.zh}")
    cards.append(Card(Text("no plan is better by", "任何方案至多再优"), gap, said))
    return tuple(cards)


# The parts


def _sections(view: _View) -> Iterable[Section]:
    yield _sources_and_uses(view)
    yield _cash(view)
    yield _costs(view)
    yield _apply(view)
    yield _binding(view)
    if view.doc["alternatives"]:
        yield _alternatives(view)
    if view.doc["shocks"]:
        yield _shocks(view)
    yield from _left_out(view)


def _sources_and_uses(view: _View) -> Section:
    both = view.doc["sources_and_uses"]
    total = both["total_cny"]
    tables = tuple(
        _balance(view, title, both[side], total)
        for title, side in ((Text("Sources", "来源"), "sources"), (Text("Uses", "用途"), "uses"))
    )
    return Section(Text("Sources and uses", "资金来源与用途"), tables=tables)


def _balance(view: _View, title: Text, rows: Sequence[Document], total: float) -> Table:
    columns = (Column(Text("item", "项目"), False), Column(Text("CNY", "元")), Column(Text("share", "占比")))
    shown = [
        Row(
            (_item_name(row), _amount(row["amount_cny"]), _of(row["amount_cny"], total)),
            assumed=view.assumed(row["id"]),
        )
        for row in rows
        if row["amount_cny"]
    ]
    return Table(columns, (*shown, Row((Text("total", "合计"), _amount(total), _of(total, total)), strong=True)), title)


def _item_name(row: Document) -> Text:
    kind = row["id"].removeprefix("cost:")
    return COST_WORDS.get(kind, _name(row)) if kind != row["id"] else _name(row)


def _of(part: float, whole: float) -> Text:
    return same(f"{part / whole:.1%}" if whole else NONE)


def _cash(view: _View) -> Section:
    """Draw cash by month."""
    repaid, paid = (
        view.by_month("repay_cny"),
        [a + b for a, b in zip(*map(view.by_month, ("interest_cny", "fee_cny")), strict=True)],
    )
    drawn = {
        tone: view.by_month("draw_cny", [kind for kind, t in KIND_TONES.items() if t == tone])
        for tone in ("debt", "lease", "equity")
    }
    bands = [
        Band(Text("income", "收入"), "income", [x / MICRO for x in view.income]),
        Band(Text("support", "财政支持"), "support", view.by_month("subsidy_cny")),
        Band(Text("loans and other debt", "贷款等债务"), "debt", drawn["debt"]),
        Band(Text("lease", "租赁"), "lease", drawn["lease"]),
        Band(Text("equity", "股权"), "equity", drawn["equity"]),
        Band(Text("costs", "费用支出"), "costs", [x / MICRO for x in view.costs], out=True),
        Band(
            Text("repayment, interest and fees", "还本付息及费用"),
            "charges",
            [a + b for a, b in zip(repaid, paid, strict=True)],
            out=True,
        ),
    ]
    lines = [
        Line(Text("cash at the end of the month", "月末现金"), "cash", [row["closing_cny"] for row in view.doc["cash"]])
    ]
    if min(view.unfunded()) < 0:
        lines.append(
            Line(
                Text("cash if nothing were raised", "不融资时的现金"), "unfunded", [x / MICRO for x in view.unfunded()]
            )
        )
    if view.project["reserve_cny"]:
        reserve = [float(view.project["reserve_cny"])] * len(view.months)
        lines.append(Line(Text("reserve", "备用金"), "reserve", reserve))
    title = Text("Cash by month", "逐月现金")
    said = Text("What comes in stands above the line, what goes out below.", "零线以上为流入，以下为流出。")
    return Section(title, said, chart=cash_chart(view.months, bands, lines, title))


_COST_COLUMNS: Final = (
    ("drawn_cny", Text("drawn", "提用")),
    ("subsidy_cny", Text("support", "补助")),
    ("repaid_cny", Text("repaid", "已还本金")),
    ("interest_cny", Text("interest, premiums", "利息与保费")),
    ("fee_cny", Text("fees", "费用")),
    ("gain_cny", Text("investor's gain", "投资人收益")),
    ("owed_at_end_cny", Text("owed at the end", "期末欠款")),
    ("present_value_cny", Text("cost, present value", "成本现值")),
)


def _costs(view: _View) -> Section:
    cost = view.doc["cost_of_capital"]
    kept = [(f, t) for f, t in _COST_COLUMNS if any(i[f] for i in cost["instruments"])]
    rows = [
        Row(
            (
                view.name(i["instrument_id"]),
                *(_amount(i[f]) if i[f] else same(NONE) for f, _ in kept),
                _percent(i["annual_rate"]),
            ),
            assumed=view.assumed(i["instrument_id"]),
        )
        for i in cost["instruments"]
    ]
    sums = (_amount(sum(i[f] for i in cost["instruments"])) for f, _ in kept)
    rows.append(Row((Text("all together", "合计"), *sums, _percent(cost["annual_rate"])), strong=True))
    columns = (Column(Text("instrument", "工具"), False), *(Column(t) for _, t in kept), Column(Text("a year", "年化")))
    said = Text(
        f"Present value at {view.project['discount']:.1%} a year. The yearly rate is that at which all that a "
        "financier pays and gets is worth nothing (XIRR); an investor is taken to get what it asks for.",
        f"按年 {view.project['discount']:.1%} 折现。年化为使出资方全部收付净现值为零的利率（XIRR）；"
        "投资人收益按其要求的回报计。",
    )
    return Section(Text("What the money costs", "各项资金成本"), said, (Table(columns, tuple(rows)),))


def _apply(view: _View) -> Section:
    steps = []
    for row in view.doc["apply"]:
        amount = money(_ucny(row["amount_cny"]))
        name = _name(row)
        with_, source = _says(row, "with"), row["source"]
        en = f"{amount.en}, money from {row['money_month']}" if row["amount_cny"] else "Needed by others"
        zh = f"{amount.zh}，{row['money_month']} 起到账" if row["amount_cny"] else "其他工具须以此为前提"
        if with_ is not None:
            en, zh = f"{en}. Hand in: {with_.en}", f"{zh}。提交：{with_.zh}"
        if source:
            en, zh = f"{en}. Source: {source}", f"{zh}。出处：{source}"
        # Support is asked for with proof of each spend; all else before the money is needed.
        when = Text(f"by {row['apply_month']}", f"{row['apply_month']} 前")
        if row["kind"] == "subsidy":
            when = Text(f"from {row['apply_month']}", f"{row['apply_month']} 起")
        steps.append(Step(when, name, Text(f"{en}.", f"{zh}。"), _says(row, "clause"), _terms(row["assumed"])))
    said = Text(
        "“By” is the latest month that leaves enough time; support is claimed from the month of the first spend on.",
        "“前”为最迟申请月份；财政支持自首笔支出当月起按支出凭证申领。",
    )
    return Section(Text("What to apply for, and when", "申请什么，何时申请"), said, steps=tuple(steps))


def _binding(view: _View) -> Section:
    """Show the limits that are used up, those of one rule and subject in one row."""
    together: dict[tuple[str, str | None], list[Document]] = {}
    for row in view.doc["binding"]:
        together.setdefault((row["rule"], row["subject"]), []).append(row)
    rows = []
    for (_, subject), found in together.items():
        months = [row["month"] for row in found if row["month"] is not None]
        when = Text("throughout", "全程") if not months else same(months[0])
        if len(months) > 1:
            when = Text(f"{months[0]} and {len(months) - 1} more", f"{months[0]} 等 {len(months)} 个月")
        rule = _says(found[0], "says") or same(found[0]["rule"])
        name = Text("the project", "项目") if subject is None else _listed([view.name(k) for k in subject.split(", ")])
        rows.append(Row((name, rule, when, _amount(found[0]["used_cny"]), _amount(found[0]["allowed_cny"]))))
    columns = (
        Column(Text("of", "对象"), False),
        Column(Text("limit", "限制"), False),
        Column(Text("month", "月份"), False),
        Column(Text("used, CNY", "已用（元）")),
        Column(Text("limit, CNY", "限额（元）")),
    )
    said = Text(
        "These limits are used up: more room here could make the plan cheaper.", "这些限制已用足；放宽后方案可能更省。"
    )
    empty = Text("No limit is used up.", "没有用足的限制。")
    return Section(Text("What binds", "起约束作用的条件"), said, (Table(columns, tuple(rows), empty=empty),))


def _alternatives(view: _View) -> Section:
    rows = []
    for option in view.doc["alternatives"]:
        name, cost = view.name(option["without"]), option["cost_of_capital"]
        if cost is None:
            lost = Text("no plan", "无可行方案") if option["feasible"] is False else Text("none found", "未得出")
            rows.append(Row((name, lost, same(NONE), same(NONE), same(NONE))))
            continue
        brought = [view.name(key) for key in cost["brought"]]
        cells = (name, _amount(option["more_cny"]), _percent(cost["annual_rate"]), _percent(cost["dilution"]))
        rows.append(Row((*cells, _listed(brought))))
    columns = (
        Column(Text("without", "不使用"), False),
        Column(Text("costs more, CNY", "多付现值（元）")),
        Column(Text("a year", "年化")),
        Column(Text("to investors", "出让股权")),
        Column(Text("funded by", "改用"), False),
    )
    said = Text("The best plan if one instrument were not to be had.", "某一工具无法取得时的最优方案。")
    return Section(Text("The next-best plans", "次优方案"), said, (Table(columns, tuple(rows)),))


def _shocks(view: _View) -> Section:
    rows = []
    for shock in view.doc["shocks"]:
        what = _shock_words(view, shock)
        if shock["breaks_month"] is None:
            happens, missing = Text("the plan holds", "方案仍成立"), same(NONE)
        else:
            happens, missing = (
                Text(f"breaks in {shock['breaks_month']}", f"{shock['breaks_month']} 断裂"),
                _amount(shock["missing_cny"]),
            )
        if shock["more_cny"] is not None:
            anew = Text(f"costs {_amount(shock['more_cny']).en} more", f"多付 {_amount(shock['more_cny']).zh}")
        elif shock["shortfall_cny"] is not None:
            lack = _amount(shock["shortfall_cny"])
            anew = Text(f"no plan: {lack.en} missing", f"无可行方案，缺 {lack.zh}")
        else:
            anew = Text("none found", "未得出")
        rows.append(Row((Text(f"{what.en[0].upper()}{what.en[1:]}", what.zh), happens, missing, anew)))
    columns = (
        Column(Text("if", "若"), False),
        Column(Text("going on as planned", "照原方案"), False),
        Column(Text("short by, CNY", "最多缺（元）")),
        Column(Text("planned anew, had one known", "若事先知道而重新规划"), False),
    )
    return Section(Text("If things go wrong", "出现意外时"), None, (Table(columns, tuple(rows)),))


def _left_out(view: _View) -> Iterable[Section]:
    if not view.doc["left_out"]:
        return
    rows = tuple(
        Row((_name(item), _says(item, "reason") or same(""), _amount(item["would_pay_cny"] or None)))
        for item in view.doc["left_out"]
    )
    columns = (
        Column(Text("product or programme", "产品或政策"), False),
        Column(Text("why not", "原因"), False),
        Column(Text("would pay, CNY", "符合时可得（元）")),
    )
    yield Section(Text("What is left out, and why", "未采用及原因"), None, (Table(columns, rows),))


def _assumptions(view: _View) -> tuple[Group, ...]:
    """List assumptions by what they are about; of the instruments those that the plan uses."""
    used = set(view.doc.get("used", view.instruments))
    groups: dict[str, tuple[list[Text], list[Text]]] = {}
    for row in view.doc["assumptions"]:
        subject, said = row["subject"], _says(row, "says")
        if subject == "project" or subject in used:
            terms, readings = groups.setdefault(subject, ([], []))
            if said is None:
                terms.append(_assumed_value(view, row))
            else:
                readings.append(said)
    project = Text("The project file", "项目文件")
    found = []
    for key, (terms, readings) in groups.items():
        together = [Text("; ".join(t.en for t in terms), "；".join(t.zh for t in terms))] if terms else []
        found.append(Group(project if key == "project" else view.name(key), (*together, *readings)))
    return tuple(found)


def _assumed_value(view: _View, row: Document) -> Text:
    """Write one assumed term with its value."""
    term, value = row["term"], _as_used(view, row)
    words = TERMS[term].text if term in TERMS else _FIELD_WORDS.get(term, same(term))
    if value is None or isinstance(value, dict):
        return words
    if isinstance(value, list):
        shown = _listed([COST_WORDS.get(kind, same(str(kind))) for kind in value])
        if not shown.en or row["subject"] == "project":
            return words
    elif isinstance(value, bool):
        shown = Text("yes", "是") if value else Text("no", "否")
    elif term.endswith("_cny"):
        shown = Text(f"{_amount(value).en} CNY", f"{_amount(value).zh} 元")
    elif term.endswith("_months"):
        shown = Text(f"{value} months", f"{value} 个月")
    elif term == "multiple":
        shown = Text(f"{value:g} times", f"{value:g} 倍")
    elif isinstance(value, float | int):
        shown = same(f"{value:.4g}" if value > 1 else f"{value:.2%}")
    else:
        shown = _REPAYMENT_WORDS.get(value, same(str(value)))
    return Text(f"{words.en}: {shown.en}", f"{words.zh}：{shown.zh}")


def _as_used(view: _View, row: Document) -> Any:
    """Return the value of an assumed term; two terms of products stand in a plan in another form."""
    item = view.instruments.get(row["subject"])
    if item is None or row["value"] is not None:
        return row["value"]
    if row["term"] == "not_for" and item["uses"] is not None:
        return [kind for kind in view.project["costs"] if kind not in item["uses"]]
    if row["term"] == "within_months" and item["last_month"] in view.months:
        return view.months.index(item["last_month"]) + 1
    return None


# No plan


def _shortfall_story(view: _View) -> tuple[Text, ...]:
    lack = view.doc["shortfall"]
    if lack is None:
        return (_need(view), Text("There is no plan in whole amounts.", "金额取整后没有可行方案。"))
    first, whole = money(_ucny(lack["missing_in_month_cny"])), money(_ucny(lack["missing_cny"]))
    return (
        _need(view),
        Text(
            f"There is no plan: {lack['month']} fails first, by {first.en}; in all {whole.en} are missing.",
            f"没有可行方案：{lack['month']} 首先断裂，缺 {first.zh}；合计缺 {whole.zh}。",
        ),
        Text(f"What stands in the way first: {lack['says']}.", f"首要制约：{lack['says_zh']}。"),
    )


def _shortfall_sections(view: _View) -> Iterable[Section]:
    lack = view.doc["shortfall"]
    if lack is not None:
        rows = tuple(Row((same(row["month"]), _amount(row["missing_cny"]))) for row in lack["by_month"])
        columns = (Column(Text("month", "月份"), False), Column(Text("missing, CNY", "缺口（元）")))
        yield Section(Text("What is missing", "缺口"), None, (Table(columns, rows),))
        rows = tuple(
            Row((_says(row, "says") or same(row["rule"]), _amount(row["still_missing_cny"]))) for row in lack["reliefs"]
        )
        columns = (Column(Text("if lifted", "若放开"), False), Column(Text("still missing, CNY", "仍缺（元）")))
        yield Section(Text("What would help", "放开哪项有用"), None, (Table(columns, rows),))
    yield from _left_out(view)
