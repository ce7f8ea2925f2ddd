"""From a risk-sharing file to `RiskTerms`: strict, and with all problems at once."""

import re
from collections.abc import Sequence

import numpy as np

from dujiang.core.marked import Marked
from dujiang.core.money import MICRO
from dujiang.core.problem import Problem, did_you_mean, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.portfolio import MOST_CELLS, Loans
from dujiang.finance.risk_terms import LoanClass, Party, RiskTerms
from dujiang.finance.waterfall import Cession, Per, share_down
from dujiang.policy.reader import Fields, Reader, as_micro, one_of
from dujiang.policy.shape import Shape

MAX_LOANS = 300_000
MAX_CLASSES = 1_000
MAX_PARTIES = 20
MAX_AGREEMENTS = 40
MAX_YEARS = 30
MAX_SCENARIOS = 200_000
MAX_OWED_UCNY = 10**18
"""Of a whole portfolio: a trillion yuan. Sums over its years still fit int64."""

SCENARIOS, SEED, TAIL_PPM, DISCOUNT_PPM = 10_000, 1, 990_000, 0
"""Where the file says nothing; each then stands among the assumptions."""

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FILE = Shape(
    ("title", "years", "correlation", "parties", "bearer", "loans", "agreements"),
    ("scenarios", "seed", "tail", "discount", "sources", "assumptions"),
)
PARTY = Shape(("id", "name"))
LOANS = Shape(
    ("id", "name", "loans", "owed_cny", "pd", "lgd"),
    ("term_years", "repayment", "correlation"),
)
AGREEMENT = Shape(
    ("id", "name", "from", "to"),
    (
        *("per", "share", "above_cny", "above_share", "top_cny", "top_share"),
        *("most_per_year_cny", "most_per_year_share", "most_in_all_cny"),
    ),
)
_OF_A_YEAR = ("above_share", "top_share", "most_per_year_cny", "most_per_year_share", "most_in_all_cny")
_ID = Text("lower-case letters, digits and single hyphens", "小写字母、数字与单个连字符")


def parse_risk(doc: Marked) -> tuple[RiskTerms | None, list[Problem]]:
    """Parse a marked YAML document; None if it has problems."""
    reader = Reader(doc)
    file = reader.fields(doc.value, "", FILE)
    title = file.bilingual("title")
    years = file.whole("years", 1, MAX_YEARS)
    correlation = _below_one(file, "correlation")
    parties = _parties(file)
    bearer = _place(file, "bearer", [party.id for party in parties])
    classes, loans = _loans(file, correlation)
    width = 1
    if reader.problems or years is None or loans is None:
        # What an agreement comes to depends on the loans: its names can be checked, its amounts wait.
        _agreements(file, parties, bearer, np.ones(years or 1, dtype=np.int64))
    else:
        balances = loans.balances(years).sum(axis=0)
        cessions = _agreements(file, parties, bearer, balances)
        width = len(parties) + len(cessions) + 1
    assumptions: list[Text] = _sentences(file, "assumptions")
    scenarios = _otherwise(file, "scenarios", 100, MAX_SCENARIOS, SCENARIOS, assumptions)
    seed = _otherwise(file, "seed", 0, 2**63 - 1, SEED, assumptions)
    tail = _share_otherwise(file, "tail", TAIL_PPM, assumptions)
    discount = _share_otherwise(file, "discount", DISCOUNT_PPM, assumptions)
    for name, rows in (("loans", 0 if loans is None else loans.owed_ucny.size), ("scenarios", scenarios)):
        if rows * (years or 1) * width > MOST_CELLS:
            expected = Text(
                f"{name} x years x (parties + agreements + 1) of at most {MOST_CELLS:,}",
                f"{name} × 年数 ×（参与方数 + 协议数 + 1）不超过 {MOST_CELLS:,}",
            )
            reader.note("too-large", name, rows * (years or 1) * width, expected)
    sources = file.names("sources")
    if reader.problems:
        return None, sorted_problems(reader.problems)
    assert title is not None
    assert years is not None
    assert loans is not None
    assert bearer is not None
    terms = RiskTerms(
        *(title, parties, bearer, classes, loans, tuple(cessions), years, scenarios, seed, tail, discount),
        *(sources, tuple(assumptions)),
    )
    return terms, []


def _parties(file: Fields) -> tuple[Party, ...]:
    found: list[Party] = []
    for path, item in file.items("parties", MAX_PARTIES):
        fields = file.reader.fields(item, path, PARTY)
        id_ = _new_id(fields, [party.id for party in found])
        name = fields.bilingual("name")
        if id_ is not None and name is not None:
            found.append(Party(id_, name))
    return tuple(found)


def _new_id(fields: Fields, known: Sequence[str]) -> str | None:
    id_ = fields.key("id", ID, 64, _ID, "bad-id")
    if id_ in known:
        fields.note("duplicate-id", "id", Text("each id once", "每个 id 只出现一次"))
        return None
    return id_


def _place(fields: Fields, name: str, known: Sequence[str]) -> int | None:
    """Take the id of a party as its position."""
    value = fields.raw(name)
    if isinstance(value, str) and value in known:
        return known.index(value)
    if fields.has(name):
        fields.note("no-such-party", name, one_of(known), did_you_mean(value, known))
    return None


def _below_one(fields: Fields, name: str) -> int | None:
    """Take a share from 0 to below 1."""
    ppm = as_micro(fields.raw(name))
    if ppm is not None and 0 <= ppm < MICRO:
        return ppm
    if fields.has(name):
        expected = Text("from 0 to below 1, with at most six decimals", "0 至 1（不含 1），最多六位小数")
        fields.note("bad-share", name, expected)
    return None


def _probability(fields: Fields, name: str) -> int | None:
    """Take a probability strictly between 0 and 1."""
    ppm = _below_one(fields, name)
    if ppm == 0:
        fields.note("bad-share", name, Text("above 0 and below 1", "大于 0 且小于 1"))
        return None
    return ppm


def _loans(file: Fields, correlation: int | None) -> tuple[tuple[LoanClass, ...], Loans | None]:
    classes: list[LoanClass] = []
    columns: list[tuple[int, ...]] = []
    for path, item in file.items("loans", MAX_CLASSES):
        fields = file.reader.fields(item, path, LOANS)
        id_, name = _new_id(fields, [c.id for c in classes]), fields.bilingual("name")
        count, owed = _needed_whole(fields, "loans", 1, MAX_LOANS), fields.amount_ucny("owed_cny")
        pd, lgd = _probability(fields, "pd"), fields.share_ppm("lgd", zero=True)
        term = fields.whole("term_years", 1, MAX_YEARS) if fields.given("term_years") else 1
        repayment = fields.word("repayment", ("end", "equal")) if fields.given("repayment") else "end"
        rho = _below_one(fields, "correlation") if fields.given("correlation") else correlation
        if None in (id_, name, count, owed, pd, lgd, term, repayment, rho):
            continue
        assert id_ is not None
        assert name is not None
        assert count is not None
        assert owed is not None
        assert term is not None
        classes.append(LoanClass(id_, name, count, owed))
        columns.append((owed, pd or 0, lgd or 0, rho or 0, term, int(repayment == "equal")))
    if not classes:
        if file.raw("loans") == []:
            file.note("bad-value", "loans", Text("at least one class of loans", "至少一类贷款"))
        return (), None
    if sum(c.loans for c in classes) > MAX_LOANS:
        limit = Text(f"at most {MAX_LOANS:,} loans in all", f"贷款合计不超过 {MAX_LOANS:,} 笔")
        file.reader.note("too-large", file.at("loans"), sum(c.loans for c in classes), limit)
        return tuple(classes), None
    if sum(c.loans * c.owed_ucny for c in classes) > MAX_OWED_UCNY:
        limit = Text("at most a trillion yuan owed in all", "贷款余额合计不超过一万亿元")
        file.reader.note("too-large", file.at("loans"), sum(c.loans * c.owed_ucny for c in classes), limit)
        return tuple(classes), None
    table = np.repeat(np.array(columns, dtype=np.int64), [c.loans for c in classes], axis=0)
    owed_, pd_, lgd_, rho_, term_, equal = (np.ascontiguousarray(table[:, k]) for k in range(6))
    return tuple(classes), Loans(owed_, pd_, lgd_, rho_, term_, equal.astype(np.bool_))


def _needed_whole(fields: Fields, name: str, least: int, most: int) -> int | None:
    """Take a whole number that may not be null."""
    value = fields.whole(name, least, most)
    if value is None and fields.has(name) and not fields.given(name):
        fields.note("bad-number", name, Text(f"a whole number from {least} to {most}", f"{least} 至 {most} 的整数"))
    return value


def _agreements(file: Fields, parties: Sequence[Party], bearer: int | None, balances: np.ndarray) -> list[Cession]:
    """Take the chain; `balances` is what is scheduled to be owed at the opening of each year, micro-yuan."""
    names, found, seen = [party.id for party in parties], list[Cession](), list[str]()
    bearing = {bearer}
    last = Per.LOAN
    for path, item in file.items("agreements", MAX_AGREEMENTS):
        fields = file.reader.fields(item, path, AGREEMENT)
        id_, name = _new_id(fields, seen), fields.bilingual("name")
        seen += [id_] if id_ is not None else []
        giver, taker = _place(fields, "from", names), _place(fields, "to", names)
        per = fields.choice("per", Per, default=Per.YEAR)
        if giver is not None and giver == taker:
            fields.note("same-party", "to", Text("another party than `from`", "与 from 不同的一方"))
        elif giver is not None and bearer is not None and giver not in bearing:
            expected = Text("a party that bears something by then", "到此步为止已承担损失的一方")
            fields.note("bears-nothing", "from", expected)
        if per is Per.LOAN and last is Per.YEAR:
            fields.note(
                "bad-order", "per", Text("agreements per loan before those per year", "按单笔的协议须在按年度的之前")
            )
        last = per or last
        bearing |= {taker}
        cession = _cession(fields, id_, name, giver, taker, per, balances)
        if cession is not None:
            found.append(cession)
    return found


def _cession(
    fields: Fields,
    id_: str | None,
    name: Text | None,
    giver: int | None,
    taker: int | None,
    per: Per | None,
    balances: np.ndarray,
) -> Cession | None:
    if per is Per.LOAN:
        for term in _OF_A_YEAR:
            if fields.given(term):
                expected = Text(
                    "nothing: an agreement per loan has a layer in yuan only", "留空：按单笔的协议只有金额分层"
                )
                fields.note("not-per-loan", term, expected, Text("use `per: year`", "请用 per: year"))
    share = fields.share_ppm("share") if fields.given("share") else MICRO
    above = _amounts(fields, "above", balances, zero=True)
    top = _amounts(fields, "top", balances)
    if above and top and any(a >= t for a, t in zip(above, top, strict=True) if t):
        name_ = "top_cny" if fields.given("top_cny") else "top_share"
        fields.note("empty-layer", name_, Text("above the attachment of every year", "高于每一年的起赔点"))
    most = _amounts(fields, "most_per_year", balances)
    in_all = fields.amount_ucny("most_in_all_cny") if fields.given("most_in_all_cny") else None
    if id_ is None or name is None or giver is None or taker is None or per is None or share is None:
        return None
    return Cession(id_, name, giver, taker, per, share, above, top, most, in_all)


def _amounts(fields: Fields, name: str, balances: np.ndarray, *, zero: bool = False) -> tuple[int, ...]:
    """Take a term in yuan or as a share of the balance, as one amount per year; empty if it is not given."""
    in_yuan, as_share = f"{name}_cny", f"{name}_share"
    if fields.given(in_yuan) and as_share in AGREEMENT.optional and fields.given(as_share):
        expected = Text(f"one of {in_yuan} and {as_share}", f"{in_yuan} 与 {as_share} 二者之一")
        fields.note("two-terms", as_share, expected)
    elif fields.given(in_yuan):
        amount = fields.amount_ucny(in_yuan, zero=zero)
        return () if amount is None else (amount,) * balances.size
    elif as_share in AGREEMENT.optional and fields.given(as_share):
        share = fields.share_ppm(as_share, zero=zero)
        return () if share is None else tuple(int(x) for x in share_down(balances, share))
    return ()


def _sentences(file: Fields, name: str) -> list[Text]:
    found = []
    for path, item in file.items(name):
        fields = file.reader.fields(item, path, Shape(("en", "zh")))
        en, zh = fields.text("en"), fields.text("zh")
        if en is not None and zh is not None:
            found.append(Text(en, zh))
    return found


def _otherwise(file: Fields, name: str, least: int, most: int, default: int, assumptions: list[Text]) -> int:
    if not file.given(name):
        assumptions.append(Text(f"{name} {default:,}: the file states none", f"文件未写明 {name}，取 {default:,}"))
        return default
    value = file.whole(name, least, most)
    return default if value is None else value


def _share_otherwise(file: Fields, name: str, default: int, assumptions: list[Text]) -> int:
    if not file.given(name):
        shown = f"{default / MICRO:g}"
        assumptions.append(Text(f"{name} {shown}: the file states none", f"文件未写明 {name}，取 {shown}"))
        return default
    value = _probability(file, name) if name == "tail" else _below_one(file, name)
    return default if value is None else value
