"""CEL, evaluated in a process of its own: answers, complaints, and expressions that are meant to do harm."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.cel.expressions import LONGEST, Expressions
from gitsync.errors import FieldErrors, RetryableError
from gitsync.release.readiness import check_expressions

READY = [{"type": "Ready", "status": "True"}]
DEP = {"metadata": {"generation": 3}, "status": {"observedGeneration": 3, "conditions": READY}}
VARIABLES: dict[str, Any] = {"dep": DEP, "self": {"spec": {"values": {"version": "v1", "size": 10**400}}}}
SLOW = "dep.many.map(x, dep.many.map(y, dep.many.all(z, z == z))).size() > 0"
DEEP = "1" + "+1" * (LONGEST // 2 - 1)
BOMB = "['a']" + ".map(x, x + x)" * 100 + ".size() > 0"


@pytest.fixture
async def expressions() -> AsyncIterator[Expressions]:
    async with Expressions() as made:
        yield made
    assert evaluators() == []


def evaluators() -> list[psutil.Process]:
    """The processes that evaluate, of this one."""
    children = psutil.Process().children()
    return [child for child in children if any("gitsync.cel.evaluator" in part for part in child.cmdline())]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("dep.metadata.generation == dep.status.observedGeneration", True),
        ("dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')", True),
        ("dep.status.conditions.exists(e, e.type == 'Ready' && e.status == 'False')", False),
        ("has(dep.status.phase)", False),
        ("dep.status.phase == 'x'", "no such key: phase"),
        ("status.phase == 'x'", "no such field or function: status"),
        ("nothing(dep)", "no such field or function: nothing"),
        ("self.spec.values.version", "gives a string, not true or false"),
        ("dep.status", "gives a map, not true or false"),
        # Flux's extensions
        ("'V1'.lowerAscii() == self.spec.values.version", True),
        ("sets.contains(['a', 'b'], ['a'])", True),
    ],
)
async def test_an_answer_is_a_boolean_or_says_why_there_is_none(
    text: str, answer: bool | str, expressions: Expressions
) -> None:
    variables = {**VARIABLES, "self": {"spec": {"values": {"version": "v1"}}}}
    assert await expressions.evaluate(text, variables) == answer


async def test_what_cel_cannot_hold_is_no_answer_rather_than_a_crash(expressions: Expressions) -> None:
    answer = await expressions.evaluate("self.spec.values.size > 1", VARIABLES)
    assert isinstance(answer, str)
    assert await expressions.evaluate("true", {}) is True


@pytest.mark.parametrize(
    ("text", "names", "wrong"),
    [
        ("dep.status.ready &&", (), "Syntax error: mismatched input '<EOF>' at line 1, column 20"),
        ("", (), "Syntax error: mismatched input '<EOF>' at line 1, column 1"),
        ("dependency.ok", ("self", "dep"), "there is no variable dependency, only self and dep"),
        ("dep.list.all(item, item.ok && self.ok)", ("self", "dep"), ""),
        ("status.ok", (), ""),
        ("1" * (LONGEST + 1), (), f"has {LONGEST + 1} characters; there may be {LONGEST}"),
    ],
)
async def test_what_does_not_compile_is_told_with_its_place(
    text: str, names: tuple[str, ...], wrong: str, expressions: Expressions
) -> None:
    assert await expressions.error_of(text, names) == wrong


@pytest.mark.parametrize("text", [SLOW, BOMB, "lists.range(1000000000).size() > 0"])
async def test_an_expression_that_asks_for_too_much_is_stopped_and_the_next_one_answered(
    text: str, expressions: Expressions
) -> None:
    variables = {"dep": {"many": list(range(2000))}}

    assert await expressions.error_of(text) == ""
    answer = await expressions.evaluate(text, variables)

    assert isinstance(answer, str)
    assert await expressions.evaluate("dep.many.size() == 2000", variables) is True


@pytest.mark.parametrize(
    "text",
    ["x" + ".a" * 4000, "x" + "[0]" * 2700, "!" * (LONGEST - 1) + "x", "(" * 4000 + "x" + ")" * 4000, "[" * 4000, DEEP],
)
async def test_an_expression_that_nests_too_deep_ends_nothing_but_itself(text: str, expressions: Expressions) -> None:
    wrong = await expressions.error_of(text)
    answer = await expressions.evaluate(text, {"x": {}})

    assert wrong or isinstance(answer, str)
    assert await expressions.evaluate("1 < 2", {}) is True


async def test_what_ended_the_process_for_one_owner_is_evaluated_for_another(expressions: Expressions) -> None:
    """Expressions are the same in many places, and the variables are their owners' alone."""
    bad, good = expressions.of("bad"), expressions.of("good")
    assert await bad.evaluate(SLOW, {"dep": {"many": list(range(2000))}}) == "takes too long to evaluate"

    assert await good.evaluate(SLOW, {"dep": {"many": [1]}}) is True
    assert await bad.evaluate(SLOW, {"dep": {"many": [1]}}) == "takes too long to evaluate"


async def test_owners_take_turns(expressions: Expressions) -> None:
    variables = {"dep": {"many": list(range(2000))}}
    bad = [asyncio.create_task(expressions.of("bad").evaluate(f"{SLOW}{number}", variables)) for number in range(20)]
    await asyncio.sleep(0)

    assert await expressions.of("good").evaluate("1 < 2", {}) is True
    assert sum(task.done() for task in bad) <= 2
    for task in bad:
        task.cancel()
    await asyncio.gather(*bad, return_exceptions=True)


async def test_whoever_has_it_of_somebody_else_does_not_end_it(expressions: Expressions) -> None:
    async with expressions.of("a") as lent:
        assert await lent.evaluate("true", {}) is True
    (process,) = evaluators()
    assert await expressions.evaluate("true", {}) is True
    assert evaluators() == [process]


async def test_what_ended_the_process_once_is_not_evaluated_again(expressions: Expressions) -> None:
    variables = {"dep": {"many": list(range(2000))}}
    assert await expressions.evaluate(SLOW, variables) == "takes too long to evaluate"
    await expressions.evaluate("true", {})
    (process,) = evaluators()

    assert await expressions.evaluate(SLOW, {"dep": {"many": []}}) == "takes too long to evaluate"
    assert await expressions.error_of(SLOW) == "takes too long to evaluate"

    assert evaluators() == [process], "no process has ended meanwhile"


async def test_a_process_that_somebody_ends_is_nobody_s_fault_and_started_again(expressions: Expressions) -> None:
    await expressions.evaluate("true", {})
    (process,) = evaluators()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)

    with pytest.raises(RetryableError, match="CEL evaluator"):
        await expressions.evaluate("true", {})

    assert await expressions.evaluate("true", {}) is True


def test_the_agent_does_not_load_cel() -> None:
    code = "import sys, gitsync.agent.agent; print('cel' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_nothing_is_started_for_those_who_have_no_expressions() -> None:
    async with Expressions() as unused:
        await check_expressions(release(), unused)
        assert evaluators() == []


def release(**spec: Any) -> HelmRelease:
    chart = {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "default"},
            "spec": {"interval": "1h", "chart": chart, **spec},
        }
    )


async def test_every_expression_of_a_release_is_checked_and_named_by_its_field(expressions: Expressions) -> None:
    checks = [
        {"apiVersion": "a/v1", "kind": "A", "current": "status.ok"},
        {"apiVersion": "b/v1", "inProgress": "=", "current": ""},
    ]
    depends_on = [{"name": "a", "readyExpr": "dep.ok"}, {"name": "b", "readyExpr": "dep.ok &&"}]

    with pytest.raises(FieldErrors) as raised:
        await check_expressions(release(dependsOn=depends_on, healthCheckExprs=checks), expressions)

    texts = [str(error) for error in raised.value.errors]
    syntax = "Syntax error: mismatched input '<EOF>' at line 1, column 10"
    assert texts[0] == f"spec.dependsOn[1].readyExpr: {syntax}, in: `dep.ok &&`"
    assert [text.partition(":")[0] for text in texts[1:]] == [
        "spec.healthCheckExprs[1].inProgress",
        "spec.healthCheckExprs[1].current",
    ]
    await check_expressions(
        release(dependsOn=depends_on[:1], healthCheckExprs=checks, waitStrategy={"name": "legacy"}), expressions
    )  # which does not ask for any health


async def test_expressions_with_names_are_there_for_those_behind_them(expressions: Expressions) -> None:
    named = [("owner", "claims.owner"), ("allowed", "[vars.owner + '/a', vars.owner + '/b']")]
    claims = {"claims": {"owner": "us", "repository": "us/b"}}
    assert await expressions.evaluate("claims.repository in vars.allowed", claims, named) is True
    assert await expressions.evaluate("vars.owner == 'them'", claims, named) is False
    assert "missing" in str(await expressions.evaluate("true", claims, [("x", "claims.missing")]))


async def test_one_that_forgives_tries_an_expression_again_that_somebodys_variables_were_too_much_for() -> None:
    text, much = "x.map(a, x.map(b, x.all(c, c == c))).size() > 0", {"x": list(range(400))}
    async with Expressions(forgives=True) as forgiving, Expressions() as strict:
        for expressions, later in ((forgiving, True), (strict, "takes too long to evaluate")):
            assert await expressions.evaluate(text, much) == "takes too long to evaluate"
            assert await expressions.evaluate(text, {"x": [1]}) == later


async def test_an_expression_is_evaluated_for_many_values_as_for_each(expressions: Expressions) -> None:
    """Those of which there is no answer do not keep the others from having one."""
    values = [{"n": 1}, {"n": 2}, {}, {"n": "x"}]
    answers = await expressions.evaluate_each("res.n == limit", {"limit": 2}, "res", values)
    each = [await expressions.evaluate("res.n == limit", {"limit": 2, "res": value}) for value in values]
    assert answers == each
    assert answers[:3] == [False, True, "no such key: n"]
    assert await expressions.evaluate_each("res.n == 1", {}, "res", []) == []


async def test_many_values_take_less_time_together_than_one_by_one(expressions: Expressions) -> None:
    """The other variables, the body of a delivery, are taken in once."""
    variables = {"req": {"files": [{"path": f"apps/{number}"} for number in range(2000)]}}
    values = [{"name": f"app-{number}"} for number in range(50)]
    text = "res.name != req.files[0].path"
    found = []
    for _ in range(5):  # other processes may have the cores in one of them
        began = time.monotonic()
        one_by_one = [await expressions.evaluate(text, {**variables, "res": value}) for value in values]
        between = time.monotonic()
        assert await expressions.evaluate_each(text, variables, "res", values) == one_by_one
        found.append((time.monotonic() - between, between - began))
        if found[-1][0] < found[-1][1] / 2:
            return
    raise AssertionError(f"together, and one by one: {found}")


async def test_what_takes_too_long_together_is_evaluated_one_by_one() -> None:
    async with Expressions(forgives=True) as expressions:
        many = list(range(150))
        slow = "res == 0 || many.map(x, many.map(y, many.all(z, z == z))).size() > 0"
        answers = await expressions.evaluate_each(slow, {"many": many}, "res", [0, 1])
        assert answers[0] is True
        assert answers[1] is True or "takes too long" in str(answers[1])
