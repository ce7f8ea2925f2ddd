"""Slow twin of the baselines: plain Python, lists, every second of interest looked at afresh; no vouchers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from dujiang.lab.case import Case
from dujiang.lab.outages import planned, standing
from dujiang.lab.scenario import Allocator, Clock

HOUR = 3600


@dataclass
class Run:
    """Accelerators that a job holds in a pool."""

    j: int
    p: int
    begin: int
    end: int


@dataclass
class Told:
    """What became of the jobs."""

    start: dict[int, int] = field(default_factory=dict)
    pool: dict[int, int] = field(default_factory=dict)
    outcome: dict[int, str] = field(default_factory=dict)
    cut: list[tuple[int, int, int, int]] = field(default_factory=list)
    mismatch_s: int = 0


class Twin:
    def __init__(self, case: Case) -> None:
        self.case, self.told = case, Told()
        self.rule = case.scenario.allocator
        self.tick = HOUR if case.scenario.clock is Clock.HOURS else 1
        orders, pools = case.book.orders, case.book.pools
        self.gpus = orders["gpus"].to_list()
        self.limit = orders["limit_ucny"].to_list()
        self.first_limit = list(self.limit)
        self.ask = pools["ask_ucny_per_gpu_hour"].to_list()
        self.speed = pools["speed_micro"].to_list()
        self.centre = pools["centre_id"].to_list()
        self.names = case.book.centres["centre_id"].to_list()
        self.plan, self.stands = planned(case).tolist(), standing(case).tolist()
        self.end = case.book.slots * HOUR
        self.running: list[Run] = []
        self.waiting: list[int] = []
        self.chosen: dict[int, int] = {}
        self.ever_cut: set[int] = set()
        self.now = 0

    # ---- of a job ----

    def held(self, j: int, p: int) -> int:
        run = -(-int(self.case.jobs.run_s[j]) * 1_000_000 // self.speed[p])
        return -(-run // self.tick) * self.tick

    def arrive(self, j: int) -> int:
        return -(-int(self.case.jobs.submit_s[j]) // self.tick) * self.tick

    def due(self, j: int) -> int:
        return int(self.case.jobs.deadline_s[j]) // self.tick * self.tick

    def cost(self, j: int, p: int) -> int:
        exact = Fraction(self.ask[p] * self.held(j, p) * self.gpus[j], HOUR)
        return int(exact + Fraction(1, 2))

    def paid(self, run: Run) -> int:
        exact = Fraction(self.ask[run.p] * (self.now - run.begin) * self.gpus[run.j], HOUR)
        return int(exact + Fraction(1, 2))

    def payable(self, j: int) -> list[int]:
        home = self.names[self.case.jobs.origin[j]]
        alone = self.rule in (Allocator.ISOLATED_FIFO, Allocator.ISOLATED_BACKFILL)
        return [
            p
            for p in range(len(self.ask))
            if self.cost(j, p) <= self.first_limit[j]
            and self.gpus[j] <= max(self.plan[p])
            and not (alone and self.centre[p] != home)
        ]

    def reach(self, j: int) -> list[int]:
        return [p for p in self.payable(j) if self.arrive(j) + self.held(j, p) <= self.due(j)]

    # ---- room ----

    def at(self, rows: list[list[int]], p: int, second: int) -> int:
        hour = second // HOUR
        return rows[p][hour] if hour < len(rows[p]) else rows[p][-1]

    def down(self, p: int) -> int:
        return self.at(self.plan, p, self.now) - self.at(self.stands, p, self.now)

    def fits(self, p: int, gpus: int, begin: int, end: int, runs: list[Run]) -> bool:
        """Whether accelerators stay within what is planned, less what is down now, at every second."""
        moments = {begin} | {h * HOUR for h in range(begin // HOUR + 1, min(-(-end // HOUR), len(self.plan[p])))}
        moments |= {r.begin for r in runs if begin < r.begin < end}
        for s in moments:
            used = sum(self.gpus[r.j] for r in runs if r.p == p and r.begin <= s < r.end)
            if used + gpus > self.at(self.plan, p, s) - self.down(p):
                return False
        return True

    def earliest(self, j: int, p: int) -> int | None:
        moments = {self.now} | {r.end for r in self.running if r.p == p}
        moments |= {h * HOUR for h in range(self.now // HOUR + 1, self.case.book.slots)}
        for s in sorted(moments):
            if self.fits(p, self.gpus[j], s, s + self.held(j, p), self.running):
                return s
        return None

    def best(self, j: int, promised: Run | None) -> int | None:
        """The cheapest pool in which it can start now."""
        found = []
        runs = self.running + ([promised] if promised else [])
        for p in [self.chosen[j]] if j in self.chosen else self.reach(j):
            end = self.now + self.held(j, p)
            if end <= self.due(j) and self.fits(p, self.gpus[j], self.now, end, runs):
                found.append((self.cost(j, p), p))
        dear = [pair for pair in found if pair[0] > self.limit[j]]
        if dear and len(dear) == len([self.chosen[j]] if j in self.chosen else self.reach(j)):
            self.waiting.remove(j)  # what it paid for a run that was stopped is missing now
            self.gone(j, "refused")
        paid = [pair for pair in found if pair not in dear]
        return min(paid)[1] if paid else None

    # ---- queues ----

    def start(self, j: int, p: int) -> None:
        self.waiting.remove(j)
        self.running.append(Run(j, p, self.now, self.now + self.held(j, p)))
        self.told.start[j], self.told.pool[j] = self.now, p

    def queues(self) -> list[list[int]]:
        """Jobs that wait, by queue; queues of pools that some job of the case could use both."""
        if self.rule is Allocator.GREEDY_CHEAPEST:
            return [sorted(j for j in self.waiting if self.chosen[j] == p) for p in range(len(self.ask))]
        groups = [{p} for p in range(len(self.ask))]
        for j in range(len(self.gpus)):
            own = set(self.reach(j))
            met = [g for g in groups if g & own]
            if len(met) > 1:
                groups = [g for g in groups if not g & own] + [set().union(*met)]
        return [sorted(j for j in self.waiting if set(self.reach(j)) & g) for g in groups]

    def serve(self) -> None:
        for queue in self.queues():
            if self.rule is Allocator.POOLED_SJF:
                for j in sorted(queue, key=lambda j: (self.case.jobs.run_s[j], j)):
                    p = self.best(j, None)
                    if p is not None:
                        self.start(j, p)
                continue
            while queue:
                p = self.best(queue[0], None)
                if p is not None:
                    self.start(queue.pop(0), p)
                elif queue[0] in self.waiting:
                    break
                else:
                    queue.pop(0)
            if queue and self.rule in (Allocator.ISOLATED_BACKFILL, Allocator.POOLED_BACKFILL):
                head = queue[0]
                starts = [
                    (s, self.cost(head, p), p) for p in self.reach(head) if (s := self.earliest(head, p)) is not None
                ]
                promised = None
                if starts:
                    s, _, p = min(starts)
                    promised = Run(head, p, s, s + self.held(head, p))
                for j in queue[1:]:
                    p = self.best(j, promised)
                    if p is not None:
                        self.start(j, p)

    def choose(self, j: int) -> None:
        if self.rule is not Allocator.GREEDY_CHEAPEST:
            return
        options = []
        for p in self.reach(j):
            if self.now + self.held(j, p) > self.due(j):
                continue
            work = sum(self.gpus[r.j] * (r.end - self.now) for r in self.running if r.p == p)
            work += sum(self.gpus[i] * self.held(i, p) for i in self.waiting if self.chosen[i] == p)
            options.append((self.cost(j, p), work / max(self.at(self.stands, p, self.now), 1), p))
        self.chosen[j] = min(options)[2]

    def gone(self, j: int, why: str) -> None:
        self.told.outcome[j] = "stopped" if j in self.ever_cut else why

    def fail(self, p: int) -> None:
        held = [r for r in self.running if r.p == p]
        over = sum(self.gpus[r.j] for r in held) - self.at(self.stands, p, self.now)
        back = []
        for run in sorted(held, key=lambda r: (-r.begin, -r.j)):
            if over <= 0:
                break
            over -= self.gpus[run.j]
            self.running.remove(run)
            self.limit[run.j] -= self.paid(run)
            self.told.cut.append((run.j, p, run.begin, self.now))
            self.ever_cut.add(run.j)
            del self.told.start[run.j], self.told.pool[run.j]
            back.append(run.j)
        for j in back:
            self.chosen.pop(j, None)
            if max(self.due(j) - self.held(j, q) for q in self.reach(j)) < self.now:
                self.told.outcome[j] = "stopped"
                continue
            self.choose(j)
            self.waiting.append(j)

    def mismatch(self) -> bool:
        free = dict.fromkeys(self.names, 0)
        for p, name in enumerate(self.centre):
            used = sum(self.gpus[r.j] for r in self.running if r.p == p)
            free[name] += self.at(self.stands, p, self.now) - used
        homes = {self.names[self.case.jobs.origin[j]] for j in self.waiting}
        return any(free[name] > 0 and homes - {name} for name in self.names)

    def run(self) -> Told:
        jobs = range(len(self.gpus))
        moments = {self.arrive(j) for j in jobs} | {h * HOUR for h in range(self.case.book.slots)}
        moments |= {self.due(j) - self.held(j, p) + self.tick for j in jobs for p in self.reach(j)}
        first, last = self.case.scenario.warm_up_h * HOUR, self.case.window_h * HOUR
        before = None
        while True:
            ahead = [s for s in moments if before is None or s > before]
            ahead += [r.end for r in self.running]
            now = min(ahead, default=self.end)
            stop = min(now, self.end)
            if before is not None and self.mismatch():
                self.told.mismatch_s += max(0, min(stop, last) - max(before, first))
            if now >= self.end:
                break
            self.now = before = now
            for run in [r for r in self.running if r.end == now]:
                self.running.remove(run)
                self.told.outcome[run.j] = "served"
            for p in range(len(self.ask)):
                self.fail(p)
            for j in jobs:
                if self.arrive(j) == now:
                    if not self.payable(j):
                        self.gone(j, "refused")
                    elif not self.reach(j):
                        self.gone(j, "expired")
                    else:
                        self.choose(j)
                        self.waiting.append(j)
            for j in list(self.waiting):
                pools = [self.chosen[j]] if j in self.chosen else self.reach(j)
                if max(self.due(j) - self.held(j, p) for p in pools) < now:
                    self.waiting.remove(j)
                    self.gone(j, "expired")
            self.serve()
        for run in self.running:
            self.told.outcome[run.j] = "served" if run.end == self.end else "waiting"
        for j in self.waiting:
            self.told.outcome[j] = "waiting"
        return self.told


def replayed(case: Case) -> Told:
    """Replay a case without programmes."""
    assert isinstance(case.programmes, Mapping)
    assert not case.programmes
    return Twin(case).run()
