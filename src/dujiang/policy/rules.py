"""The rules of a programme as sentences, each with what it rests on: one list for pages, terminals and comparisons."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dujiang.core.money import MICRO, cny
from dujiang.core.text import Text
from dujiang.policy.programme import (
    SILENT_BUDGET,
    Asked,
    Base,
    Basis,
    BudgetRule,
    Condition,
    ConditionGroup,
    Exclude,
    How,
    Jurisdiction,
    Level,
    Method,
    Per,
    Period,
    Programme,
    RateRule,
    Rounding,
    Scope,
    Settlement,
    SourceStatus,
    SpecialRate,
    Tiers,
    VoucherTermsOfLife,
    With,
)

LEVEL_WORDS = {
    Level.NATION: Text("nation", "国家"),
    Level.PROVINCE: Text("province", "省"),
    Level.CITY: Text("city", "市"),
}
STATUS_WORDS = {
    SourceStatus.RULE: Text("a rule", "规则"),
    SourceStatus.PLAN: Text("a plan, not a rule", "计划，并非规则"),
    SourceStatus.RECOMMENDATION: Text("a recommendation, not a rule", "建议，并非规则"),
    SourceStatus.DESCRIBED: Text("told of, without its rule", "仅有描述，未见规则"),
    SourceStatus.GAP: Text("looked for and not found", "查找未见"),
}
GOOD_WORDS = {
    "compute": Text("compute", "算力"),
    "corpus": Text("corpora", "语料"),
    "model": Text("models", "模型"),
    "application": Text("applications", "应用"),
    "project": Text("projects", "项目"),
    "standard": Text("standards", "标准"),
}
BASE_WORDS = {
    Base.CONTRACT: Text("what the contract says", "合同金额"),
    Base.ACTUAL: Text("what was really used and invoiced", "实际服务额"),
    Base.INVESTMENT: Text("what is invested", "投资额"),
    Base.PREMIUM: Text("the premium", "保费"),
    Base.PURCHASE: Text("what the purchase costs", "采购费用"),
    Base.SETTLED: Text("what was settled and paid", "结算费用"),
}
_PER = {
    Per.ENTERPRISE: Text("an enterprise", "每家单位"),
    Per.CONTRACT: Text("a contract", "每份合同"),
    Per.PROJECT: Text("a project", "每个项目"),
}
_PERIOD = {Period.YEAR: Text("a year", "每年"), Period.VALIDITY: Text("over its whole validity", "整个有效期")}
_BUDGET_RULE = {
    BudgetRule.FIRST_COME: Text("first come, first served", "先到先得，额满为止"),
    BudgetRule.PRO_RATA: Text("all are cut alike when it runs out", "不足时按比例核减"),
    BudgetRule.CLEARING: Text("the clearing decides who is served", "由撮合出清决定"),
}
_SETTLEMENT = {
    Settlement.QUARTERLY: Text("settled every quarter", "按季兑付"),
    Settlement.AFTER_PAYMENT: Text("redeemed after the supplier was paid in full", "先付后兑"),
    Settlement.AFTER_USE: Text("paid to the user after use", "使用后直补"),
    Settlement.EX_POST: Text("awarded after the fact", "事后奖补"),
    Settlement.SELECTION: Text("paid to those selected", "评选发放"),
    Settlement.TARGET_AGREEMENT: Text("paid when agreed targets are met", "按目标责任书兑付"),
}
_HOW = {
    How.ANY: Text("at least one of", "至少满足一项"),
    How.ALL: Text("all of", "全部满足"),
    How.NONE: Text("none of", "均不得出现"),
}


class Part(StrEnum):
    """Where on a page a rule stands, in this order."""

    ABOUT = "about"
    WHO = "who"
    AMOUNT = "amount"
    LIMITS = "limits"
    TOGETHER = "together"
    AFTERWARDS = "afterwards"


PART_WORDS = {
    Part.ABOUT: Text("About", "基本情况"),
    Part.WHO: Text("Who can use it", "申领条件"),
    Part.AMOUNT: Text("How much it pays", "支持标准"),
    Part.LIMITS: Text("Limits", "上限与预算"),
    Part.TOGETHER: Text("Together with other programmes", "与其他政策的关系"),
    Part.AFTERWARDS: Text("Payment and use", "兑付与使用"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in words."""

    path: str
    """Where it stands in the file; names what it is about and not its place in a list where it has a name."""
    part: Part
    title: Text
    text: Text
    basis: Basis | None
    """None: it is no rule but a description, or it rests on its members."""
    depth: int = 0
    """How deep it stands in groups of conditions."""
    test: str = ""
    """What is asked of which fact, as in the file; empty where nothing is."""


def yuan(ucny: int) -> Text:
    """Write an amount with thousands separators, and its decimals where it has any."""
    whole, micro = divmod(ucny, MICRO)
    places = f".{micro:06d}".rstrip("0") if micro else ""
    return Text(f"CNY {whole:,}{places}", f"{whole:,}{places} 元")


def percent(ppm: int) -> str:
    """Write a share in percent, exactly."""
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}{f'.{rest:04d}'.rstrip('0') if rest else ''} %"


def place_words(place: Jurisdiction) -> Text:
    """Return where an issuer governs."""
    if place.level is Level.NATION:
        return Text("whole nation", "全国")
    name = " ".join(part for part in (place.province, place.city) if part)
    return Text(name, name)


def rules(programme: Programme) -> tuple[Rule, ...]:
    """Return everything that a programme says, in the order of a page."""
    return (
        *_about(programme),
        *_who(programme),
        *_amount(programme),
        *_limits(programme),
        *_together(programme),
        *_afterwards(programme),
    )


def _joined(parts: list[Text]) -> Text:
    return Text(", ".join(p.en for p in parts), "、".join(p.zh for p in parts))


def _about(p: Programme) -> Iterator[Rule]:
    def told(path: str, title: Text, value: str | Text | None) -> Iterator[Rule]:
        if value is not None:
            yield Rule(path, Part.ABOUT, title, Text(value, value) if isinstance(value, str) else value, None)

    yield from told("name", Text("name", "名称"), p.name)
    place = place_words(p.jurisdiction)
    level = LEVEL_WORDS[p.jurisdiction.level]
    yield from told("jurisdiction", Text("level", "层级"), Text(f"{level.en}: {place.en}", f"{level.zh}：{place.zh}"))
    yield from told("issuer", Text("issuer", "发布单位"), p.issuer)
    yield from told("document", Text("document", "文件"), p.document)
    yield from told("document_no", Text("document number", "文号"), p.document_no)
    yield from told("kind", Text("kind", "类别"), p.kind)
    yield from told("instrument", Text("instrument", "方式"), p.instrument)
    goods = [GOOD_WORDS.get(good, Text(good, good)) for good in p.goods]
    yield from told("good", Text("pays for", "支持标的"), _joined(goods))
    if p.source_status is not SourceStatus.RULE:
        yield from told("source_status", Text("source", "来源性质"), STATUS_WORDS[p.source_status])
    if not p.verified:
        unverified = Text("general knowledge, not confirmed by a publication", "一般知识，未经文件核实")
        yield from told("verified", Text("state", "核实情况"), unverified)
    yield from told("not_computable", Text("not computable, because", "不可计算，因为"), p.not_computable)
    yield from told("notes", Text("note", "说明"), p.notes)


def _who(p: Programme) -> Iterator[Rule]:
    first, last = p.valid.first, p.valid.last
    since = Text("first day not stated", "起始日未写明") if first is None else Text(f"from {first}", f"自 {first} 起")
    until = Text("last day not stated", "截止日未写明") if last is None else Text(f"until {last}", f"至 {last} 止")
    text = Text(f"{since.en}, {until.en}", f"{since.zh}，{until.zh}")
    yield Rule("valid", Part.WHO, Text("valid", "有效期"), text, p.valid.basis)
    for item in p.conditions:
        yield from _asked(item, "conditions", 0)


def _asked(item: Asked, path: str, depth: int) -> Iterator[Rule]:
    here = f"{path}.{item.id}"
    if isinstance(item, Condition):
        yield Rule(here, Part.WHO, Text("condition", "条件"), item.text, item.basis, depth, _test(item))
        return
    how = _HOW[item.how]
    text = Text(f"{item.text.en} ({how.en}:)", f"{item.text.zh}（{how.zh}：）")
    yield Rule(here, Part.WHO, Text("conditions", "条件组"), text, None, depth)
    for member in item.members:
        yield from _asked(member, here, depth + 1)


def _test(condition: Condition) -> str:
    """Write a condition's question as its file does, money in yuan."""
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    fact = condition.fact
    if fact.endswith("_ucny"):
        fact = f"{fact.removesuffix('_ucny')}_cny"
        values = tuple(cny(value) if type(value) is int else value for value in values)
    said = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    return f"{fact} {condition.op} {said}"


def _amount(p: Programme) -> Iterator[Rule]:
    if p.base is not None:
        yield Rule("base", Part.AMOUNT, Text("base", "计算基数"), BASE_WORDS[p.base], None)
    if p.pro_rata is not None:
        rule = p.pro_rata
        text = Text(
            f"only the days from {rule.first} to {rule.last} count, last minus first",
            f"仅计 {rule.first} 至 {rule.last} 之间的天数（止日减起日）",
        )
        yield Rule("pro_rata", Part.AMOUNT, Text("part that counts", "按天数折算"), text, rule.basis)
    title = Text("rate", "比例")
    if p.rate is not None:
        text = _rate(p.rate.share_ppm, p.rate.tiers)
        if p.rate.rule is RateRule.NOT_ABOVE:
            comma = Text(" ", " ") if p.rate.tiers is None else Text(", ", "，")
            text = Text(f"not above{comma.en}{text.en}", f"按不超过{comma.zh}{text.zh}")
        yield Rule("rate", Part.AMOUNT, title, text, p.rate.basis)
    if p.amount is not None:
        text = yuan(p.amount.amount_ucny)
        if p.amount.rule is RateRule.NOT_ABOVE:
            text = Text(f"not above {text.en}", f"不超过 {text.zh}")
        yield Rule("amount_cny", Part.AMOUNT, Text("fixed amount", "定额"), text, p.amount.basis)
    for special in p.special_rates:
        yield from _special(special)
    if p.exclusion is not None:
        items = _joined([Text(item, item) for item in p.exclusion.items])
        yield Rule("excluded_costs", Part.AMOUNT, Text("not counted", "不计入"), items, p.exclusion.basis)
    if p.rounding is not Rounding.FEN or p.cut_base:
        unit = Text("yuan", "元") if p.rounding is Rounding.YUAN else Text("fen", "分")
        base = Text("base and payment are", "基数与金额均") if p.cut_base else Text("the payment is", "金额")
        text = Text(f"{base.en} cut down to whole {unit.en}", f"{base.zh}舍去不足 1 {unit.zh}的部分")
        yield Rule("rounding", Part.AMOUNT, Text("rounding", "取整"), text, None)


def _rate(share_ppm: int | None, tiers: Tiers | None) -> Text:
    if tiers is None:
        assert share_ppm is not None
        return Text(f"{percent(share_ppm)} of the base", f"基数的 {percent(share_ppm)}")
    parts = [(percent(b.share_ppm), yuan(b.above_ucny)) for b in tiers.bands]
    if tiers.method is Method.STEP:
        return Text(
            "by the size of the whole base: " + ", ".join(f"{share} above {above.en}" for share, above in parts),
            "按基数总额分档：" + "，".join(f"超过 {above.zh} 的 {share}" for share, above in parts),
        )
    return Text(
        "slice by slice: " + ", ".join(f"{share} of what is above {above.en}" for share, above in parts),
        "分段累计：" + "，".join(f"超过 {above.zh} 的部分 {share}" for share, above in parts),
    )


def _special(special: SpecialRate) -> Iterator[Rule]:
    key = "special_rates." + "+".join(item.id for item in special.when)
    when = Text("; ".join(item.text.en for item in special.when), "；".join(item.text.zh for item in special.when))
    share = percent(special.share_ppm)
    cap = Text("", "")
    if special.cap_ucny is not None:
        most = yuan(special.cap_ucny)
        cap = Text(f", at most {most.en}", f"，最高 {most.zh}")
    text = Text(f"{share}{cap.en}, where: {when.en}", f"{share}{cap.zh}，适用于：{when.zh}")
    yield Rule(key, Part.AMOUNT, Text("special rate", "特别比例"), text, special.basis)
    for item in special.when:
        yield from _special_conditions(item, key, 1)


def _special_conditions(item: Asked, path: str, depth: int) -> Iterator[Rule]:
    """Yield the conditions of a special case, which may rest on clauses of their own."""
    here = f"{path}.{item.id}"
    if isinstance(item, ConditionGroup):
        for member in item.members:
            yield from _special_conditions(member, here, depth + 1)
    else:
        yield Rule(here, Part.AMOUNT, Text("where", "其中"), item.text, item.basis, depth, _test(item))


def _limits(p: Programme) -> Iterator[Rule]:
    for cap in p.caps:
        most, per, period = yuan(cap.amount_ucny), _PER[cap.per], _PERIOD[cap.period]
        text = Text(f"{most.en} {per.en}", f"{per.zh}最高 {most.zh}")
        if cap.per is not Per.CONTRACT:
            text = Text(f"{text.en}, {period.en}", f"{per.zh}{period.zh}最高 {most.zh}")
        yield Rule(f"cap.{cap.per}.{cap.period}", Part.LIMITS, Text("cap", "上限"), text, cap.basis)
    if p.minimum is not None:
        least = yuan(p.minimum.amount_ucny)
        yield Rule("minimum_cny", Part.LIMITS, Text("least claim", "最低申领额"), least, p.minimum.basis)
    if p.budget is not None:
        total, period = yuan(p.budget.amount_ucny), _PERIOD[p.budget.period]
        rule = SILENT_BUDGET if p.budget.rule is None else _BUDGET_RULE[p.budget.rule]
        shared = ", ".join(p.budget.shared_with)
        en, zh = f"{total.en} {period.en}; {rule.en}", f"{period.zh} {total.zh}；{rule.zh}"
        if shared:
            en, zh = f"{en}; one purse with {shared}", f"{zh}；与 {shared} 共用"
        yield Rule("budget", Part.LIMITS, Text("budget", "预算"), Text(en, zh), p.budget.basis)


def _together(p: Programme) -> Iterator[Rule]:
    if p.combined_ceiling is not None:
        ceiling = p.combined_ceiling
        others = Text("all other fiscal support", "其他各类财政支持")
        if ceiling.counts is With.GROUP:
            others = Text("other support of its group", "同组其他支持")
        share = percent(ceiling.share_ppm)
        text = Text(f"with {others.en} at most {share} of the base", f"与{others.zh}合计不超过基数的 {share}")
        yield Rule("combined_ceiling", Part.TOGETHER, Text("combined ceiling", "合计上限"), text, ceiling.basis)
    if p.stacking is not None:
        group = p.stacking.group
        text = Text(f"of the group {group} only the higher counts, once", f"{group} 组内就高不重复")
        yield Rule("stacking", Part.TOGETHER, Text("stacking", "叠加"), text, p.stacking.basis)
    for exclude in p.excludes:
        text = _excluded(exclude)
        key = exclude.group or exclude.level or "+".join(exclude.programmes)
        yield Rule(f"excludes.{key}", Part.TOGETHER, Text("not together with", "不得同时享受"), text, exclude.basis)
    for priority in p.priority:
        ids = ", ".join(priority.programmes)
        text = Text(f"those who won {ids} come first", f"优先支持已获 {ids} 的单位")
        yield Rule(f"priority.{ids}", Part.TOGETHER, Text("priority", "优先"), text, priority.basis)


def _excluded(exclude: Exclude) -> Text:
    if exclude.group is not None:
        what = Text(f"others of the group {exclude.group}", f"{exclude.group} 组其他政策")
    elif exclude.level is not None:
        level = LEVEL_WORDS[exclude.level]
        here = Text(" of the same place", "同地") if exclude.same_place else Text("", "")
        what = Text(f"programmes of level {level.en}{here.en}", f"{here.zh}{level.zh}级政策")
    else:
        what = _joined([Text(key, key) for key in exclude.programmes])
    if exclude.scope is Scope.CONTRACT:
        return Text(f"{what.en}, for the same contract", f"{what.zh}（同一合同）")
    return Text(f"{what.en}, by the same enterprise", f"{what.zh}（同一单位）")


def _afterwards(p: Programme) -> Iterator[Rule]:
    for payer in p.funded_by:
        level, share = LEVEL_WORDS[payer.level], percent(payer.share_ppm)
        text = Text(f"{share} by the {level.en}", f"{level.zh}级承担 {share}")
        yield Rule(f"funded_by.{payer.level}", Part.AFTERWARDS, Text("paid by", "资金分担"), text, payer.basis)
    if p.voucher is not None:
        text = _life(p.voucher)
        yield Rule("voucher", Part.AFTERWARDS, Text("life of a voucher", "券的使用"), text, p.voucher.basis)


def _life(voucher: VoucherTermsOfLife) -> Text:
    said: list[Text] = []
    if voucher.validity_months is not None:
        months = voucher.validity_months
        said.append(Text(f"good for {months} months", f"有效 {months} 个月"))
    if voucher.transferable is not None:
        said.append(Text("transferable", "可转让") if voucher.transferable else Text("not transferable", "不可转让"))
    if voucher.settlement is not None:
        said.append(_SETTLEMENT[voucher.settlement])
    return _joined(said)
