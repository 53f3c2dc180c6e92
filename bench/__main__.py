"""python -m bench: takes every figure of docs/benchmarks.md and prints it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cases import ISSUE, QUICK, Case
from bench.errors import BenchError
from bench.figures import measure_planning, measure_restart
from bench.kustomizations import LAYERS, measure_kustomizing
from bench.machine import describe
from bench.measure import AgentRun, FloorRun, audit, measure_agent, measure_floor
from bench.report import CaseResult, Results, as_json, render

OUTPUT = Path("build/bench.json")
MANIFESTS = 2_000


async def measure_case(case: Case, runs: int) -> CaseResult:
    """Floor and agent in turns, so that both see the same machine."""
    floors: list[FloorRun] = []
    agents: list[AgentRun] = []
    for number in range(runs):
        floors.append(await measure_floor(case))
        agents.append(await measure_agent(case))
        _say(f"{case.title}: run {number + 1}: floor {floors[-1].seconds:.2f} s, gitsync {agents[-1].seconds:.2f} s")
    result = CaseResult(case, floors, agents, await audit(case))
    _say(f"{case.title}: ratio {result.ratio:.2f}, {result.agent_requests_each:.1f} requests a release")
    return result


async def measure_all(cases: Sequence[Case], runs: int, manifests: int) -> Results:
    """All figures; the largest case is the one that is restarted. Raises: BenchError."""
    machine = describe(runs)
    results = [await measure_case(case, runs) for case in cases]
    restart, polls = await measure_restart(max(cases, key=lambda case: len(case.releases)))
    _say(f"restart: idle after {restart.seconds:.2f} s, {restart.writes} writes; {polls.requests} requests by polls")
    planning = await measure_planning(manifests)
    _say("planned after " + ", ".join(f"{seconds:.2f}" for seconds in planning.planned) + " s")
    kustomizing = await measure_kustomizing(QUICK if manifests < MANIFESTS else LAYERS)
    _say(f"Kustomizations: {kustomizing.first.seconds:.2f} s, the floor {kustomizing.floor:.2f} s")
    return Results(machine, results, restart, polls, planning, kustomizing)


def main() -> int:
    """Exit code 1 when something could not be measured; a figure that is missed is said, and is no error."""
    options = _options()
    cases = [QUICK] if options.quick else [case for case in ISSUE if not options.case or case.name in options.case]
    runs = 1 if options.quick else options.runs
    started = time.monotonic()
    try:
        results = asyncio.run(measure_all(cases, runs, 20 if options.quick else MANIFESTS))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(as_json(results), indent=1) + "\n")
    print(render(results))
    _say(f"took {time.monotonic() - started:.0f} s; all of it is in {options.output}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="gitsync against its floor; takes minutes")
    parser.add_argument("--runs", type=_positive, default=3, help="runs of each case; medians are shown (3)")
    parser.add_argument(
        "--case", action="append", choices=[case.name for case in ISSUE], help="only this case; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="tries the harness: one small case, one run")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"where the JSON goes ({OUTPUT})")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("at least one")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
