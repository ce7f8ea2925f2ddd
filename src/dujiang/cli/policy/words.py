"""Words and small documents that the commands of `policy` share."""

import math
from datetime import date
from typing import Any

from dujiang.core.money import cny
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Binding, Status
from dujiang.policy.known_facts import words_for
from dujiang.policy.programme import Clause
from dujiang.registry.book import Fact

OUTCOME_WORDS = {
    Outcome.MET: Text("met", "符合"),
    Outcome.NOT_MET: Text("not met", "不符合"),
    Outcome.UNKNOWN: Text("not known", "未知"),
}
OUTCOME_MARKS = {Outcome.MET: "✓", Outcome.NOT_MET: "✗", Outcome.UNKNOWN: "?"}
STATUS_WORDS = {
    Status.OK: Text("pays", "可享受"),
    Status.UNKNOWN: Text("would be eligible if", "补充信息后可判断"),
    Status.EXHAUSTED: Text("used up", "额度已用完"),
    Status.INELIGIBLE: Text("not eligible", "不符合"),
    Status.NOT_YET: Text("not yet valid", "尚未生效"),
    Status.EXPIRED: Text("expired", "已过期"),
    Status.NOT_COMPUTABLE: Text("not computable", "不可计算"),
}
BINDING_WORDS = {
    Binding.RATE: Text("the rate", "比例"),
    Binding.CAP: Text("the cap", "上限"),
    Binding.BUDGET: Text("the budget", "预算"),
    Binding.COMBINED: Text("other support beside it", "合计限制"),
    Binding.NONE: Text("-", "-"),
}


def written(stored: str) -> str:
    """Return a fact's name as files write it: money in yuan."""
    return f"{stored.removesuffix('_ucny')}_cny" if stored.endswith("_ucny") else stored


def written_value(stored: str, value: Fact | None) -> str | int | float | bool | None:
    """Return a fact's value as files write it; money as decimal yuan, a day as text."""
    if stored.endswith("_ucny") and isinstance(value, int) and not isinstance(value, bool):
        return cny(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return value.isoformat() if isinstance(value, date) else value


def said_value(stored: str, value: Fact) -> Text:
    """Say a fact's value for people."""
    if isinstance(value, bool):
        return Text("yes", "是") if value else Text("no", "否")
    written_ = str(written_value(stored, value))
    return Text(written_, written_)


def fact_document(stored: str) -> dict[str, str]:
    """Return what to provide, in words."""
    words = words_for(stored)
    return {"fact": written(stored), "en": words.en, "zh": words.zh}


def clause_document(clause: Clause | None) -> dict[str, Any] | None:
    """Return a clause as a document."""
    if clause is None:
        return None
    quality = clause.quality.value
    return {"text": clause.text, "verbatim": clause.verbatim, "source": clause.source, "quality": quality}


def clause_words(clause: Clause) -> Text:
    """Quote a clause with its source; a summary stands without quotation marks."""
    if clause.verbatim:
        return Text(f"“{clause.text}” (quote; {clause.source})", f"“{clause.text}”（原文；{clause.source}）")
    return Text(f"{clause.text} (summary; {clause.source})", f"{clause.text}（概述；{clause.source}）")


def in_both(name: str, text: Text | None) -> dict[str, str | None]:
    """Return a sentence under two names, one per language."""
    return {name: None if text is None else text.en, f"{name}_zh": None if text is None else text.zh}
