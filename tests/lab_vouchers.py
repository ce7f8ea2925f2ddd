"""Made-up voucher programmes for tests of the policy lab: a share, under the limits that are asked for."""

import json

from dujiang.core.marked import read_yaml
from dujiang.policy.parse import parse_programme
from dujiang.policy.programme import Programme

_FILE = """\
id: {id}
version: 2025-01-01
name: {{zh: 测试券, en: test voucher}}
jurisdiction: {{level: city, province: 广东, city: 深圳}}
issuer: nobody
document: made up for a test
document_no: null
kind: compute_voucher
instrument: voucher
good: compute
valid: {{from: {first}, until: {last}, clause: a}}
verified: false
confidence: low
clauses: {{a: {{text: made up for a test, verbatim: false, source: nobody, quality: low}}}}
conditions: {conditions}
base: contract
rate: {{share: {share}, rule: not_above, clause: a}}
cap: {cap}
minimum_cny: {minimum}
budget: {budget}
rounding: {rounding}
not_computable: null
"""


def voucher(
    programme_id: str = "v",
    share: float = 0.5,
    *,
    cap_cny: float | None = None,
    budget_cny: float | None = None,
    minimum_cny: float | None = None,
    period: str = "year",
    rounding: str = "fen",
    for_firms: list[str] | None = None,
    first: str = "2025-01-01",
    last: str = "2027-12-31",
) -> Programme:
    """Return a programme.

    Parameters
    ----------
    share : 0 to 1; 0 pays nothing
    cap_cny : for each enterprise and period
    for_firms : values of the column `city` that may use it; None: everybody
    """

    def amount(value: float | None, more: str = "") -> str:
        return "null" if value is None else f"{{amount_cny: {value}{more}, clause: a}}"

    conditions = "[]"
    if for_firms is not None:
        text = "text: {zh: 本地, en: local}"
        conditions = f"[{{id: city, fact: city, op: in, value: {json.dumps(for_firms)}, clause: a, {text}}}]"
    document = _FILE.format(
        id=programme_id,
        share=share,
        cap=amount(cap_cny, f", per: enterprise, period: {period}"),
        budget=amount(budget_cny, f", period: {period}"),
        minimum=amount(minimum_cny),
        rounding=rounding,
        conditions=conditions,
        first=first,
        last=last,
    )
    marked, problems = read_yaml("v.yaml", document)
    assert marked is not None, [problem.say() for problem in problems]
    programme, problems = parse_programme(marked)
    assert programme is not None, [problem.say() for problem in problems]
    return programme
