"""The policy lab in three plain sentences: what was replayed, what came of it, and who paid and gained.

Each sentence is true of any document. What was not worked out is said to be unknown, a difference whose interval
includes zero is said to be one that cannot be told, and nothing is promised beyond the replay.
"""

from collections.abc import Sequence

from dujiang.core.text import Text
from dujiang.reports.lab_document import Document, Study, entries, number
from dujiang.reports.lab_sentences import Story, sentence, setting
from dujiang.reports.lab_study_story import study_story
from dujiang.reports.lab_words import ALLOCATOR_WORDS, cny, hours, word
from dujiang.reports.words import share


def story(document: Document) -> Story:
    """Tell a run or a study in three sentences.

    Parameters
    ----------
    document : `summary.json` of a run or `study.json`

    Returns
    -------
    three sentences in both languages; every figure in them is one of the document or a quotient of two
    """
    if isinstance(document.get("points"), Sequence):
        return study_story(Study(document))
    return _who_met(document), _what_ran(document), _who_paid(document)


def _who_met(document: Document) -> Text:
    who = word(ALLOCATOR_WORDS, document.get("policy"))
    return sentence([setting(document), Text(f"compute is handed out by {who.en}", f"算力分配方式为{who.zh}")])


def _what_ran(document: Document) -> Text:
    if number(document.get("jobs")) == 0:
        return Text("Nobody asked for compute.", "没有任何算力需求。")
    served, use = number(document.get("served_share")), number(document.get("utilisation"))
    work = (
        Text("how much of the accelerator time was at work is not known", "加速卡使用率未知")
        if use is None
        else Text(f"{share(use)} of the accelerator time is at work", f"加速卡使用率为 {share(use)}")
    )
    if served == 0:
        return sentence([Text("not a single job runs to its end", "没有一个作业运行完成"), work])
    ran = (
        Text("how many jobs run to their end is not known", "运行完成的作业比例未知")
        if served is None
        else Text(f"{share(served)} of the jobs run to their end", f"{share(served)} 的作业运行完成")
    )
    return sentence([ran, _waits(document), work])


def _waits(document: Document) -> Text:
    mean, median = number(document.get("mean_wait_h")), number(document.get("median_wait_h"))
    slow = number(document.get("p95_wait_h"))
    if mean is None:
        return Text("how long they wait is not known", "等待时间未知")
    en, zh = f"they wait {hours(mean).en} on average", f"平均等待 {hours(mean).zh}"
    if median is not None:
        half = Text(f"at most {hours(median).en}", f"不超过 {hours(median).zh}")
        half = half if median else Text("not at all", "无需等待")
        en, zh = f"{en}, half of them {half.en}", f"{zh}，半数{half.zh}"
    if slow is not None:
        en, zh = f"{en}, one in twenty longer than {hours(slow).en}", f"{zh}，最慢的二十分之一超过 {hours(slow).zh}"
    return Text(en, zh)


def _who_paid(document: Document) -> Text:
    net, voucher = number(document.get("net_cny")), number(document.get("voucher_cny"))
    paid = (
        Text("what firms pay is not known", "企业自付金额未知")
        if net is None
        else Text(f"firms pay {cny(net).en} themselves", f"企业自付 {cny(net).zh}")
    )
    if voucher is None:
        return sentence([paid, Text("what vouchers pay is not known", "算力券支付金额未知")])
    spent = sum(number(entry.get("spent_cny")) or 0.0 for entry in entries(document.get("programmes")))
    if voucher == 0 and spent > 0:
        return sentence(
            [
                paid,
                Text(
                    f"no voucher is paid after the warm-up, which took {cny(spent).en}",
                    f"预热期之后没有支付算力券，预热期用去 {cny(spent).zh}",
                ),
            ]
        )
    if voucher == 0:
        return sentence(
            [
                paid,
                Text(
                    "no voucher is paid, so this run says nothing of what a voucher would do",
                    "没有支付算力券，因此本次模拟不能说明算力券的作用",
                ),
            ]
        )
    warm = Text("", "")
    if spent > voucher * 1.005:
        warm = Text(f" ({cny(spent).en} with the warm-up)", f"（含预热期共 {cny(spent).zh}）")
    part = "" if net is None or net + voucher <= 0 else share(voucher / (net + voucher))
    return sentence(
        [
            Text(
                f"{paid.en} and vouchers {cny(voucher).en}{f', {part} of the whole' if part else ''}{warm.en}",
                f"{paid.zh}，算力券支付 {cny(voucher).zh}{f'，占 {part}' if part else ''}{warm.zh}",
            ),
            Text(
                "what would have run without them takes a second, paired run to tell",
                "若没有券会怎样，须与配对的另一次模拟比较才能知道",
            ),
        ]
    )
