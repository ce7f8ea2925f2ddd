"""Reads `project.yaml`: what a project costs and earns, what it has, and what it may be funded by."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from dujiang.core.marked import Marked
from dujiang.core.money import FEN, MAX_UCNY, MICRO, cny, parse_micro
from dujiang.core.problem import ProblemList, did_you_mean
from dujiang.core.text import Text
from dujiang.finance.candidates import PRODUCTS, SUPPORT
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.planner import missing_terms
from dujiang.finance.project import (
    DISCOUNT_PPM,
    MAX_INSTRUMENTS,
    MAX_KINDS,
    MAX_MONTHS,
    DebtAtEnd,
    Milestone,
    Project,
)
from dujiang.policy.parse import stored_fact
from dujiang.policy.reader import Fields, Reader, as_micro, one_of
from dujiang.policy.shape import Shape
from dujiang.policy.stated import stored_value
from dujiang.registry.book import Fact
from dujiang.store.read_document import read_document

PROJECT: Final = Shape(
    ("start", "months", "own_cash_cny", "costs"),
    (
        *("id", "name", "income", "instruments", "reserve_cny", "milestones", "assets", "discount", "pre_money_cny"),
        *("debt_at_end", "step_cny", "assumed", "spending"),
    ),
)
INSTRUMENT: Final = Shape(
    ("id", "kind"),
    (
        *("name", "source", "assumed", "uses", "least_cny", "most_cny", "first_month", "last_month", "once"),
        *("term_months", "grace_months", "repayment", "rate", "fee", "fixed_fee_cny", "share_of_costs"),
        *("collateral", "ltv", "multiple_of", "multiple", "needs", "excludes", "group", "pre_money_cny"),
        *("required_return", "rate_of_cost", "delay_months", "most_per_year_cny", "budget_cny", "ahead_months"),
        *("advance", "clause", "apply_with", "lead_months"),
    ),
)
MILESTONE: Final = Shape(("month",), ("id", "what"))

_ID = re.compile(r"[A-Za-z0-9一-鿿][A-Za-z0-9一-鿿._-]{0,79}")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_MAX_TERM = 600
_ID_TEXT = Text("a short name without spaces", "不含空格的短名称")
_MONTH_TEXT = Text("a month such as 2026-03", "月份，如 2026-03")
_RATE_TEXT = Text("a share from 0 to 1, such as 0.045 for 4.5 %", "0 至 1 的比例，如 4.5% 写作 0.045")


class ProjectFile(NamedTuple):
    """A project as its file describes it."""

    project: Project
    """With the instruments that the file itself defines."""
    wanted: tuple[str, ...]
    """Ids of products and programmes, `PRODUCTS` and `SUPPORT` among them; both where the file names no instruments."""
    wanted_paths: Mapping[str, str]
    """Where the file names each of them."""
    spending: Mapping[str, Mapping[str, Fact]]
    """Kind of cost -> what is known of its purchases."""
    document: Marked


def read_project(path: Path, problems: ProblemList) -> ProjectFile | None:
    """Read a project file; None if it has any problem.

    Parameters
    ----------
    path : the file
    problems : takes every problem, with file, line and field
    """
    doc = read_document(path, problems)
    return None if doc is None else parse_project(doc, problems)


def parse_project(doc: Marked, problems: ProblemList) -> ProjectFile | None:
    """Read a project from a parsed document; None if it has any problem."""
    parser = _Parser(doc)
    found = parser.project()
    problems.extend(parser.reader.problems)
    return None if parser.reader.problems else found


class _Parser:
    """Takes one document apart."""

    def __init__(self, doc: Marked) -> None:
        self.doc = doc
        self.reader = Reader(doc)
        self.start = date(2000, 1, 1)
        self.has_start = False
        self.months = 0
        self.kinds: tuple[str, ...] = ()

    def project(self) -> ProjectFile | None:
        """Read the whole document."""
        f = self.reader.fields(self.doc.value, "", PROJECT)
        start = self._start(f)
        self.start, self.has_start = start or self.start, start is not None
        if f.has("months") and not f.given("months"):
            f.note("bad-number", "months", Text(f"a whole number from 1 to {MAX_MONTHS}", f"1 至 {MAX_MONTHS} 的整数"))
        self.months = f.whole("months", 1, MAX_MONTHS) or 0
        costs = self._costs(f)
        self.kinds = tuple(costs)
        income = self._monthly("income", f.raw("income")) if f.given("income") else (0,) * self.months
        assets = self._assets(f)
        instruments, wanted, paths = self._instruments(f, assets)
        project = Project(
            id=f.key("id", _ID, 80, _ID_TEXT, "bad-id") or Path(self.doc.file).stem,
            name=self._text(f, "name") or Text("project", "项目"),
            start=self.start,
            months=self.months,
            own_cash_ucny=self._amount(f, "own_cash_cny", needed=True) or 0,
            costs=costs,
            income=income,
            instruments=instruments,
            reserve_ucny=self._amount(f, "reserve_cny") or 0,
            milestones=self._milestones(f),
            assets=assets,
            discount_ppm=DISCOUNT_PPM if not f.given("discount") else self._rate(f, "discount") or 0,
            pre_money_ucny=self._amount(f, "pre_money_cny"),
            debt_at_end=f.choice("debt_at_end", DebtAtEnd, default=DebtAtEnd.REPAID) or DebtAtEnd.REPAID,
            step_ucny=self._step(f),
            assumed=(*f.names("assumed"), *(() if f.given("discount") else ("discount",))),
        )
        return ProjectFile(project, wanted, paths, self._spending(f), self.doc)

    def _start(self, f: Fields) -> date | None:
        value = f.raw("start")
        if isinstance(value, date) and not isinstance(value, datetime):
            value = value.isoformat()
        match = _MONTH.fullmatch(value[:7]) if isinstance(value, str) and value[7:] in ("", "-01") else None
        if match is not None and 2000 <= int(match[1]) <= 2100:
            return date(int(match[1]), int(match[2]), 1)
        if f.has("start"):
            expected = Text("a month such as 2026-03, or its first day", "月份（如 2026-03）或其首日")
            f.note("bad-month", "start", expected)
        return None

    def _month(self, value: object) -> int | None:
        """Return a month of the project, None if it is none or outside of it."""
        if isinstance(value, date) and not isinstance(value, datetime) and value.day == 1:
            value = f"{value.year:04d}-{value.month:02d}"
        match = _MONTH.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return None
        if not self.months or not self.has_start:  # a mistake of its own: each month would be another
            return 0
        month = (int(match[1]) - self.start.year) * 12 + int(match[2]) - self.start.month
        return month if 0 <= month < self.months else None

    def _inside(self) -> Text:
        if not self.months:
            return _MONTH_TEXT
        first = f"{self.start.year:04d}-{self.start.month:02d}"
        years, rest = divmod(self.start.month - 1 + self.months - 1, 12)
        last = f"{self.start.year + years:04d}-{rest + 1:02d}"
        return Text(f"a month from {first} to {last}", f"{first} 至 {last} 之间的月份")

    def _month_of(self, f: Fields, name: str) -> int | None:
        if not f.given(name):
            return None
        month = self._month(f.raw(name))
        if month is None:
            f.note("bad-month", name, self._inside())
        return month

    def _costs(self, f: Fields) -> dict[str, tuple[int, ...]]:
        value = f.raw("costs")
        if not isinstance(value, dict) or not value:
            if f.has("costs"):
                f.note("bad-type", "costs", Text("costs by kind", "按类别列出的费用"))
            return {}
        if len(value) > MAX_KINDS:
            self.reader.too_many("costs", len(value), MAX_KINDS)
            return {}
        found: dict[str, tuple[int, ...]] = {}
        for kind, row in value.items():
            if not isinstance(kind, str) or not _ID.fullmatch(kind):
                self.reader.note("bad-id", "costs", kind, _ID_TEXT)
                continue
            found[kind] = self._monthly(f"costs.{kind}", row)
        return found

    def _monthly(self, path: str, value: object) -> tuple[int, ...]:
        """Read amounts by month: a list, a mapping of months, or one amount for each month."""
        months = self.months
        if isinstance(value, list):
            if len(value) != months and months:
                expected = Text(f"{months} amounts, one for each month", f"{months} 个金额，每月一个")
                self.reader.note("bad-length", path, len(value), expected)
            read = [self._money(f"{path}.{place}", amount) for place, amount in enumerate(value[:MAX_MONTHS])]
            return tuple((read + [0] * months)[:months])
        if isinstance(value, dict):
            amounts = [0] * max(months, 1)
            for key, amount in value.items():
                month = self._month(key)
                if month is None:
                    self.reader.note("bad-month", f"{path}.{key}", key, self._inside())
                else:
                    amounts[month] = self._money(f"{path}.{key}", amount)
            return tuple(amounts[:months])
        return (self._money(path, value),) * months

    def _money(self, path: str, value: object) -> int:
        ucny = _ucny(value)
        if ucny is None:
            self.reader.note("bad-amount", path, value, _amount_text())
        return ucny or 0

    def _amount(self, f: Fields, name: str, *, needed: bool = False) -> int | None:
        if not f.given(name):
            if needed and f.has(name):
                f.note("bad-amount", name, _amount_text())
            return None
        return self._money(f.at(name), f.raw(name))

    def _step(self, f: Fields) -> int:
        step = self._amount(f, "step_cny")
        if step == 0:
            f.note("bad-amount", "step_cny", Text("an amount above 0", "大于 0 的金额"))
        return step or MICRO

    def _rate(self, f: Fields, name: str, most: int = MICRO) -> int | None:
        """Read a share as ppm."""
        if not f.given(name):
            return None
        value = f.raw(name)
        ppm = parse_micro(value) if isinstance(value, str) else as_micro(value)
        if ppm is None or not 0 <= ppm <= most:
            expected = _RATE_TEXT if most == MICRO else Text("a number from 0 to 1000", "0 至 1000 的数")
            f.note("bad-share", name, expected)
            return None
        return ppm

    def _text(self, f: Fields, name: str) -> Text | None:
        """Read a sentence, in both languages or one for both."""
        if isinstance(f.raw(name), dict):
            return f.bilingual(name)
        said = f.text(name, nullable=True)
        return None if said is None else Text(said, said)

    def _assets(self, f: Fields) -> dict[str, int]:
        value = f.raw("assets")
        if value is None:
            return {}
        if not isinstance(value, dict):
            f.note("bad-type", "assets", Text("assets as name: value in yuan", "以“名称: 价值（元）”给出的资产"))
            return {}
        return {str(name): self._money(f"assets.{name}", worth) for name, worth in value.items()}

    def _milestones(self, f: Fields) -> tuple[Milestone, ...]:
        found: dict[str, Milestone] = {}
        for number, (path, item) in enumerate(f.items("milestones", MAX_MONTHS)):
            inner = self.reader.fields(item, path, MILESTONE)
            month = self._month_of(inner, "month")
            if inner.has("month") and not inner.given("month"):
                inner.note("bad-month", "month", self._inside())
            key = inner.key("id", _ID, 80, _ID_TEXT, "bad-id") or f"milestone-{number + 1}"
            if key in found:
                inner.note("duplicate-id", "id", Text("each id once", "编号不重复"))
            what = self._text(inner, "what") or Text(key, key)
            found[key] = Milestone(key, month or 0, what)
        return tuple(found.values())

    def _spending(self, f: Fields) -> dict[str, dict[str, Fact]]:
        value = f.raw("spending")
        if value is None:
            return {}
        if not isinstance(value, dict):
            f.note("bad-type", "spending", Text("facts by kind of cost", "按费用类别给出的支出事实"))
            return {}
        found: dict[str, dict[str, Fact]] = {}
        for kind, facts in value.items():
            path = f"spending.{kind}"
            if kind not in self.kinds:
                self.reader.note("unknown-word", path, kind, one_of(self.kinds), did_you_mean(kind, self.kinds))
            elif not isinstance(facts, dict):
                self.reader.note("bad-type", path, facts, Text("facts as name: value", "以“名称: 值”给出的事实"))
            else:
                found[kind] = self._facts(path, facts)
        return found

    def _facts(self, path: str, facts: Mapping[Any, Any]) -> dict[str, Fact]:
        found: dict[str, Fact] = {}
        for key, value in facts.items():
            fact = None if value is None else stored_value(str(key), value)
            if isinstance(fact, Text):
                self.reader.note("bad-type", f"{path}.{key}", value, fact)
            elif fact is not None:
                found[stored_fact(str(key))] = fact
        return found

    def _instruments(
        self, f: Fields, assets: Mapping[str, int]
    ) -> tuple[tuple[Instrument, ...], tuple[str, ...], dict[str, str]]:
        if not f.given("instruments"):
            return (), (PRODUCTS, SUPPORT), {}
        own: dict[str, Instrument] = {}
        paths: dict[str, str] = {}
        places: dict[str, Fields] = {}
        for path, item in f.items("instruments", MAX_INSTRUMENTS):
            if isinstance(item, str) and _ID.fullmatch(item):
                key, repeated = item, item in own or item in paths
                paths.setdefault(key, path)
            elif isinstance(item, dict):
                inner = self.reader.fields(item, path, INSTRUMENT)
                found = self._instrument(inner, assets)
                if found is None:
                    continue
                key, repeated = found.id, found.id in own or found.id in paths
                own[key], places[key] = found, inner
            else:
                expected = Text("an id, or an instrument of your own with its terms", "编号，或自定义工具及其条款")
                self.reader.note("bad-type", path, item, expected)
                continue
            if repeated:
                self.reader.note("duplicate-id", path, key, Text("each instrument once", "每个工具只出现一次"))
        self._check_together(own, places, paths)
        return tuple(own.values()), tuple(paths), paths

    def _instrument(self, f: Fields, assets: Mapping[str, int]) -> Instrument | None:
        before = len(self.reader.problems)
        key = f.key("id", _ID, 80, _ID_TEXT, "bad-id")
        kind = f.choice("kind", Kind)
        months = {
            name: (f.whole(name, least, _MAX_TERM) if f.given(name) else None)
            for name, least in (
                *(("term_months", 1), ("grace_months", 0), ("delay_months", 0), ("ahead_months", 1)),
                ("lead_months", 0),
            )
        }
        fields = {
            "uses": self._uses(f),
            "least_ucny": self._amount(f, "least_cny") or 0,
            "most_ucny": self._amount(f, "most_cny"),
            "first_month": self._month_of(f, "first_month") or 0,
            "last_month": self._month_of(f, "last_month"),
            "once": f.flag("once", nullable=True) or False,
            "term_months": months["term_months"],
            "grace_months": months["grace_months"] or 0,
            "repayment": f.choice("repayment", Repayment, default=Repayment.FREE) or Repayment.FREE,
            "rate_ppm": self._rate(f, "rate") or 0,
            "fee_ppm": self._rate(f, "fee") or 0,
            "fixed_fee_ucny": self._amount(f, "fixed_fee_cny") or 0,
            "share_of_costs_ppm": self._rate(f, "share_of_costs"),
            "collateral": f.text("collateral", nullable=True),
            "ltv_ppm": self._rate(f, "ltv"),
            "multiple_of": f.text("multiple_of", nullable=True),
            "multiple_ppm": self._rate(f, "multiple", 1000 * MICRO),
            "needs": f.names("needs") if f.raw("needs") else (),
            "excludes": f.names("excludes") if f.raw("excludes") else (),
            "group": f.text("group", nullable=True),
            "pre_money_ucny": self._amount(f, "pre_money_cny"),
            "required_return_ppm": self._rate(f, "required_return", 10 * MICRO),
            "rate_of_cost_ppm": self._rate(f, "rate_of_cost"),
            "delay_months": months["delay_months"] or 0,
            "most_per_year_ucny": self._amount(f, "most_per_year_cny"),
            "budget_ucny": self._amount(f, "budget_cny"),
            "ahead_months": months["ahead_months"] or 0,
            "advance_ppm": self._rate(f, "advance"),
            "clause": self._text(f, "clause"),
            "apply_with": self._text(f, "apply_with"),
            "lead_months": months["lead_months"] or 0,
            "assumed": f.names("assumed") if f.raw("assumed") else (),
        }
        if key is None or kind is None:
            return None
        name = self._text(f, "name") or Text(key, key)
        item = Instrument(key, kind, name, f.text("source", nullable=True) or "", **fields)  # type: ignore[arg-type]
        if len(self.reader.problems) == before:
            self._check(f, item, assets)
        return item

    def _uses(self, f: Fields) -> frozenset[str] | None:
        if not f.given("uses"):
            return None
        found = f.names("uses")
        for place, kind in enumerate(found):
            if self.kinds and kind not in self.kinds:
                path = f"{f.at('uses')}.{place}"
                self.reader.note("unknown-word", path, kind, one_of(self.kinds), did_you_mean(kind, self.kinds))
        return frozenset(found)

    def _check(self, f: Fields, item: Instrument, assets: Mapping[str, int]) -> None:
        """Note terms that an instrument lacks, or that contradict each other."""
        for term in missing_terms(item):
            f.note("missing-field", term, Text(f"{term}, which {item.kind} needs here", f"{item.kind} 须给出 {term}"))
        if item.term_months is not None and item.grace_months >= item.term_months:
            f.note("bad-number", "grace_months", Text("fewer months than the term", "须短于期限"))
        if item.most_ucny is not None and item.least_ucny > item.most_ucny:
            f.note("bad-amount", "least_cny", Text("not above most_cny", "不大于 most_cny"))
        if item.last_month is not None and item.last_month < item.first_month:
            f.note("bad-month", "last_month", Text("not before first_month", "不早于 first_month"))
        if item.collateral is not None and item.collateral not in assets:
            f.note("no-such-asset", "collateral", one_of(assets), did_you_mean(item.collateral, assets))
        if item.ltv_ppm == 0:
            f.note("bad-share", "ltv", Text("a share above 0", "大于 0 的比例"))
        if item.kind is Kind.SUBSIDY and (item.fee_ppm or item.fixed_fee_ucny or item.rate_ppm):
            name = "fee" if item.fee_ppm else "fixed_fee_cny" if item.fixed_fee_ucny else "rate"
            f.note("not-for-kind", name, Text("no charge: support costs nothing", "补助不收费用"))
        for name, given in (("needs", item.needs), ("excludes", item.excludes), ("multiple_of", (item.multiple_of,))):
            if item.id in given:
                f.note("names-itself", name, Text("another instrument", "其他工具"))

    def _check_together(
        self, own: Mapping[str, Instrument], places: Mapping[str, Fields], paths: Mapping[str, str]
    ) -> None:
        """Note instruments that name others which are not in the file."""
        if PRODUCTS in paths or SUPPORT in paths:
            return
        known = {*own, *paths}
        for key, item in own.items():
            for name, given in (("needs", item.needs), ("multiple_of", (item.multiple_of,))):
                for other in given:
                    if other is not None and other not in known:
                        near = did_you_mean(other, known)
                        places[key].note("no-such-instrument", name, one_of(sorted(known)), near)
        for key, item in own.items():
            seen, at = {key}, item
            while at.multiple_of is not None and at.multiple_of in own:
                at = own[at.multiple_of]
                if at.id in seen:
                    places[key].note("circle", "multiple_of", Text("no circle of multiples", "联动不得循环"))
                    break
                seen.add(at.id)


def _amount_text() -> Text:
    return Text(
        f"an amount in yuan from 0 to {cny(MAX_UCNY)}, with at most two decimals",
        f"0 至 {cny(MAX_UCNY)} 的金额（元），最多两位小数",
    )


def _ucny(value: object) -> int | None:
    """Return an amount in yuan, a number or a quoted decimal, as micro-yuan; None if it is none."""
    ucny = parse_micro(value) if isinstance(value, str) else as_micro(value)
    return ucny if ucny is not None and 0 <= ucny <= MAX_UCNY and ucny % FEN == 0 else None
