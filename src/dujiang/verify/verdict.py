"""What a check of a result says: findings, how much was looked at, and the figures derived again."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

FINDINGS_PER_RULE = 50
"""More findings of one rule than this are only counted: one wrong column must not hide the rest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact of the result that breaks a rule."""

    rule: str
    """Stable name of the rule, see `RULES`."""
    where: str
    """File and row, such as `awards.parquet:o-7` or `prices.parquet:p-1:12`."""
    found: str
    """What stands there, shortened to one line."""
    expected_en: str
    expected_zh: str

    def say(self, lang: str = "en") -> str:
        """Return the finding as one line, in English or Chinese (`zh`)."""
        if lang == "zh":
            return f"{self.rule}: {self.where}: 发现 {self.found}, 应为 {self.expected_zh}"
        return f"{self.rule}: {self.where}: found {self.found}, expected {self.expected_en}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one verification."""

    findings: list[Finding]
    """Empty for a result that keeps every rule."""
    checks: dict[str, int]
    """How many facts were checked, by rule; a rule that could not be checked is missing here."""
    figures: dict[str, Any]
    """Figures derived again from the files, under the names of `summary.json`; money in whole micro-yuan."""

    @property
    def clean(self) -> bool:
        """Whether no rule is broken."""
        return not self.findings


RULES: Mapping[str, tuple[str, str]] = {
    "files": ("every file is there and readable", "文件齐全且可读"),
    "schema": ("columns, types, nulls and order of rows", "列、类型、空值与行序"),
    "known": ("rows refer to what the book holds", "各行引用需求簿中已有的对象"),
    "once": ("each order is awarded or rejected, once (9.1)", "每个订单恰好中标或落选一次（9.1）"),
    "window": ("gpus, duration and time window (4.2)", "卡数、时长与时间窗（4.2）"),
    "compatible": ("accelerator, stack, region, link (4.2)", "加速卡、软件栈、区域与链路（4.2）"),
    "capacity": ("capacity in every pool and slot (4.1, 9.2)", "各资源池各时段容量（4.1、9.2）"),
    "links": ("limited links: what crosses, and multipliers (4.2, 4.5)", "限量链路：传输量与影子价格（4.2、4.5）"),
    "prices": ("one price per pool and slot, at least the ask (4.6)", "每池每时段一价且不低于保留价（4.6）"),
    "costs": ("costs, transfer and effective limit (4.3, 4.6)", "成本、传输费与有效限价（4.3、4.6）"),
    "payment": ("gross, vouchers and net (4.6, 7)", "应付、抵用与净付（4.6、7）"),
    "vouchers": ("vouchers of awards, row by row (4.3, 7)", "各中标的用券明细（4.3、7）"),
    "limit": ("no order above its limit, no pool below its ask (9.3)", "不超限价、不低于保留价（9.3）"),
    "programme": ("who may use which programme (5)", "政策参与、资格、起付与一合同一次（5）"),
    "budget": ("budgets and caps are never exceeded (9.2)", "预算与上限不被突破（9.2）"),
    "paradoxical": ("flags of awards below the price (4.6 d)", "低于价格成交的标记（4.6 d）"),
    "reason": ("reasons of rejections (4.5)", "落选原因（4.5）"),
    "enough": ("limits and deadlines that would have been enough (4.5)", "足以中标的限价与截止时段（4.5）"),
    "multipliers": ("shadow prices of budgets and caps (4.5)", "预算与上限的影子价格（4.5）"),
    "certificate": ("dual bounds, welfare and gaps (4.5)", "对偶上界、福利与间隙（4.5）"),
    "summary": ("every other figure of summary.json", "summary.json 中其余各项"),
    "usage": ("metered use of awards (6.4)", "中标的计量用量（6.4）"),
    "ledger": (
        "entries balance; reserve, post and void match (6.1, 6.2)",
        "分录平衡；预留、入账与撤销相符（6.1、6.2）",
    ),
    "ledger_budget": ("reserved and posted stay within budgets (6.3)", "任一时刻预留与入账不超预算（6.3）"),
}
"""Names of the rules with what they hold; paragraphs are those of docs/design.md."""


class Sheet:
    """Collects findings and counts while the rules run."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._per_rule: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.figures: dict[str, Any] = {}

    def find(self, rule: str, where: str, found: object, en: str, zh: str) -> None:
        """Note that a fact breaks a rule."""
        assert rule in RULES, rule
        self._per_rule[rule] += 1
        if self._per_rule[rule] <= FINDINGS_PER_RULE:
            self._findings.append(Finding(rule, where, shown(found), en, zh))

    def hold(self, ok: bool, rule: str, where: str, found: object, en: str, zh: str) -> bool:
        """Check one fact; return whether it holds."""
        self.checks[rule] += 1
        if not ok:
            self.find(rule, where, found, en, zh)
        return ok

    def same(self, rule: str, where: str, found: object, expected: object) -> bool:
        """Check that a stored fact equals the one derived again; return whether it does."""
        self.checks[rule] += 1
        if found == expected and isinstance(found, bool) == isinstance(expected, bool):
            return True
        self.find(rule, where, found, shown(expected), shown(expected))
        return False

    def hold_rows(
        self,
        ok: npt.NDArray[np.bool_],
        rule: str,
        where: Callable[[int], str],
        found: Callable[[int], object],
        expected: Callable[[int], tuple[str, str]],
    ) -> None:
        """Check one fact of every row; `where`, `found` and `expected` are asked only of rows that are wrong."""
        self.checks[rule] += len(ok)
        wrong = np.flatnonzero(~ok).tolist()
        room = max(0, FINDINGS_PER_RULE - self._per_rule[rule])
        for row in wrong[:room]:
            self.find(rule, where(row), found(row), *expected(row))
        self._per_rule[rule] += len(wrong[room:])

    def same_rows(self, rule: str, where: Callable[[int], str], found: pl.Series, expected: pl.Series) -> None:
        """Check that a stored column equals the one derived again; null equals null."""

        def text(row: int) -> tuple[str, str]:
            value = shown(expected[row])
            return value, value

        same = found.cast(expected.dtype).eq_missing(expected).to_numpy()
        self.hold_rows(same, rule, where, lambda row: found[row], text)

    def verdict(self) -> Verdict:
        """Return what was collected."""
        findings = list(self._findings)
        for rule, count in self._per_rule.items():
            if count > FINDINGS_PER_RULE:
                more = count - FINDINGS_PER_RULE
                findings.append(Finding(rule, "…", f"{more} more of the same rule", "as in the lines above", "同上"))
        return Verdict(findings, dict(self.checks), self.figures)


def shown(value: object, width: int = 80) -> str:
    """Return a value as it can stand in a finding: one printable line, shortened."""
    if value is None:
        return "nothing"
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))
    return text if len(text) <= width else text[: width - 1] + "…"
