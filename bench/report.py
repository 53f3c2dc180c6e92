"""Sums the measurements up: medians, ratios, and how they compare with what is to be reached. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import Case
from bench.counters import Kind
from bench.figures import Planning, Polls, Restart
from bench.kustomizations import Kustomizing
from bench.measure import AgentRun, Audit, FloorRun

RATIO, REQUESTS, MEMORY = 2.0, 15.0, 200e6
RESTART, PLANNING = 3.0, 0.5
#: Of Kustomizations: the ratio to the floor, seconds and requests of a commit that brings or changes all, seconds
#: until one that changes one file is planned.
KUSTOMIZING, ALL, ALL_REQUESTS, ONE = 1.5, 8.0, 4000, 0.7


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The runs of a case; the n-th of the floor and the n-th of the agent were taken one after the other."""

    case: Case
    floors: Sequence[FloorRun]
    agents: Sequence[AgentRun]
    audit: Audit

    @property
    def floor_seconds(self) -> float:
        return median(run.seconds for run in self.floors)

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.agents)

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring runs, because the machine's speed changes from minute to minute."""
        pairs = zip(self.floors, self.agents, strict=True)
        return median(agent.seconds / floor.seconds for floor, agent in pairs)

    @property
    def requests(self) -> float:
        """What the API server counted, all of it."""
        return median(run.requests for run in self.agents)

    @property
    def floor_requests(self) -> float:
        return median(run.requests for run in self.floors)

    @property
    def background(self) -> float:
        """Requests that the API server gets in as many seconds as the agent's window when nobody does anything."""
        return median(run.window for run in self.agents) * self._idle_rate

    @property
    def agent_requests_each(self) -> float:
        """The agent's requests for each release: all, without the background and without those that the control plane
        itself makes when such objects come to be. The floor's run says how many those are."""
        rate = self._idle_rate
        rest = [
            agent.requests - agent.window * rate - (floor.requests - floor.window * rate - floor.own)
            for floor, agent in zip(self.floors, self.agents, strict=True)
        ]
        return median(rest) / len(self.case.releases)

    @property
    def audited_requests_each(self) -> float:
        """The same from the audit log of another run, request by request."""
        return self.audit.agent.total() / len(self.case.releases)

    @property
    def cpu(self) -> float:
        return median(run.cpu for run in self.agents)

    @property
    def plane_cpu(self) -> float:
        return median(run.plane_cpu for run in self.agents)

    @property
    def floor_plane_cpu(self) -> float:
        return median(run.plane_cpu for run in self.floors)

    @property
    def memory(self) -> float:
        return median(run.memory for run in self.agents)

    @property
    def _idle_rate(self) -> float:
        return sum(run.idle for run in self.floors) / sum(run.window for run in self.floors)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything of one run of the benchmarks."""

    machine: dict[str, str]
    cases: Sequence[CaseResult]
    restart: Restart
    polls: Polls
    planning: Planning
    kustomizing: Kustomizing


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that is to be reached."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.limit


def checks(results: Results) -> list[Check]:
    """What issue 3 asks for, against what was measured."""
    found = []
    for result in results.cases:
        title = result.case.title
        found.append(Check(f"{title}: ratio to the floor", result.ratio, RATIO))
        worst = max(result.agent_requests_each, result.audited_requests_each)
        found.append(Check(f"{title}: API requests a release", worst, REQUESTS))
        found.append(Check(f"{title}: peak RSS", result.memory / 1e6, MEMORY / 1e6, "MB"))
    restart, polls, planning = results.restart, results.polls, results.planning
    return [
        *found,
        Check(f"{polls.polls} polls without news: API requests", polls.requests, 0),
        Check(f"restart with {restart.releases} releases in sync: writes", restart.writes, 0),
        Check(f"restart with {restart.releases} releases in sync: idle after", restart.seconds, RESTART, "s"),
        Check(f"one file of {planning.manifests} manifests: planned after", median(planning.planned), PLANNING, "s"),
        *_kustomizing_checks(results.kustomizing),
    ]


def _kustomizing_checks(found: Kustomizing) -> list[Check]:
    title = f"{found.count} Kustomizations"
    return [
        Check(f"{title}, first: ratio to the floor", found.ratio, KUSTOMIZING),
        Check(f"{title}, first: ratio to the floor with kustomize's own program", found.quick_ratio, KUSTOMIZING),
        Check(f"{title}, first", found.first.seconds, ALL, "s"),
        Check(f"{title}, first: requests in all", found.first.requests, ALL_REQUESTS),
        Check(f"{title}, every object changed", found.all_changed.seconds, ALL, "s"),
        Check(f"{title}, every object changed: requests in all", found.all_changed.requests, ALL_REQUESTS),
        Check(f"{title}, one file changed: planned after", found.planned, ONE, "s"),
        Check(f"{title}: peak RSS", found.memory / 1e6, MEMORY / 1e6, "MB"),
    ]


def render(results: Results) -> str:
    """Tables in Markdown."""
    machine = "\n".join(f"{name}: {value}" for name, value in results.machine.items())
    head = (
        "case",
        "floor s",
        "gitsync s",
        "ratio",
        "requests in all",
        "of the floor's run",
        "background",
        "gitsync's a release",
        "by the audit log",
        "CPU s",
        "CPU s of the control plane / in the floor's run",
        "peak RSS MB",
    )
    rows = [
        (
            result.case.title,
            f"{result.floor_seconds:.2f}",
            f"{result.seconds:.2f}",
            f"{result.ratio:.2f}",
            f"{result.requests:.0f}",
            f"{result.floor_requests:.0f}",
            f"{result.background:.0f}",
            f"{result.agent_requests_each:.1f}",
            f"{result.audited_requests_each:.1f}",
            f"{result.cpu:.2f}",
            f"{result.plane_cpu:.2f} / {result.floor_plane_cpu:.2f}",
            f"{result.memory / 1e6:.0f}",
        )
        for result in results.cases
    ]
    reached = [
        (check.name, f"{_number(check.value)} {check.unit}".strip(), f"{check.limit:g}", _word(check))
        for check in checks(results)
    ]
    return "\n\n".join((machine, table(head, rows), table(("figure", "measured", "at most", ""), reached))) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is readable as text."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join((first, *rest)) + " |"

    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join((line(head), rule, *map(line, rows)))


def as_json(results: Results) -> dict[str, Any]:
    """Everything that was measured, run by run, and what came of it."""
    derived = {
        result.case.name: {
            name: getattr(result, name)
            for name, attribute in vars(CaseResult).items()
            if isinstance(attribute, property) and not name.startswith("_")
        }
        for result in results.cases
    }
    found = [{**_plain(check), "reached": check.reached} for check in checks(results)]
    return {**_plain(results), "summary": derived, "checks": found}


def _plain(value: Any) -> Any:
    if isinstance(value, Counter):
        return {str(key): count for key, count in value.most_common() if count}
    if is_dataclass(value) and not isinstance(value, (type, Kind)):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, (Kind, Path)) else value


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 and value != int(value) else f"{value:.1f}".removesuffix(".0")


def _word(check: Check) -> str:
    return "reached" if check.reached else "MISSED"
