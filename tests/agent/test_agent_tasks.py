"""Whatever begins a task of its own outlives defects, or is known to end with somebody who waits for it: a new one that
does neither is found here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import ROOT

BEGINS = {"create_task", "ensure_future"}
#: What begins a task that is not outlived, and what becomes of it when that ends in a defect.
WAITED_FOR = {
    "agent/agent.py:_started": "for the start alone, which waits for the same event",
    "agent/agent.py:once": "waited for",
    "cli/agent/demo.py:_tell": "a command",
    "cli/agent/demo.py:_unless_ended": "a command",
    "cli/repository/checks.py:_sources": "a command",
    "cli/repository/checks.py:problems": "a command",
    "cluster/connection.py:_close_retired": "closes one connection",
    "cluster/targets.py:release": "closes one connection",
    "git/watch.py:watch_local": "waited for, in what is outlived",
    "install/reach.py:sources": "a command",
    "notify/notifier.py:_on_provider": "the farewell of one Provider",
    "runtime/bounded.py:start": "waited for where the process ends",
    "runtime/interrupt.py:guard": "waited for",
    "runtime/pool.py:_do": "the end of one process; its place is left whatever comes of that",
    "runtime/pool.py:_tried": "waited for",
    "runtime/privatefiles.py:_finished": "waited for",
    "runtime/program.py:_streams": "waited for",
    "runtime/progress.py:begin": "ends with what it tells of",
    "runtime/singleflight.py:run": "waited for",
    "runtime/together.py:_do": "waited for",
    "runtime/together.py:alongside": "waited for",
    "release/wanted/renderings.py:_for": "waited for",
    "sync/rollout/applying.py:_take_stages": "waited for",
    "runtime/workqueue.py:_start": "a pass, whose defects the queue tells and outlives",
    "sandbox/sandbox.py:__aenter__": "a sandbox",
    "sources/bucket/artifacts.py:_fetch": "waited for",
    "sources/controller.py:_sweep": "one sweep; the next one is another task",
    "sources/git/mirrors.py:settle": "removes one mirror",
    "web/receivers/gate.py:run": "waited for, in a process that is started again",
    "web/receivers/gatekeeper.py:_hear": "one delivery",
    "web/ui/rollbacks.py:begin": "one rollback",
    "web/ui/stream.py:_tell": "waited for",
}


def found() -> Iterator[tuple[str, bool]]:
    """Where a task is begun, and whether that is outlived."""
    for path in sorted((ROOT / "gitsync").rglob("*.py")):
        yield from _in_file(path)


def _in_file(path: Path) -> Iterator[tuple[str, bool]]:
    text = path.read_text()
    if not any(f"{word}(" in text for word in BEGINS):
        return
    place = path.relative_to(ROOT / "gitsync").as_posix()
    for function in _functions(ast.parse(text)):
        source = ast.get_source_segment(text, function) or ""
        for node in _own_nodes(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in BEGINS:
                yield f"{place}:{function.name}", "outlive(" in source


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """All below a function, but for other functions in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _own_nodes(node)


def test_every_task_outlives_a_defect_or_is_waited_for() -> None:
    begun = list(found())
    assert len(begun) > 20
    unknown = {where for where, outlived in begun if not outlived} - WAITED_FOR.keys()
    assert not unknown, f"tasks that end in their first defect; outlive it, or say here who waits for them: {unknown}"


def test_what_is_waited_for_is_still_there() -> None:
    assert WAITED_FOR.keys() <= {where for where, _ in found()}
