"""One question, answered from files: what does a workload need, where, at what price, and who pays?

The compute of the workload is estimated for each type of accelerator, each compatible pool is asked for a quote of that
run time, the programmes are asked about the quote, the other needs are added, and what is left is funded. Every figure
of the answer says where it comes from. Nothing is reserved, and no range is made one number: what is expected decides
between pools, and the low and the high end stand beside it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dujiang.catalog.tables import accelerators, capital_need
from dujiang.core.errors import InputError, OperationError
from dujiang.core.marked import Marked
from dujiang.core.money import MAX_UCNY, MICRO, cny, div_half_even, round_to_fen
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.slots import SHANGHAI, ceil_div, instant_text, slot_instant
from dujiang.core.text import Text
from dujiang.exchange.quoting import OpenedDesk, open_desk
from dujiang.finance.candidates import SUPPORT, Offers, candidates, unknown_ids
from dujiang.finance.estimate import (
    SERVING,
    TRAINING,
    Figure,
    Need,
    Origin,
    Range,
    catalogue_figure,
    counted,
    gpu_hours,
    gpu_hours_formula,
    peak_mflops,
    said,
    total,
)
from dujiang.finance.funding import fund
from dujiang.finance.plan_document import plan_document, yuan
from dujiang.finance.product import Product
from dujiang.market.outcome import Coupling
from dujiang.policy.catalogue import Catalogue
from dujiang.policy.evaluate import Status
from dujiang.policy.facts import DOMESTIC, GOOD, ROUND_DEFAULTS
from dujiang.policy.programme import Base, Clause, Programme
from dujiang.policy.quote import Quote, quote
from dujiang.registry.book import Fact
from dujiang.store.read_document import read_document
from dujiang.store.read_facts import read_facts
from dujiang.store.read_request import (
    CASES,
    INFERENCE_KIND,
    PEOPLE_KIND,
    Request,
    Stated,
    order_of,
    parse_request,
)

_PAID = (Base.CONTRACT, Base.ACTUAL, Base.SETTLED, Base.PURCHASE)
"""Amounts of a purchase that a quote states: all are what the centre is paid."""
_STATED = Text("stated in the request", "申请文件所述")
_NO_PEAK = Text(
    "nobody is known to have published the dense peak of this accelerator; state workload.peak_tflops or gpu_hours",
    "该加速卡的稠密峰值未见公开发布；请填写 workload.peak_tflops 或 gpu_hours",
)
_NO_ROOM = Text("no room in the window for what is expected", "时间窗内无法容纳预期用量")


class _Offer(NamedTuple):
    """What one pool quotes for one end of the range."""

    start: int
    slots: int
    gross_ucny: int
    transfer_ucny: int


class _Pool(NamedTuple):
    """One compatible pool: its estimate, a quote for each end (None: no room), the support of what is expected."""

    facts: Mapping[str, Any]
    hours: Range
    formula: Text
    offers: tuple[_Offer | None, ...]
    support: Quote | None


def plan_request(
    folder: Path,
    results: Path,
    request: Path,
    catalogue: Catalogue,
    products: Mapping[str, Product],
    *,
    firm: Path | None = None,
    coupling: Coupling = Coupling.FULL,
) -> dict[str, Any]:
    """Answer a request.

    Parameters
    ----------
    folder, results : a book and its result, or that of an earlier round; as of `quoting.quote_order`
    request : YAML file
    catalogue : programmes that are asked
    products : products that may fund it
    firm : YAML file with facts of the enterprise
    coupling : which centres the order may use

    Returns
    -------
    the document of `dujiang plan --json`

    Raises
    ------
    InputError : the book, the result, the request or the firm have problems; lists all of them
    OperationError : the planner's time ran out
    """
    problems = ProblemList()
    doc = read_document(request, problems)
    if doc is not None and not isinstance(doc.value, dict):
        problems.add(doc.problem("bad-type", "", doc.value, Text("a mapping of fields", "字段的映射")))
        doc = None
    asked = None if doc is None else parse_request(doc, problems)
    facts: dict[str, Fact] = {} if firm is None else read_facts(firm, problems)
    try:
        opened = open_desk(folder, results, None if doc is None else order_of(doc), coupling, problems)
    except InputError as error:
        raise InputError(error.problems if doc is None else [_as_stated(p, doc) for p in error.problems]) from None
    if asked is None or problems:
        raise InputError(problems)
    return _Planning(asked, opened, catalogue, products, facts).document()


def _as_stated(problem: Problem, doc: Marked) -> Problem:
    """Return a problem of the order with the name that the request has for the field."""
    by_hours = doc.value.get("deadline") is None and doc.value.get("deadline_hours") is not None
    if by_hours and (problem.file, problem.field) == (doc.file, "deadline"):
        return replace(problem, field="deadline_hours")
    return problem


class _Planning:
    """Works out one answer."""

    def __init__(
        self,
        request: Request,
        opened: OpenedDesk,
        catalogue: Catalogue,
        products: Mapping[str, Product],
        firm: Mapping[str, Fact],
    ) -> None:
        self.request, self.opened, self.products, self.firm = request, opened, products, firm
        self.book = opened.book
        found = catalogue.on(self.book.day)
        self.known: dict[str, Programme] = {key: entry.programme for key, entry in found.items()}
        # What nobody is known to have published brings nothing here, as in a funding plan.
        self.programmes = {key: programme for key, programme in self.known.items() if programme.verified}
        self.cards = accelerators()
        self.utilisation = _stated(request.workload.utilisation) or catalogue_figure(
            capital_need()["training-utilisation"]
        )

    def document(self) -> dict[str, Any]:
        """Return the whole answer."""
        pools, left_out = self._pools()
        best = pools[0] if pools else None
        needs, open_needs = self._needs(best)
        for need in needs:
            if need.ucny.high > MAX_UCNY:
                expected = Text(f"at most {cny(MAX_UCNY)} CNY", f"不超过 {cny(MAX_UCNY)} 元")
                path = f"needs.{need.kind}"
                raise InputError([self.request.document.problem("too-large", path, cny(need.ucny.high), expected)])
        lines = self._lines(best, needs)
        return {
            "ok": True,
            "request_id": self.request.id,
            "prices_of": instant_text(self.opened.earlier.start),
            "day": self.book.day.isoformat(),
            "gpus": self.request.gpus,
            "figures": self._figures(best),
            "pools": [self._pool_document(pool) for pool in pools],
            "left_out": left_out,
            "chosen": None if best is None else best.facts["pool_id"],
            "lines": lines,
            "not_estimated": open_needs,
            "would_pay_if": [] if best is None or best.support is None else _would_pay(best.support),
            "funding": self._funding(best, needs),
            "funded_case": None if self.request.funding is None else self.request.case,
        }

    # Compute

    def _hours(self, accelerator: str) -> tuple[Range, Text] | None:
        """Return the GPU-hours of the workload on an accelerator and their formula; None: its peak is not known."""
        load = self.request.workload
        if load.gpu_hours is not None:
            text = said(load.gpu_hours.value)
            return load.gpu_hours.value, Text(f"{text} GPU-hours at speed 1.0", f"{text} 卡时（速度 1.0）")
        peak = self._peak(accelerator)
        if peak is None or load.parameters is None or load.tokens is None:
            return None
        given = (load.parameters.value, load.tokens.value, peak, self.utilisation.value)
        return gpu_hours(TRAINING, *given), gpu_hours_formula(TRAINING, *given)

    def _peak(self, accelerator: str) -> int | None:
        return self.request.workload.peak_mflops.get(accelerator) or peak_mflops(self.cards.get(accelerator))

    def _pools(self) -> tuple[list[_Pool], list[dict[str, Any]]]:
        """Return the pools with room for what is expected, what costs least after support first; and the others."""
        centres = self.book.centres.rename({n: f"seller_{n}" for n in self.book.centres.columns if n != "centre_id"})
        frame = self.book.pools.join(centres, on="centre_id", maintain_order="left")
        rows = frame.to_dicts()
        at = self.opened.desk.quote(self.opened.enquiry)
        pools, left = [], []
        quoted: dict[tuple[str, int], tuple[dict[int, _Offer], ...]] = {}
        for row in at.pool.tolist():
            pool = rows[row]
            found = self._hours(pool["accelerator"])
            if found is None:
                left.append(_left(pool["pool_id"], _NO_PEAK))
                continue
            key = (pool["accelerator"], pool["speed_micro"])
            if key not in quoted:
                quoted[key] = tuple(self._quotes(hours, key[1]) for hours in found[0])
            offers = tuple(by_pool.get(row) for by_pool in quoted[key])
            expected = offers[1]
            if expected is None:
                left.append(_left(pool["pool_id"], _NO_ROOM))
                continue
            pools.append(_Pool(pool, *found, offers, self._support(pool, expected)))
        pools.sort(key=lambda p: (_net(p), p.facts["pool_id"]))
        return pools, left

    def _quotes(self, hours: int, speed: int) -> dict[int, _Offer]:
        """Ask the desk for a run of so many GPU-hours, in millionths; row of the pool -> what it quotes."""
        # Hours at speed 1.0 take less time in a faster pool; an estimate from the peak is of the card itself.
        per_slot = speed if self.request.workload.gpu_hours is not None else MICRO
        slots = ceil_div(hours, self.request.gpus * per_slot)
        if slots > self.book.slots:
            return {}
        answer = self.opened.desk.quote(self.opened.enquiry._replace(hours_micro=slots * speed))
        fields = (answer.pool, answer.start, answer.slots, answer.gross, answer.transfer)
        return {
            pool: _Offer(start, taken, gross, transfer)
            for pool, start, taken, gross, transfer in zip(*(f.tolist() for f in fields), strict=True)
            if start >= 0
        }

    # Support

    def _facts(self, pool: Mapping[str, Any], offer: _Offer | None) -> dict[str, Fact]:
        """Return what is known of buying from a pool; without an offer, everything but day and amounts."""
        facts: dict[str, Fact] = {**ROUND_DEFAULTS, **self.book.facts, **self.firm, **self.request.purchase}
        seller = {
            "seller_id": pool["centre_id"],
            "seller_region": pool["seller_region"],
            "seller_province": pool.get("seller_province"),
            "seller_cluster": pool.get("seller_cluster"),
            "accelerator": pool["accelerator"],
            "purpose": self.request.purpose,
        }
        facts |= {"good": GOOD, "gpus": self.request.gpus}
        facts |= {name: value for name, value in seller.items() if value is not None}
        card = self.cards.get(pool["accelerator"])
        if card is not None:
            facts[DOMESTIC] = card.domestic
        if offer is not None:
            facts |= {"date": self.book.day, **{f"{base.value}_ucny": offer.gross_ucny for base in _PAID}}
        return facts

    def _support(self, pool: Mapping[str, Any], offer: _Offer) -> Quote:
        return quote(self.programmes.values(), self._facts(pool, offer), on=self.book.day)

    # Other needs

    def _needs(self, best: _Pool | None) -> tuple[list[Need], list[dict[str, str]]]:
        """Return the other needs, and those that only a quote would price."""
        found, still_open = [], []
        for kind, stated in self.request.needs.items():
            need = self._need(kind, stated, best)
            if need is None:
                still_open.append({"kind": kind, **_both("reason", _open_reason(best))})
            else:
                found.append(need)
        return found, still_open

    def _need(self, kind: str, stated: Mapping[str, Stated], best: _Pool | None) -> Need | None:
        source = self.request.sources.get(kind)
        figures = {name: _figure(value, source) for name, value in stated.items()}
        if kind == INFERENCE_KIND and "cny" not in stated:
            return self._inference(stated, figures, best)
        if kind == PEOPLE_KIND and "cny" not in stated and "cny_each" not in stated:
            figures["cny_each"] = catalogue_figure(capital_need()["engineer-pay"])
        return counted(kind, figures)

    def _inference(self, stated: Mapping[str, Stated], figures: dict[str, Figure], best: _Pool | None) -> Need | None:
        offer = None if best is None else best.offers[1]
        price = figures.get("cny_per_gpu_hour")
        if price is None:
            if best is None or offer is None:
                return None
            each = div_half_even(offer.gross_ucny, self.request.gpus * offer.slots)
            where = best.facts["pool_id"]
            says = Text(f"mean of the quoted run in {where}", f"{where} 报价的平均卡时价")
            price = Figure(Range(each, each, each), Origin.QUOTE, says)
        hours = figures.get("gpu_hours")
        words = None
        if hours is None:
            peak = None if best is None else self._peak(best.facts["accelerator"])
            model = stated.get("parameters") or self.request.workload.parameters
            if peak is None or model is None:
                return None
            given = (model.value, stated["tokens"].value, peak, stated["utilisation"].value)
            formula = gpu_hours_formula(SERVING, *given)
            hours = Figure(gpu_hours(SERVING, *given), Origin.FORMULA, formula)
            words = Text(f"GPU-hours = {formula.en}", f"卡时 = {formula.zh}")
        return counted(INFERENCE_KIND, {"gpu_hours": hours, "cny_per_gpu_hour": price}, words)

    # Funding

    def _funding(self, best: _Pool | None, needs: list[Need]) -> dict[str, Any] | None:
        """Return the plan of the planner for one end of the ranges; None: nobody asked, or that end has no quote."""
        read = self.request.funding
        case = CASES.index(self.request.case)
        offer = None if best is None else best.offers[case]
        if read is None or best is None or offer is None or len(needs) < len(self.request.needs):
            return None
        project = read.project
        begins = slot_instant(self.book.start, offer.start).astimezone(SHANGHAI)
        month = (begins.year - project.start.year) * 12 + begins.month - project.start.month
        wanted = tuple(read.wanted) if SUPPORT in read.wanted else (*read.wanted, SUPPORT)
        offers = Offers(self.products, self.known)
        problems = ProblemList()
        if not 0 <= month < project.months:
            expected = Text(f"months among which is {begins:%Y-%m}, when the run begins", f"含开始月份 {begins:%Y-%m}")
            problems.add(self._problem("bad-month", "funding.start", project.month_text(0), expected))
        for key in unknown_ids(read.wanted, offers):
            expected = Text("a product, a programme, or an instrument of your own", "产品、政策或自定义工具")
            problems.add(
                self._problem("no-such-instrument", f"funding.{read.wanted_paths.get(key, '')}", key, expected)
            )
        if problems:
            raise InputError(problems)
        costs = {
            "compute": _once(round_to_fen(offer.gross_ucny), month, project.months),
            "transfer": _once(offer.transfer_ucny, month, project.months),
            **{need.kind: _spread(need.ucny[case], project.months) for need in needs},
        }
        project = replace(project, costs=costs)
        spending = {"compute": self._facts(best.facts, None)}
        found = candidates(project, wanted, self.firm, offers, spending)
        try:
            answer = fund(found.project, around=False)
        except TimeoutError:
            text = Text("the planner's time ran out; allow fewer instruments", "求解超时；请减少可选工具")
            raise OperationError(text) from None
        return plan_document(answer, found.left_out, found.readings)

    def _problem(self, code: str, path: str, found: object, expected: Text) -> Problem:
        return self.request.document.problem(code, path, found, expected)

    # The page

    def _figures(self, best: _Pool | None) -> list[dict[str, Any]]:
        load = self.request.workload
        rows = []
        for name, value, unit in (("parameters", load.parameters, 1), ("tokens", load.tokens, 1)):
            if value is not None:
                rows.append(_figure_document(name, value.value, unit, Origin.REQUEST, _STATED, value.middle))
        if load.gpu_hours is not None:
            rows.append(
                _figure_document(
                    "gpu_hours", load.gpu_hours.value, MICRO, Origin.REQUEST, _STATED, load.gpu_hours.middle
                )
            )
            return rows
        u = self.utilisation
        rows.append(_figure_document("utilisation", u.value, MICRO, u.origin, u.source, u.middle))
        if best is not None:
            name = best.facts["accelerator"]
            peak, card = self._peak(name) or 0, self.cards.get(name)
            own = name in load.peak_mflops or card is None
            source = (
                _STATED if own or card is None else Text(f"{card.model}: {card.source}", f"{card.model}：{card.source}")
            )
            origin = Origin.REQUEST if own else Origin.CATALOGUE
            rows.append(_figure_document("peak_tflops", Range(peak, peak, peak), MICRO, origin, source, False))
            rows.append(_figure_document("gpu_hours", best.hours, MICRO, Origin.FORMULA, best.formula, False))
        return rows

    def _pool_document(self, pool: _Pool) -> dict[str, Any]:
        facts = pool.facts
        return {
            "pool_id": facts["pool_id"],
            "centre_id": facts["centre_id"],
            "region": facts["seller_region"],
            "accelerator": facts["accelerator"],
            "gpu_hours": dict(zip(CASES, (yuan(end) for end in pool.hours), strict=True)),
            **_both("formula", pool.formula),
            "quotes": {
                case: None if offer is None else self._offer_document(offer)
                for case, offer in zip(CASES, pool.offers, strict=True)
            },
            "support_cny": yuan(0 if pool.support is None else pool.support.stack.total_ucny),
            "net_cny": yuan(_net(pool)),
        }

    def _offer_document(self, offer: _Offer) -> dict[str, Any]:
        return {
            "start": offer.start,
            "begins": instant_text(slot_instant(self.book.start, offer.start)),
            "slots": offer.slots,
            "gross_cny": yuan(offer.gross_ucny),
            "transfer_cny": yuan(offer.transfer_ucny),
        }

    def _lines(self, best: _Pool | None, needs: list[Need]) -> list[dict[str, Any]]:
        """Return the money of the whole page, line by line; support is below zero, None an end without a quote."""
        rows = [] if best is None else self._compute_lines(best)
        sums = [] if best is None else [_ends(row) for row in rows]
        for need in needs:
            weak = [name for name, f in need.figures if f.origin is Origin.ASSUMPTION or f.middle]
            row = _line(need.kind, Text(need.kind, need.kind), need.ucny, Origin.FORMULA, need.formula)
            row["assumed"] = weak
            row["figures"] = [
                _figure_document(name, f.value, MICRO, f.origin, f.source, f.middle) for name, f in need.figures
            ]
            rows.append(row)
        if best is not None and len(needs) == len(self.request.needs):
            rows.append(_total(sums, needs))
        for row in rows:
            row.pop("_ucny")
        return rows

    def _compute_lines(self, best: _Pool) -> list[dict[str, Any]]:
        key = best.facts["pool_id"]
        since = instant_text(self.opened.earlier.start)
        says = Text(f"quote of {key} at the prices of {since}", f"{key} 按 {since} 轮次价格的报价")
        gross = [None if offer is None else offer.gross_ucny for offer in best.offers]
        carried = [None if offer is None else offer.transfer_ucny for offer in best.offers]
        rows = [
            _line("compute", Text("compute, to the centre", "算力费（付算力中心）"), gross, Origin.QUOTE, says),
            _line("transfer", Text("transfer of data", "数据传输费"), carried, Origin.QUOTE, says),
        ]
        answers = [
            None if offer is None else best.support if end == 1 else self._support(best.facts, offer)
            for end, offer in enumerate(best.offers)
        ]
        paid = [
            {} if answer is None else {c.programme_id: c.amount_ucny for c in answer.stack.chosen} for answer in answers
        ]
        for programme_id in sorted({key for amounts in paid for key in amounts}):
            ends = [
                None if answer is None else -amounts.get(programme_id, 0)
                for answer, amounts in zip(answers, paid, strict=True)
            ]
            programme = self.programmes[programme_id]
            clause = _clause_of([a for a in answers if a is not None], programme_id)
            says = programme.name if clause is None else _clause_words(clause)
            rows.append(_line(programme_id, programme.name, ends, Origin.CLAUSE, says))
        return rows


def _total(sums: list[tuple[int | None, ...]], needs: list[Need]) -> dict[str, Any]:
    """Return the last line; an end that has no quote has no total."""
    whole = total([need.ucny for need in needs])
    ends = [
        None if any(s[end] is None for s in sums) else whole[end] + sum(s[end] or 0 for s in sums) for end in range(3)
    ]
    words = Text("to be paid in all, after support", "合计需付（扣除支持后）")
    says = Text("sum of the lines above, end by end", "以上各行按端点相加")
    return _line("total", words, ends, Origin.FORMULA, says)


def _net(pool: _Pool) -> int:
    """Return what is to be paid for what is expected, support taken off."""
    offer = pool.offers[1]
    assert offer is not None, pool
    return offer.gross_ucny + offer.transfer_ucny - (0 if pool.support is None else pool.support.stack.total_ucny)


def _clause_of(answers: list[Quote], programme_id: str) -> Clause | None:
    """Return the clause that sets what a programme pays, else the first that it rests on."""
    for answer in answers:
        for a in answer.answers:
            if a.programme.id == programme_id and a.evaluation.status is Status.OK:
                return a.evaluation.binding_clause or next(iter(a.evaluation.clauses), None)
    return None


def _clause_words(clause: Clause) -> Text:
    """Quote a clause with its source; a summary stands without quotation marks."""
    if clause.verbatim:
        return Text(f"“{clause.text}” (quote; {clause.source})", f"“{clause.text}”（原文；{clause.source}）")
    return Text(f"{clause.text} (summary; {clause.source})", f"{clause.text}（概述；{clause.source}）")


def _would_pay(answer: Quote) -> list[dict[str, Any]]:
    """Return the programmes that would pay if facts were stated that are not."""
    return [
        {
            "programme_id": a.programme.id,
            **_names(a.programme.name),
            "would_pay_cny": yuan(a.evaluation.would_pay_ucny),
            "needs_facts": [_written(name) for name in a.evaluation.needs_facts],
        }
        for a in answer.answers
        if a.evaluation.status is Status.UNKNOWN and a.evaluation.would_pay_ucny > 0
    ]


def _written(fact: str) -> str:
    """Return the name of a fact as files have it."""
    return f"{fact.removesuffix('_ucny')}_cny" if fact.endswith("_ucny") else fact


def _stated(value: Stated | None) -> Figure | None:
    return None if value is None else _figure(value, None)


def _figure(value: Stated, source: str | None) -> Figure:
    says = _STATED if source is None else Text(f"{_STATED.en}: {source}", f"{_STATED.zh}：{source}")
    return Figure(value.value, Origin.REQUEST, says, value.middle)


def _open_reason(best: _Pool | None) -> Text:
    return (
        Text("no pool quotes a price for it", "无资源池报价，无法计价")
        if best is None
        else Text(_NO_PEAK.en, _NO_PEAK.zh)
    )


def _once(ucny: int, month: int, months: int) -> tuple[int, ...]:
    return tuple(ucny if at == month else 0 for at in range(months))


def _spread(ucny: int, months: int) -> tuple[int, ...]:
    """Spread an amount evenly over months in whole fen; the last month takes what is left."""
    each = round_to_fen(ucny // months)
    return (*(each for _ in range(months - 1)), ucny - each * (months - 1))


def _left(pool_id: str, reason: Text) -> dict[str, Any]:
    return {"pool_id": pool_id, **_both("reason", reason)}


def _line(key: str, words: Text, ends: Any, origin: Origin, source: Text) -> dict[str, Any]:
    named = {f"{case}_cny": None if end is None else yuan(end) for case, end in zip(CASES, ends, strict=True)}
    rest: dict[str, Any] = {"origin": origin.value, **_both("source", source), "assumed": [], "_ucny": tuple(ends)}
    return {"id": key, **_names(words), **named, **rest}


def _ends(row: Mapping[str, Any]) -> tuple[int | None, ...]:
    ends: tuple[int | None, ...] = row["_ucny"]
    return ends


def _figure_document(name: str, value: Range, unit: int, origin: Origin, source: Text, middle: bool) -> dict[str, Any]:
    ends = {case: end if unit == 1 else yuan(end) for case, end in zip(CASES, value, strict=True)}
    return {"id": name, **ends, "origin": origin.value, **_both("source", source), "expected_is_middle": middle}


def _both(name: str, text: Text) -> dict[str, str]:
    return {name: text.en, f"{name}_zh": text.zh}


def _names(text: Text) -> dict[str, str]:
    return {"name": text.en, "name_zh": text.zh}
