"""A study in three plain sentences."""

from typing import Final

from dujiang.core.text import Text
from dujiang.reports.lab_document import Estimate, Point, Study, entries, items, mapping, number, said
from dujiang.reports.lab_sentences import Story, all_of, lower, many, sentence, setting
from dujiang.reports.lab_words import Unit, amount, change, cny, compute, interval, measure_of
from dujiang.reports.words import share


def study_story(study: Study) -> Story:
    """Tell a study in three sentences."""
    first = _what_was_tried(study)
    if not study.points:
        return first, Text("There is no result yet.", "尚无结果。"), Text("Nothing can be compared.", "无从比较。")
    if study.others and study.best is not None and study.best not in study.others:
        return first, _nothing_better(study, study.best), _FRONTIER
    focus = study.focus
    reference = None if focus is None else study.reference_of(focus)
    if focus is None or reference is None:
        return first, *_without_reference(study)
    if study.mixed and focus is not study.best:
        return first, _each_change(study), _what_vouchers_do(study)
    return first, _what_changed(study, focus, reference), _who_gained(study, focus, reference)


_FRONTIER: Final = Text(
    "What the other settings would bring, and what they would cost, stands on the frontier below.",
    "其他方案的效果与花费见下文的前沿图。",
)


def _nothing_better(study: Study, best: Point) -> Text:
    """Say that a search found nothing better than the reference within what may be spent."""
    name, most = study.name(best), number(mapping(study.document.get("search")).get("budget"))
    if most is None:
        return Text(
            f'None of the settings tried does better than the reference, "{name.en}".',
            f"试过的方案均不优于对照方案“{name.zh}”。",
        )
    return Text(
        f'Within {cny(most).en}, none of the settings tried does better than the reference, "{name.en}".',
        f"在 {cny(most).zh}以内，试过的方案均不优于对照方案“{name.zh}”。",
    )


def _what_was_tried(study: Study) -> Text:
    document = study.document
    varied = entries(document.get("factors")) or entries(mapping(document.get("search")).get("over"))
    factors = [said(entry.get("name"), said(entry.get("key"))) for entry in varied]
    seeds, count, by, met = len(items(document.get("seeds"))), len(study.points), all_of(factors), setting(document)
    tried_en, tried_zh = many(count, "setting"), f"{count:,} 种方案"
    if by.en:
        tried_en, tried_zh = f"{tried_en} of {by.en}", f"按{by.zh}设 {tried_zh}"
    elif count:
        tried_zh = f"设 {tried_zh}"
    if seeds > 1:
        tried_en = f"{tried_en}{', each' if count > 1 else ''} with {seeds:,} random draws"
        tried_zh = f"{tried_zh}，{'每种' if count > 1 else ''}模拟 {seeds:,} 组随机数"
    return Text(f"The study replays {tried_en}: {met.en}.", f"本研究{tried_zh}：{met.zh}。")


_NOT_COMPARED: Final = Text(
    "no setting is named as the reference, so what a change of setting adds was not worked out",
    "没有指定对照方案，因此未计算方案改变带来的增量",
)


def _best(study: Study, best: Point) -> Text:
    """Tell of the best of a search without a reference."""
    goal, name, search = _goal(study), study.name(best), mapping(study.document.get("search"))
    found = [_level_of(study, best, str(search[axis])) for axis in ("y", "x") if isinstance(search.get(axis), str)]
    return sentence(
        [
            Text(
                f'of the settings tried, "{name.en}" comes out best for {goal.en}',
                f"在试过的方案中，以{goal.zh}衡量，“{name.zh}”结果最好",
            ),
            *found,
        ]
    )


def _without_reference(study: Study) -> tuple[Text, Text]:
    """Say what the measures are where no setting is the one that others are compared with."""
    used = [(point, value) for point in study.points if (value := point.measure("utilisation")) is not None]
    if len(study.points) == 1:
        only = study.points[0]
        return sentence([_level_of(study, only, "utilisation"), _level_of(study, only, "served_share")]), sentence(
            [Text("there is only one setting, so nothing can be compared", "只有一种方案，无从比较")]
        )
    if study.best is not None:
        return _best(study, study.best), sentence([_NOT_COMPARED])
    caution = sentence([_NOT_COMPARED])
    if len(used) < 2:
        return Text("How much of the accelerator time is at work is not known.", "加速卡使用率未知。"), caution
    low, high = (pick(used, key=lambda item: item[1].mean) for pick in (min, max))
    if low[1].mean == high[1].mean:
        use = share(low[1].mean)
        return Text(
            f"Accelerator time at work is {use} in every setting.", f"各方案的加速卡使用率均为 {use}。"
        ), caution
    at = []
    for (point, value), level in zip((low, high), (study.level, None), strict=True):
        name, between = study.name(point), interval(Unit.SHARE, value, level, differs=False)
        figure = share(value.mean)
        at.append(Text(f'{figure}{between.en} with "{name.en}"', f"“{name.zh}”，为 {figure}{between.zh}"))
    told = (
        Text("the two intervals overlap, so which is the better cannot be told", "两个区间重叠，无法判断孰优")
        if _overlap(low[1], high[1])
        else Text("", "")
    )
    return sentence(
        [
            Text(
                f"accelerator time at work is least at {at[0].en} and most at {at[1].en}",
                f"加速卡使用率最低的是{at[0].zh}，最高的是{at[1].zh}",
            ),
            told,
        ]
    ), caution


def _overlap(low: Estimate, high: Estimate) -> bool:
    return low.high is None or high.low is None or low.high >= high.low


def _level_of(study: Study, point: Point, key: str) -> Text:
    measure, value = measure_of(key, study.document), point.measure(key) or point.effect(key)
    if value is None:
        return Text(f"{lower(measure.name.en)}: not known", f"{measure.name.zh}未知")
    ends = interval(measure.unit, value, study.level, differs=False)
    is_said = amount(measure.unit, value.mean)
    return Text(f"{lower(measure.name.en)}: {is_said.en}{ends.en}", f"{measure.name.zh}为 {is_said.zh}{ends.zh}")


def _what_changed(study: Study, focus: Point, reference: Point) -> Text:
    """Say how many GPU-hours more run than in the reference, or how use changes."""
    here, there = study.name(focus), study.name(reference)
    head = Text(f'with "{here.en}" against "{there.en}", ', f"“{here.zh}”与“{there.zh}”相比，")
    if focus is study.best:
        goal = _goal(study)
        head = Text(
            f'of the settings tried, "{here.en}" comes out best for {goal.en}: against "{there.en}", ',
            f"在试过的方案中，以{goal.zh}衡量，“{here.zh}”结果最好：与“{there.zh}”相比，",
        )
    found, *rest = _changes(study, focus, reference)
    return sentence([Text(head.en + found.en, head.zh + found.zh), *rest])


_TOLD_OF: Final = 3
"""Settings that one sentence lists at most."""


def _each_change(study: Study) -> Text:
    """Say how many GPU-hours more run in each setting, where settings differ in more than vouchers."""
    known = [(p, net) for p in study.others if (net := p.effect("net_additional_gpu_hours")) is not None]
    if not known:
        return _without_reference(study)[0]
    if len(known) > _TOLD_OF:
        known = [pick(known, key=lambda item: item[1].mean) for pick in (min, max)]
    references = {reference.index: reference for p, _ in known if (reference := study.reference_of(p)) is not None}
    against = Text("each against its own reference", "各与其对照方案相比")
    if len(references) == 1:
        name = study.name(next(iter(references.values())))
        against = Text(f'against "{name.en}"', f"与“{name.zh}”相比")
    level: float | None = study.level
    clauses = []
    for point, net in known:
        clauses.append(_one_change(study.name(point), net, level))
        level = None if net.low is not None and net.low != net.high else level
    span = Text("from the least to the greatest, ", "由少到多，") if len(study.others) > _TOLD_OF else Text("", "")
    first = Text(f"{against.en}, {span.en}{clauses[0].en}", f"{against.zh}，{span.zh}{clauses[0].zh}")
    return sentence([first, *clauses[1:]])


def _one_change(name: Text, net: Estimate, level: float | None) -> Text:
    differs, between = change(Unit.GPU_HOURS, net.mean), interval(Unit.GPU_HOURS, net, level)
    if net.sign == 0:
        return Text(f'"{name.en}" runs exactly as many GPU-hours', f"“{name.zh}”运行的卡时完全相同")
    if net.sign is None:
        unsure = _including(between) if between.en else Text(" (no interval)", "（未计算区间）")
        return Text(
            f'whether "{name.en}" runs more cannot be told: {differs.en}{unsure.en}',
            f"无法判断“{name.zh}”是否多运行：{differs.zh}{unsure.zh}",
        )
    more_en, more_zh = ("more", "多") if net.mean > 0 else ("fewer", "少")
    value = net if net.mean > 0 else _turned(net)
    much, between = compute(value.mean), interval(Unit.GPU_HOURS, value, level, differs=False)
    return Text(
        f'"{name.en}" runs {much.en.removesuffix(" GPU-hours")} {more_en} GPU-hours{between.en}',
        f"“{name.zh}”{more_zh}运行 {much.zh}{between.zh}",
    )


def _what_vouchers_do(study: Study) -> Text:
    """Say what vouchers do where they are all that changes; else who pays and waits."""
    alone = [p for p in study.others if study.by_vouchers_alone(p)]
    paying = [(money.mean, p) for p in alone if (money := p.measure("voucher_cny")) is not None and money.mean > 0]
    if paying:
        _, point = max(paying, key=lambda item: (item[0], -item[1].index))
        spent, name = point.measure("voucher_cny"), study.name(point)
        assert spent is not None
        cost = _cost(study, point, spent)
        cost = Text(f'with "{name.en}", {cost.en}', f"“{name.zh}”时，{cost.zh}")
        return sentence([cost, _incidence(study, point), _losers(study, point)])
    amounts = [money.mean for p in study.points if (money := p.measure("voucher_cny")) is not None]
    if not amounts:
        told = Text("what vouchers pay is not known", "算力券支付金额未知")
    elif max(amounts) == 0:
        told = Text("no voucher is paid in any setting", "各方案均未支付算力券")
    else:
        most = cny(max(amounts))
        told = Text(
            f"vouchers pay up to {most.en}, but nowhere are they all that changes, so what they do is not told",
            f"算力券最多支付 {most.zh}，但没有一种方案只改变算力券，因此不能说明其作用",
        )
    return sentence([told, _waiting(study), _most_losers(study)])


def _waiting(study: Study) -> Text:
    known = [(point, wait) for point in study.points if (wait := point.measure("mean_wait_h")) is not None]
    if len(known) < 2:
        return Text("how long jobs wait is not known", "等待时间未知")
    parts = []
    for pick, level in ((min, study.level), (max, None)):
        point, wait = pick(known, key=lambda item: item[1].mean)
        name, between = study.name(point), interval(Unit.HOURS, wait, level, differs=False)
        mean = amount(Unit.HOURS, wait.mean)
        parts.append(Text(f'{mean.en}{between.en} with "{name.en}"', f"“{name.zh}”为 {mean.zh}{between.zh}"))
    return Text(
        f"the mean wait is between {parts[0].en} and {parts[1].en}",
        f"平均等待时间最短的{parts[0].zh}，最长的{parts[1].zh}",
    )


def _most_losers(study: Study) -> Text:
    known = [(worse.mean, point) for point in study.others if (worse := point.effect("firms_worse")) is not None]
    if not known:
        return Text("who is worse off is not known", "受损情况未知")
    _, point = max(known, key=lambda item: (item[0], -item[1].index))
    name, losers = study.name(point), _losers(study, point)
    return Text(f'with "{name.en}", {losers.en}', f"“{name.zh}”时{losers.zh}")


def _goal(study: Study) -> Text:
    """Return what a search looked for."""
    search = mapping(study.document.get("search"))
    name = measure_of(str(search.get("goal") or search.get("y")), study.document).name
    return Text(lower(name.en), name.zh)


def _changes(study: Study, focus: Point, reference: Point) -> list[Text]:
    net = focus.effect("net_additional_gpu_hours")
    if net is None:
        return [_difference(study, focus, reference, "utilisation", study.level)]
    if net.sign == 0:
        return [Text("exactly the same GPU-hours run in the replay", "模拟中运行的卡时完全相同")]
    if net.sign is None:
        return [_untold(net, study.level), _moved(focus)]
    more_en, more_zh = ("more", "多") if net.mean > 0 else ("fewer", "少")
    between = interval(Unit.GPU_HOURS, net if net.mean > 0 else _turned(net), study.level, False)
    much = compute(abs(net.mean))
    return [
        Text(
            f"{much.en.removesuffix(' GPU-hours')} {more_en} GPU-hours run in the replay{between.en}",
            f"模拟中{more_zh}运行 {much.zh}{between.zh}",
        ),
        _moved(focus),
    ]


def _turned(value: Estimate) -> Estimate:
    """Return a figure with the other sign."""
    low, high = (None if end is None else -end for end in (value.high, value.low))
    return Estimate(-value.mean, low, high)


def _untold(net: Estimate, level: float) -> Text:
    """Say that it cannot be told whether more runs."""
    differs = change(Unit.GPU_HOURS, net.mean)
    if net.low is None:
        return Text(
            f"the replay shows {differs.en}, but no interval was worked out, so it cannot be told from chance",
            f"模拟结果为 {differs.zh}，但未计算区间，无法排除偶然",
        )
    between = _including(interval(Unit.GPU_HOURS, net, level))
    return Text(
        f"whether more GPU-hours run cannot be told: {differs.en}{between.en}",
        f"无法判断运行的卡时是否增加：{differs.zh}{between.zh}",
    )


def _including(between: Text) -> Text:
    return Text(f"{between.en[:-1]}, which includes zero)", f"{between.zh[:-1]}，包含零）") if between.en else between


def _moved(focus: Point) -> Text:
    """Say what ran in one of the two settings only."""
    more, fewer = focus.effect("additional_gpu_hours"), focus.effect("displaced_gpu_hours")
    if more is None or fewer is None:
        return Text("", "")
    here, there = compute(more.mean), compute(fewer.mean)
    return Text(
        f"{here.en} run only with the former and {there.en} only with the latter",
        f"仅前者运行的有 {here.zh}，仅后者运行的有 {there.zh}",
    )


def _difference(study: Study, focus: Point, reference: Point, key: str, level: float | None) -> Text:
    """Say how a measure differs from the reference: the paired difference where it was worked out."""
    measure = measure_of(key, study.document)
    name = Text(lower(measure.name.en), measure.name.zh)
    there, here = reference.measure(key), focus.measure(key)
    if there is None or here is None:
        return Text(f"{name.en} is not known", f"{name.zh}未知")
    was, now = amount(measure.unit, there.mean), amount(measure.unit, here.mean)
    moves = Text(f"{name.en} goes from {was.en} to {now.en}", f"{name.zh}由 {was.zh}变为 {now.zh}")
    paired = paired_difference(focus, key)
    if paired is None or (paired.sign is None and paired.low is None):
        return Text(
            f"{moves.en}, without an interval that would tell it from chance", f"{moves.zh}，未计算区间，无法排除偶然"
        )
    if paired.sign == 0:
        return Text(f"{name.en} stays at exactly {now.en}", f"{name.zh}保持 {now.zh}不变")
    by, between = change(measure.unit, paired.mean), interval(measure.unit, paired, level)
    if paired.sign is None:
        between = _including(between)
        return Text(
            f"whether {name.en} changes cannot be told: {by.en}{between.en}",
            f"无法判断{name.zh}是否变化：{by.zh}{between.zh}",
        )
    return Text(f"{moves.en}, {by.en}{between.en}", f"{moves.zh}，即 {by.zh}{between.zh}")


def paired_difference(point: Point, key: str) -> Estimate | None:
    """Return the difference of a measure to the paired reference."""
    return point.effect(f"change.{key}")


def _who_gained(study: Study, focus: Point, reference: Point) -> Text:
    """Say what it took and with whom the money ended; without vouchers, how waits changed."""
    spent = focus.measure("voucher_cny")
    if spent is None or spent.mean == 0:
        none = Text("no voucher is paid there", "该方案没有支付算力券")
        if spent is None:
            none = Text("what vouchers pay is not known", "算力券支付金额未知")
        wait = _difference(study, focus, reference, "mean_wait_h", study.level)
        return sentence([none, wait, _losers(study, focus)])
    if not study.by_vouchers_alone(focus):
        wait = _difference(study, focus, reference, "mean_wait_h", study.level)
        return sentence([_cost(study, focus, spent), wait, _losers(study, focus)])
    cost, cheaper = _cost(study, focus, spent), _cheaper(study, focus)
    if cheaper.en:
        cost = Text(f"{cost.en}; {cheaper.en}", f"{cost.zh}；{cheaper.zh}")
        return sentence([cost, _incidence(study, focus, again=True), _losers(study, focus)])
    return sentence([cost, _incidence(study, focus), _losers(study, focus)])


def _cost(study: Study, focus: Point, spent: Estimate) -> Text:
    paid = cny(spent.mean)
    in_all = sum(number(entry.get("spent_cny")) or 0.0 for entry in entries(focus.entry.get("programmes")))
    if in_all > spent.mean * 1.005:
        whole = cny(in_all)
        paid = Text(f"{paid.en} ({whole.en} with the warm-up)", f"{paid.zh}（含预热期共 {whole.zh}）")
    each = yuan_per_additional(study, focus)
    if each is None:
        between = interval(Unit.YUAN, spent, study.level, differs=False)
        return Text(f"vouchers pay {paid.en}{between.en}", f"算力券支付 {paid.zh}{between.zh}")
    value, between = amount(Unit.PRICE, each.mean), interval(Unit.PRICE, each, study.level, differs=False)
    return Text(
        f"vouchers pay {paid.en}, that is {value.en.removesuffix(' per GPU-hour')} for each additional GPU-hour"
        f"{between.en.replace(' per GPU-hour', '')}",
        f"算力券支付 {paid.zh}，每净增一卡时 {value.zh.removesuffix('/卡时')}{between.zh.replace('/卡时', '')}",
    )


def _cheaper(study: Study, focus: Point) -> Text:
    """Name the setting whose additional GPU-hours take least money, where that is surely less than in the focus."""
    here = yuan_per_additional(study, focus)
    known = [(each, p) for p in study.others if p is not focus and (each := yuan_per_additional(study, p)) is not None]
    if here is None or here.low is None or not known:
        return Text("", "")
    each, point = min(known, key=lambda item: (item[0].mean, item[1].index))
    if each.high is None or each.high >= here.low:
        return Text("", "")
    value, between = amount(Unit.PRICE, each.mean), interval(Unit.PRICE, each, None, differs=False)
    name = study.name(point)
    return Text(
        f'with "{name.en}" it is {value.en.removesuffix(" per GPU-hour")}{between.en.replace(" per GPU-hour", "")}',
        f"“{name.zh}”时为 {value.zh.removesuffix('/卡时')}{between.zh.replace('/卡时', '')}",
    )


def yuan_per_additional(study: Study, point: Point) -> Estimate | None:
    """Return voucher money per additional GPU-hour: as the study has it, else the quotient of its means.

    None where it cannot be told that there are additional GPU-hours, or where more than vouchers brought them about.
    """
    if not study.by_vouchers_alone(point):
        return None
    own = point.effect("cny_per_additional_gpu_hour")
    spent, net = point.measure("voucher_cny"), point.effect("net_additional_gpu_hours")
    if net is None or net.sign != 1:
        return None
    if own is not None:
        return own
    return None if spent is None or spent.mean <= 0 else Estimate(spent.mean / net.mean)


def _incidence(study: Study, focus: Point, again: bool = False) -> Text:
    """Say with whom the voucher money ended.

    Parameters
    ----------
    study, focus : of which setting
    again : another setting was told of in between, so its name is said
    """
    buyers, centres, lost = (focus.effect(f"incidence.{who}") for who in ("buyers", "centres", "lost"))
    if buyers is None or centres is None:
        return Text("with whom the money ends is not known", "资金最终归谁未知")
    sides = [
        _gained(buyers, Text("firms", "企业"), study.level),
        _gained(centres, Text("centres", "算力中心"), study.level if buyers.sign == 0 else None),
    ]
    if lost is not None and buyers.sign is not None and centres.sign is not None:
        sides.append(_lost(lost))
    found = [side for side in sides if side.en]
    if again:
        name = study.name(focus)
        bare = [Text(side.en.replace("% of it", "%"), side.zh.replace("为其 ", " ")) for side in found]
        found = [Text(f'of the money with "{name.en}", {bare[0].en}', f"“{name.zh}”的券款中，{bare[0].zh}"), *bare[1:]]
    return Text(", ".join(side.en for side in found), "，".join(side.zh for side in found))


def _gained(value: Estimate, who: Text, level: float | None) -> Text:
    """Say which part of the voucher money a side gained, or that it cannot be told whether it gained at all."""
    if value.sign == 0:
        return Text(f"{who.en} gain nothing by it", f"{who.zh}没有从中得益")
    between, part = interval(Unit.SHARE, value, level, differs=False), amount(Unit.SHARE, value.mean).en
    if value.low is None:
        return Text(
            f"{who.en} gain {part} of it (no interval was worked out, so it may be chance)",
            f"{who.zh}得益为其 {part}（未计算区间，可能出于偶然）",
        )
    if value.sign is None:
        inside = _including(between)
        return Text(
            f"whether {who.en} gain by it cannot be told ({part} of it; {inside.en[2:]}",
            f"无法判断{who.zh}是否从中得益（{part}；{inside.zh[1:]}",
        )
    if value.mean < 0:
        between = interval(Unit.SHARE, _turned(value), level, differs=False)
        part = share(-value.mean)
        return Text(f"{who.en} lose {part} of it{between.en}", f"{who.zh}受损，为其 {part}{between.zh}")
    return Text(f"{who.en} gain {part} of it{between.en}", f"{who.zh}得益为其 {part}{between.zh}")


def _lost(lost: Estimate) -> Text:
    """Say what neither side gained, or what both gained on top."""
    part = share(abs(lost.mean))
    if lost.mean > 1:
        return Text(f"so more is lost than was paid ({part})", f"损失超过券款（{part}）")
    if lost.mean > 0:
        return Text(f"{part} is nobody's gain", f"{part} 无人得益")
    return Text(f"together {part} more than was paid", f"合计比券款多 {part}") if lost.mean < 0 else Text("", "")


def _losers(study: Study, focus: Point) -> Text:
    worse, better = focus.effect("firms_worse"), focus.effect("firms_better")
    if worse is None:
        return Text("who is worse off is not known", "受损情况未知")
    mean = Text("on average ", "平均 ") if len(items(study.document.get("seeds"))) > 1 else Text("", "")
    firms = amount(Unit.COUNT, worse.mean).en
    if better is None:
        return Text(f"{mean.en}{firms} firms are worse off", f"{mean.zh}{firms} 家企业受损")
    others = amount(Unit.COUNT, better.mean).en
    return Text(
        f"{mean.en}{others} firms are better off and {firms} worse off",
        f"{mean.zh}{others} 家企业受益，{firms} 家受损",
    )
