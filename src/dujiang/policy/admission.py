"""Which programmes a round can offer, and which of them may be held together."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.policy.evaluate import Status, standing, standing_reason
from dujiang.policy.facts import GOOD
from dujiang.policy.programme import Base, BudgetRule, Per, Programme, With
from dujiang.policy.together import bar_between

_BASES = (Base.CONTRACT, Base.ACTUAL)
"""What a round knows: the gross payment for compute is both."""


def admissions(
    programmes: Sequence[Programme], budgets: Mapping[str, int | None], on: date
) -> list[tuple[Status, Text]]:
    """Tell which programmes a round can offer.

    Parameters
    ----------
    programmes : those that take part
    budgets : programme id to what this round may spend of it; None or missing: what is left of its own budget
    on : day of the round

    Returns
    -------
    per programme `ok`, or the status that keeps it out, with the reason
    """
    admitted = [_alone(p, budgets.get(p.id) is not None, on) for p in programmes]
    candidates = {
        p.id for p, (status, _) in zip(programmes, admitted, strict=True) if status is Status.OK and GOOD in p.goods
    }
    for i, programme in enumerate(programmes):
        partners = _purse_partners(programme) & candidates
        if programme.id in candidates and partners and budgets.get(programme.id) is None:
            admitted[i] = (Status.NOT_COMPUTABLE, _one_purse(sorted(partners)))
    return admitted


def _alone(programme: Programme, has_own_budget: bool, on: date) -> tuple[Status, Text]:
    status = standing(programme, on)
    reason = _why_not(programme, has_own_budget) if status is Status.OK and GOOD in programme.goods else None
    if reason is not None:
        return Status.NOT_COMPUTABLE, reason
    return status, standing_reason(programme, status)


def _why_not(programme: Programme, has_own_budget: bool) -> Text | None:
    """Say why a round cannot work out a programme that pays for compute; None: it can."""
    if programme.amount is not None:
        return _not_offered("it pays a fixed amount", "其为定额奖励")
    if programme.base not in _BASES:
        return _not_offered("its base is not the payment for compute", "其计算基数不是算力费用")
    if programme.rate is not None and programme.rate.tiers is not None:
        return _not_offered("its rate depends on the size of the base", "其比例随基数分档")
    if programme.pro_rata is not None:
        return _not_offered("its base is cut by days of the contract", "其基数按合同天数折算")
    if any(cap.per is Per.PROJECT for cap in programme.caps):
        return _not_offered("its cap is per project", "其上限按项目计算")
    if programme.budget is not None and programme.budget.rule is BudgetRule.PRO_RATA and not has_own_budget:
        return _not_offered(
            "it cuts all claims alike when its budget runs out; give it a budget for the round",
            "其预算不足时按比例核减；请为本轮另设预算",
        )
    return None


def _not_offered(why: str, why_zh: str) -> Text:
    return Text(f"not offered in a round: {why}", f"本轮不提供：{why_zh}")


def _purse_partners(programme: Programme) -> set[str]:
    return set() if programme.budget is None else set(programme.budget.shared_with)


def _one_purse(partners: Sequence[str]) -> Text:
    return _not_offered(
        f"it shares its budget with {', '.join(partners)}, which takes part too; give each a budget for the round",
        f"其与同轮的 {'、'.join(partners)} 共用预算；请分别设定本轮预算",
    )


def compatible(programmes: Sequence[Programme]) -> NDArray[np.bool_]:
    """Return (K, K): whether one contract may use both; false on the diagonal, as a contract uses a programme once."""
    rows = [[one is not other and bar_between(one, other) is None for other in programmes] for one in programmes]
    return np.array(rows, dtype=np.bool_).reshape(len(programmes), len(programmes))


def ceiling_ppm(programme: Programme) -> int:
    """Return the most of the base that this and all other support may reach together.

    One over the programme's own group is none in a round: of a group the higher counts, once, and no programme's own
    share is above its ceiling.
    """
    ceiling = programme.combined_ceiling
    return MICRO if ceiling is None or ceiling.counts is not With.ALL else ceiling.share_ppm
