"""The figures that come of the runs."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.cases import layered
from bench.counters import Asked, Kind
from bench.figures import Planning, Polls, Restart
from bench.kustomizations import Kustomizing, Step
from bench.measure import AgentRun, Audit, FloorRun, sorted_out
from bench.report import CaseResult, Results, as_json, checks, render, table

CASE = layered("ten", "ten of them", 1, 10)


def floor_run(seconds: float = 1.0, requests: int = 230, idle: int = 0) -> FloorRun:
    return FloorRun(seconds, window=3.0, requests=requests, own=31, idle=idle, plane_cpu=1.0)


def agent_run(seconds: float = 1.5, requests: int = 300, window: float = 3.0, memory: int = 150_000_000) -> AgentRun:
    return AgentRun(
        seconds, window, requests, plane_cpu=1.2, cpu=0.5, memory=memory, kinds=Counter({Kind("APPLY", "services"): 10})
    )


def audited(requests: int = 100) -> Audit:
    return Audit(Counter({"gitsync": requests}), Counter({Kind("patch", "services"): requests}))


def case_result(floors: list[FloorRun] | None = None, agents: list[AgentRun] | None = None) -> CaseResult:
    return CaseResult(CASE, floors or [floor_run()], agents or [agent_run()], audited())


def results(
    *cases: CaseResult, writes: int = 0, restart: float = 2.0, requests: int = 0, planned: float = 0.5
) -> Results:
    return Results(
        {"machine": "2 cores"},
        cases or [case_result()],
        Restart(200, restart, 1.0, writes, Counter()),
        Polls(6, 6.0, requests),
        Planning(2000, [0.3, 0.2, 0.9], [0.4, 0.4, 0.4]),
        Kustomizing(
            100,
            4.0,
            4.0,
            1.0,
            Step(5.0, 2500, 7.0),
            Step(6.0, 1500, 7.0),
            Step(1.5, 150, 1.0),
            planned,
            10,
            180_000_000,
        ),
    )


def test_the_ratio_is_that_of_neighbouring_runs() -> None:
    """The machine was three times slower in the last two runs, which a ratio of medians would blame on somebody."""
    floors = [floor_run(1.0), floor_run(3.0), floor_run(3.0)]
    agents = [agent_run(1.5), agent_run(4.5), agent_run(4.5)]
    assert case_result(floors, agents).ratio == 1.5
    assert case_result(floors, agents).floor_seconds == 3.0


def test_requests_that_the_objects_cause_in_the_control_plane_are_not_the_agents() -> None:
    assert case_result().agent_requests_each == (300 - (230 - 31)) / 10


def test_the_background_is_taken_from_both_windows() -> None:
    """One request a second of background: 6 in the agent's window, 3 in the floor's."""
    floors, agents = [floor_run(requests=233, idle=3)], [agent_run(requests=306, window=6.0)]
    result = case_result(floors, agents)
    assert result.background == 6.0
    assert result.agent_requests_each == pytest.approx((300 - (230 - 31)) / 10)


def test_what_is_neither_bench_nor_control_plane_is_the_agent() -> None:
    clients = ["gitsync", "helm.sh", "gitsync-bench", "kube-scheduler", "kube-apiserver", "kwok"]
    audit = sorted_out([Asked(0.0, client, "get", "pods") for client in clients])
    assert audit.agent == {Kind("get", "pods"): 2}
    assert "gitsync-bench" not in audit.clients


class TestChecks:
    def test_all_is_reached(self) -> None:
        assert [check.name for check in checks(results()) if not check.reached] == []

    @pytest.mark.parametrize(
        ("measured", "missed"),
        [
            (results(case_result(agents=[agent_run(2.1)])), "ten of them: ratio to the floor"),
            (results(case_result(agents=[agent_run(requests=360)])), "ten of them: API requests a release"),
            (results(case_result(agents=[agent_run(memory=201_000_000)])), "ten of them: peak RSS"),
            (results(writes=1), "restart with 200 releases in sync: writes"),
            (results(restart=3.1), "restart with 200 releases in sync: idle after"),
            (results(requests=1), "6 polls without news: API requests"),
            (results(planned=0.8), "100 Kustomizations, one file changed: planned after"),
        ],
        ids=["ratio", "requests", "memory", "write at a restart", "slow restart", "poll", "one file"],
    )
    def test_a_figure_that_is_missed_is_the_one_that_is_named(self, measured: Results, missed: str) -> None:
        assert [check.name for check in checks(measured) if not check.reached] == [missed]
        assert "MISSED" in render(measured)

    def test_the_audit_log_counts_when_it_knows_of_more(self) -> None:
        result = CaseResult(CASE, [floor_run()], [agent_run()], audited(requests=160))
        assert "ten of them: API requests a release" in [
            check.name for check in checks(results(result)) if not check.reached
        ]


def test_a_table_is_aligned() -> None:
    assert table(("case", "s"), [("chain", "1.25"), ("a", "10.00")]).splitlines() == [
        "| case  |     s |",
        "| ----- | ----- |",
        "| chain |  1.25 |",
        "| a     | 10.00 |",
    ]


def test_the_json_holds_the_runs_and_what_came_of_them() -> None:
    data = json.loads(json.dumps(as_json(results())))
    assert data["cases"][0]["agents"][0]["kinds"] == {"APPLY services": 10}
    assert data["cases"][0]["audit"]["agent"] == {"patch services": 100}
    assert data["summary"]["ten"]["ratio"] == 1.5
    assert {check["reached"] for check in data["checks"]} == {True}
