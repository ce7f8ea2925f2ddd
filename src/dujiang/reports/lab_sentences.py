"""Pieces of sentences that the stories of the policy lab share."""

from collections.abc import Iterable, Sequence

from dujiang.core.text import Text
from dujiang.reports.lab_document import Document, number
from dujiang.reports.lab_words import scenario_of, span

Story = tuple[Text, Text, Text]


def sentence(clauses: Iterable[Text]) -> Text:
    """Join clauses to one sentence."""
    found = [clause for clause in clauses if clause.en]
    en = "; ".join(clause.en for clause in found)
    return Text(f"{en[:1].upper()}{en[1:]}.", f"{'；'.join(clause.zh for clause in found)}。")


def all_of(names: Sequence[Text]) -> Text:
    """List names with an "and"."""
    between = "; " if any("," in name.en for name in names) else ", "
    en = (
        between.join(name.en for name in names[:-1])
        + (" and " if len(names) > 1 else "")
        + (names[-1].en if names else "")
    )
    return Text(en, "、".join(name.zh for name in names))


def setting(document: Document) -> Text:
    """Say how many jobs of how many firms met how many accelerators; what is not known is left out."""
    where = scenario_of(document)
    jobs, firms, centres, gpus, window = (
        number(where.get(key)) for key in ("jobs", "firms", "centres", "gpus", "window_h")
    )
    most = number(where.get("jobs_most"))
    who_en = "an unknown number of jobs" if jobs is None else many(jobs, "job")
    who_zh = "未知数量的作业" if jobs is None else f"{jobs:,.0f} 个作业"
    if jobs is not None and most is not None and most > jobs:
        who_en, who_zh = f"{jobs:,.0f} to {many(most, 'job')}", f"{jobs:,.0f} 至 {most:,.0f} 个作业"
    if firms is not None:
        who_en, who_zh = (
            f"{who_en} of {many(firms, 'firm')}",
            f"{firms:,.0f} 家企业的{' ' if who_zh[0].isdigit() else ''}{who_zh}",
        )
    met_en = "an unknown number of accelerators" if gpus is None else many(gpus, "accelerator")
    met_zh = "数量未知的加速卡" if gpus is None else f"{gpus:,.0f} 张加速卡"
    if centres is not None:
        met_en, met_zh = (
            f"{met_en} in {many(centres, 'centre')}",
            f"{centres:,.0f} 个算力中心的 {met_zh}".replace("的 数", "的数"),
        )
    time = None if window is None else span(window)
    return Text(
        f"{who_en} meet {met_en}{'' if time is None else f' over {time.en}'}",
        f"{'' if time is None else f'{time.zh}内，'}{who_zh}面向{' ' if met_zh[0].isdigit() else ''}{met_zh}",
    )


def many(count: float, noun: str) -> str:
    """Count things in English."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def lower(text: str) -> str:
    """Begin a name with a small letter, inside a sentence."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
