"""Runs side by side in three plain sentences."""

from collections.abc import Sequence

from dujiang.core.text import Text
from dujiang.reports.lab_document import Document, mapping, number
from dujiang.reports.lab_sentences import Story, all_of, many, sentence
from dujiang.reports.lab_words import amount, cny, compute, measure_of


def compared(documents: Sequence[Document], names: Sequence[Text]) -> Story:
    """Tell two or more runs side by side in three sentences.

    Parameters
    ----------
    documents : summaries of runs
    names : what each is called on the page
    """
    return _which_runs(documents, names), _use_and_wait(documents, names), _what_chance_can_do(documents)


def _which_runs(documents: Sequence[Document], names: Sequence[Text]) -> Text:
    listed = all_of([Text(f'"{name.en}"', f"“{name.zh}”") for name in names])
    counts = {number(document.get("jobs")) for document in documents}
    first = Text(
        f"{many(len(documents), 'run')} stand side by side: {listed.en}"
        if len(documents) > 1
        else f"There is one run, {listed.en}",
        f"并列比较 {len(documents):,} 次模拟：{listed.zh}" if len(documents) > 1 else f"只有一次模拟：{listed.zh}",
    )
    jobs = next(iter(counts)) if len(counts) == 1 else None
    if len(documents) < 2:
        return sentence([first])
    if jobs is None:
        return sentence([first, Text("they differ in how many jobs they count", "各次的作业数不同")])
    if _same_draws(documents):
        with_same = Text(
            f"all with {many(jobs, 'job')} from the same input files and the same random draws",
            f"均为 {jobs:,.0f} 个作业，输入文件与随机数相同",
        )
    else:
        with_same = Text(
            f"all with {many(jobs, 'job')}, but not from the same input files and random draws",
            f"均为 {jobs:,.0f} 个作业，但输入文件或随机数不同",
        )
    return sentence([first, with_same])


def _same_draws(documents: Sequence[Document]) -> bool:
    first = documents[0]
    return all(
        document.get("seed") == first.get("seed") and mapping(document.get("sources")) == mapping(first.get("sources"))
        for document in documents
    )


def _use_and_wait(documents: Sequence[Document], names: Sequence[Text]) -> Text:
    return sentence(
        [
            _against_the_first(documents, names),
            _extremes(documents, names, "utilisation", Text("accelerator time at work", "加速卡使用率")),
            _extremes(documents, names, "mean_wait_h", Text("the mean wait", "平均等待时间")),
        ]
    )


def _against_the_first(documents: Sequence[Document], names: Sequence[Text]) -> Text:
    """Say how many GPU-hours more the second of two runs of the same jobs serves."""
    if len(documents) != 2:
        return Text("", "")
    net = number(mapping(documents[1].get("effects")).get("net_additional_gpu_hours"))
    if net is None:
        return Text("", "")
    if net == 0:
        return Text("both run the same GPU-hours", "两次运行的卡时相同")
    more_en, more_zh = ("more", "多") if net > 0 else ("fewer", "少")
    much, (first, second) = compute(abs(net)), names
    return Text(
        f'"{second.en}" runs {much.en.removesuffix(" GPU-hours")} GPU-hours {more_en} than "{first.en}"',
        f"“{second.zh}”比“{first.zh}”{more_zh}运行 {much.zh}",
    )


def _extremes(documents: Sequence[Document], names: Sequence[Text], key: str, what: Text) -> Text:
    unit = measure_of(key).unit
    known = [
        (value, name)
        for document, name in zip(documents, names, strict=True)
        if (value := number(document.get(key))) is not None
    ]
    if len(known) < 2:
        if not known:
            return Text(f"{what.en} is not known", f"{what.zh}未知")
        only, name = amount(unit, known[0][0]), known[0][1]
        return Text(f'{what.en} is {only.en} with "{name.en}"', f"“{name.zh}”的{what.zh}为 {only.zh}")
    low, high = min(known, key=lambda item: item[0]), max(known, key=lambda item: item[0])
    least, most = amount(unit, low[0]), amount(unit, high[0])
    if low[0] == high[0]:
        return Text(f"{what.en} is {least.en} in all of them", f"各次的{what.zh}均为 {least.zh}")
    return Text(
        f'{what.en} is between {least.en} ("{low[1].en}") and {most.en} ("{high[1].en}")',
        f"{what.zh}在 {least.zh}（“{low[1].zh}”）与 {most.zh}（“{high[1].zh}”）之间",
    )


def _what_chance_can_do(documents: Sequence[Document]) -> Text:
    paid = [value for document in documents if (value := number(document.get("voucher_cny"))) is not None]
    if not paid:
        money = Text("what vouchers pay is not known", "算力券支付金额未知")
    elif max(paid) == 0:
        money = Text("no voucher is paid in any of them", "均未支付算力券")
    elif min(paid) == max(paid):
        money = Text(f"vouchers pay {cny(paid[0]).en} in each", f"算力券均支付 {cny(paid[0]).zh}")
    else:
        low, high = cny(min(paid)), cny(max(paid))
        money = Text(f"vouchers pay between {low.en} and {high.en}", f"算力券支付在 {low.zh}与 {high.zh}之间")
    return sentence(
        [
            money,
            Text(
                "each run is one random draw without an interval, so small differences may be chance; a study tells",
                "每次模拟只是一次随机结果，没有区间，细小差别可能出于偶然，须以研究（study）判断",
            ),
        ]
    )
