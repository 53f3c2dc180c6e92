"""Requests to an API server take turns by whom they are for: one who has thousands keeps nobody waiting."""

from __future__ import annotations

import asyncio

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster, work_for
from gitsync.cluster.transport import IN_FLIGHT
from gitsync.cluster.turns import Turns
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.workqueue import WorkQueue
from tests.cluster.faulty import FaultyApi, answer
from tests.until import until

PATH = "/api/v1/namespaces/default/configmaps/a"
KEY = ObjectKey("", "ConfigMap", "default", "a")
MANY = 40 * IN_FLIGHT


async def test_who_has_thousands_of_requests_keeps_nobody_waiting(api: FaultyApi, cluster: Cluster) -> None:
    object_ = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    api.on("GET", PATH, answer(object_))
    await cluster.get(KEY)
    done: list[str] = []

    async def passes(namespace: str, requests: int) -> None:
        """One pass of a work queue."""
        work_for(namespace)

        async def one() -> None:
            await cluster.get(KEY)
            done.append(namespace)

        await asyncio.gather(*(one() for _ in range(requests)))

    greedy = asyncio.create_task(passes("greedy", MANY))
    await until(lambda: len(done) > IN_FLIGHT)
    before = len(done)
    await asyncio.create_task(passes("honest", 3))
    waited_for = len(done) - 3 - before
    assert not greedy.done()
    assert waited_for <= 6 * IN_FLIGHT, f"{waited_for} of {MANY} requests of somebody else came first"
    await greedy


async def test_a_pass_asks_on_behalf_of_its_namespace() -> None:
    turns, order, done = Turns(1), list[str](), asyncio.Event()

    async def work(key: ObjectKey, _: Interrupt) -> None:
        async def one() -> None:
            async with turns:
                order.append(key.namespace)
                if len(order) == 10:
                    done.set()
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(5)))

    queue = WorkQueue(work, "test")
    for namespace in ("a", "b"):
        queue.wake(ObjectKey("", "ConfigMap", namespace, "x"))
    await asyncio.wait_for(done.wait(), 60)
    await queue.stop(1)
    assert order[:6].count("b") >= 2, order


@pytest.mark.parametrize("given", [True, False], ids=["as it is given", "while it waits"])
async def test_one_that_is_cancelled_takes_no_turn_with_it(*, given: bool) -> None:
    turns, got = Turns(1), list[str]()

    async def one(name: str) -> None:
        async with turns:
            got.append(name)

    async with turns:
        first, second = asyncio.create_task(one("first")), asyncio.create_task(one("second"))
        await asyncio.sleep(0)
        if not given:
            first.cancel()
            await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first, second], timeout=60)
    assert got == ["second"]
    async with asyncio.timeout(60), turns:
        pass
