"""The best plan by trying everything: every draw and repayment in whole steps, without the planner's model.

For each instrument all its histories are listed, each with what it adds to cash at the end of each month and what it
costs. Histories of several instruments are put together one instrument after the other; of two that leave the same
choices open, one that is worse in every month and dearer is dropped, which loses no optimum.
"""

from itertools import product

import numpy as np

from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.project import DebtAtEnd, Project

FEN = 10_000
MILLION = 1_000_000


def half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def compositions(months: int, most: int):
    """Yield every way to take at most `most` steps in some months."""
    if months == 0:
        yield ()
        return
    for first in range(most + 1):
        for rest in compositions(months - 1, most - first):
            yield (first, *rest)


def repayments(item: Instrument, project: Project, draws: tuple[int, ...]):
    """Yield every lawful history of repayments of draws, in micro-yuan."""
    m, step = project.months, project.step_ucny
    term = item.term_months or 10**6
    if item.repayment is not Repayment.FREE:
        due = [0] * (m + 200)
        for month, draw in enumerate(draws):
            amount = draw * step
            if item.repayment is Repayment.END:
                due[min(month + term - 1, m + 100)] += amount
            else:
                n = item.term_months - item.grace_months
                part = amount // n // FEN * FEN
                for k in range(n):
                    due[month + item.grace_months + k] += part if k < n - 1 else amount - part * (n - 1)
        if project.debt_at_end is DebtAtEnd.REPAID:
            due[m - 1] = sum(draws) * step - sum(due[: m - 1])
        yield tuple(due[:m])
        return

    def go(month: int, owed: int, young: list[int]):
        if month == m:
            yield ()
            return
        owed += draws[month]
        must = max(0, owed - sum(draws[max(0, month - term + 2) : month + 1]))
        if month == m - 1 and project.debt_at_end is DebtAtEnd.REPAID:
            must = owed
        for back in range(must, owed + 1):
            for rest in go(month + 1, owed - back, young):
                yield (back * step, *rest)

    yield from go(0, 0, [])


def histories(project: Project, item: Instrument, first: int) -> list[tuple[np.ndarray, float, np.ndarray, np.ndarray]]:
    """Return cash [M] and cost of each history, with what is owed [M] and drawn so far [M], unused included."""
    m, step = project.months, project.step_ucny
    v = (1 + project.discount_ppm / 1e6) ** (-1 / 12)
    nothing = np.zeros(m, dtype=np.int64)
    found = [(nothing, 0.0, nothing, nothing)]
    if item.kind is Kind.SUBSIDY:
        left = min(x for x in (item.most_ucny, item.budget_ucny, 10**18) if x is not None)
        cash, cost, total = nothing.copy(), 0.0, 0
        for month in range(m):
            at = max(month + item.delay_months, item.lead_months)
            for kind, row in project.costs.items():
                if at < m and (item.uses is None or kind in item.uses):
                    paid = min(row[month] * item.rate_of_cost_ppm // MILLION, left) // FEN * FEN
                    left -= paid
                    total += paid
                    cash[at:] += paid
                    cost -= paid * v ** (at + 1)
        return [*found, (cash, cost, nothing, nothing)] if total else found
    last = m - 1 if item.last_month is None else min(item.last_month, m - 1)
    for draws in compositions(m, item.most_ucny // step):
        used = [month for month, draw in enumerate(draws) if draw]
        if not used or used[0] < first or used[-1] > last or (item.once and len(used) > 1):
            continue
        if sum(draws) * step < item.least_ucny:
            continue
        options = [(0,) * m] if item.kind is Kind.EQUITY else repayments(item, project, draws)
        for back in options:
            cash, cost, owed, lent = nothing.copy(), 0.0, 0, nothing.copy()
            for month in range(m):
                draw = draws[month] * step
                fee = half_even(draw * item.fee_ppm, MILLION * FEN) * FEN
                fee += item.fixed_fee_ucny if month == used[0] else 0
                owed += draw if item.is_debt else 0
                interest = half_even(owed * item.rate_ppm, 12 * MILLION * FEN) * FEN
                lent[month] = owed
                owed -= back[month]
                cash[month:] += draw - fee - interest - back[month]
                cost += fee * v**month + interest * v ** (month + 1)
                if item.kind is Kind.EQUITY:
                    years = (m - month) / 12
                    cost += draw * ((1 + item.required_return_ppm / 1e6) ** years - 1) * v**m
            found.append((cash, cost, lent, np.cumsum(draws) * step))
    return found


def kept(vectors: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return which histories no other one beats in every month and in cost."""
    order = np.argsort(costs, kind="stable")
    best: list[int] = []
    for i in order:
        if not best or not (vectors[best] >= vectors[i]).all(axis=1).any():
            best.append(int(i))
    return np.array(best)


def best_of(project: Project) -> tuple[float | None, float]:
    """Return the least cost of a plan, None if there is none, and the least money that is missing; micro-yuan."""
    items = project.instruments
    base = project.own_cash_ucny + np.cumsum(
        [project.income[t] - sum(row[t] for row in project.costs.values()) for t in range(project.months)]
    )
    listed = {}
    for item in items:
        backers = [o.lead_months for o in items if o.id in item.needs and o.kind is Kind.GUARANTEE]
        first = max([item.first_month, item.lead_months, *backers])
        listed[item.id] = [] if item.kind is Kind.GUARANTEE else histories(project, item, first)
    least, missing = None, np.inf
    for chosen in product((False, True), repeat=len(items)):
        used = {item.id for item, yes in zip(items, chosen, strict=True) if yes}
        if not lawful(items, used):
            continue
        vectors, costs = base[None, :], np.zeros(1)
        extra = np.zeros((1, 0), dtype=np.int64)
        sides = sides_of(project, used)
        if sides:
            extra = np.concatenate([limit for _, limit in sides])[None, :]
        vectors = np.concatenate([vectors, extra], axis=1)
        for item in items:
            if item.id not in used or item.kind is Kind.GUARANTEE:
                continue
            options = listed[item.id][1:]
            if not options:
                vectors = vectors[:0]
                break
            own = np.array([np.concatenate([c, *(weigh(item, o, d) for weigh, _ in sides)]) for c, _, o, d in options])
            price = np.array([cost for _, cost, _, _ in options])
            vectors = (vectors[:, None, :] + own[None, :, :]).reshape(-1, own.shape[1])
            costs = (costs[:, None] + price[None, :]).ravel()
            alive = kept(vectors, costs)
            vectors, costs = vectors[alive], costs[alive]
        m = project.months
        inside = (vectors[:, m:] >= 0).all(axis=1)
        vectors, costs = vectors[inside][:, :m], costs[inside]
        if not len(costs):
            continue
        short = (project.reserve_ucny - vectors).max(axis=1)
        missing = min(missing, max(0.0, float(short.min())))
        good = costs[short <= 0]
        if len(good) and (least is None or good.min() < least):
            least = float(good.min())
    return least, missing


def lawful(items: tuple[Instrument, ...], used: set[str]) -> bool:
    groups = [item.group for item in items if item.id in used and item.group is not None]
    return len(groups) == len(set(groups)) and all(
        used.issuperset(item.needs) and not used.intersection(item.excludes) for item in items if item.id in used
    )


def sides_of(project: Project, used: set[str]):
    """Return further limits by month: what a history takes of each, and how much there is."""
    m = project.months
    found = []
    for asset, value in (project.assets or {}).items():

        def lent(item: Instrument, owed: np.ndarray, drawn: np.ndarray, asset: str = asset) -> np.ndarray:
            return -(owed * MILLION // item.ltv_ppm) if item.collateral == asset else np.zeros(m, dtype=np.int64)

        found.append((lent, np.full(m, value)))
    for tied in (i for i in project.instruments if i.multiple_of is not None and i.id in used):

        def linked(item: Instrument, owed: np.ndarray, drawn: np.ndarray, tied: Instrument = tied) -> np.ndarray:
            if item.id == tied.id:
                return -drawn
            return drawn * tied.multiple_ppm // MILLION if item.id == tied.multiple_of else 0 * drawn

        found.append((linked, np.zeros(m, dtype=np.int64)))
    for uses in {i.uses for i in project.instruments if i.uses is not None and i.kind is not Kind.SUBSIDY}:
        spent = np.cumsum([sum(project.costs[kind][t] for kind in uses) for t in range(m)])

        def paid(item: Instrument, owed: np.ndarray, drawn: np.ndarray, uses: frozenset = uses) -> np.ndarray:
            return -drawn if item.uses == uses else 0 * drawn

        found.append((paid, spent))
    return found
