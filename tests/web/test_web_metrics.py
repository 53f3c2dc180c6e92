"""``/metrics`` over real HTTP, as Prometheus' own parser reads it; what the agent says there is in tests/e2e."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import aiohttp
import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.metering import Meter, QueueMeter
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.workqueue import WorkQueue
from gitsync.web import metrics as metrics_module
from gitsync.web.metrics import Metrics
from gitsync.web.resources import MOST, labels_of, resource_of
from tests.until import until
from tests.web.asking import asked, port
from tests.web.metrics import DOCS, KEY, RELEASE, Samples, release, samples_of

__all__ = ["port"]


def value(samples: Samples, metric: str, /, **labels: str) -> float:
    return samples[metric, frozenset(labels.items())]


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.setattr(metrics_module, "FRESH", 0.0)
    return Metrics(Meter())


async def told(metrics: Metrics) -> Samples:
    return samples_of((await metrics.text()).decode())


async def test_prometheus_reads_what_is_served(port: int) -> None:
    metrics = Metrics(Meter())
    metrics.objects = release
    async with metrics.serving(port):
        status, text = await asked(port, "/metrics")
        assert status == 200
        assert value(samples_of(text), "gitsync_waiting_objects", kind="HelmRelease", reason="DependencyNotReady") == 1
        assert value(samples_of(text), "process_resident_memory_bytes") > 1e6
        assert (await asked(port, "/healthz"))[0] == 404
    with pytest.raises(aiohttp.ClientConnectorError):
        await asked(port, "/metrics")


def test_an_object_has_the_labels_that_dashboards_of_flux_look_for() -> None:
    assert labels_of(resource_of(KEY, RELEASE)) == [
        "helm.toolkit.fluxcd.io",
        "v2",
        "HelmRelease",
        "apps",
        "demo",
        "False",
        "false",
        "1.2.3",
        "charts",
        "demo",
        "1.2.3",
    ]


@pytest.mark.parametrize("status", [None, [], {"history": {}}, {"artifact": []}])
def test_an_object_may_say_anything(status: object) -> None:
    key = ObjectKey("source.toolkit.fluxcd.io", "Bucket", "apps", "demo")
    resource = resource_of(key, {"apiVersion": 1, "spec": {"suspend": True, "sourceRef": "x"}, "status": status})
    assert (resource.ready, resource.suspended, resource.revision) == ("Unknown", "true", "")


async def test_text_of_a_label_is_escaped_and_cut(metrics: Metrics) -> None:
    hostile = 'a"b\\c\nd} 1' + "x" * 1000
    metrics.objects = lambda: [(KEY, {**RELEASE, "status": {"lastAppliedRevision": hostile}})]
    revisions = {dict(labels)["revision"] for name, labels in await told(metrics) if name == "gotk_resource_info"}
    assert len(revisions) == 1
    assert revisions.pop().startswith('a"b\\c\nd} 1')
    assert len(hostile) > MOST


async def test_a_queue_says_what_it_does() -> None:
    now = 100.0
    meter = QueueMeter(clock=lambda: now)
    meter.woken(KEY)
    meter.woken(KEY)
    now += 2
    assert (meter.added, meter.oldest(), meter.longest()) == (1, 2.0, 0.0)
    meter.began(KEY)
    meter.woken(KEY)
    now += 3
    assert (meter.longest(), meter.unfinished(), meter.oldest()) == (3.0, 3.0, 3.0)
    meter.ended(KEY, "success")
    assert (meter.wait.total, meter.work.total, meter.results["success"]) == (2.0, 3.0, 1)
    assert not meter.running
    meter.dropped(KEY)
    assert meter.oldest() == 0.0


async def test_passes_are_counted_by_how_they_end(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = metrics._meter
    monkeypatch.setattr("gitsync.runtime.workqueue.METER", meter)
    ends: dict[str, float | Exception | None] = {"done": None, "again": 60.0, "broken": RuntimeError("x")}

    async def work(key: ObjectKey, _: Interrupt) -> float | None:
        end = ends[key.name]
        if isinstance(end, Exception):
            raise end
        return end

    queue: WorkQueue[ObjectKey] = WorkQueue(work, "release")
    keys = {name: KEY._replace(name=name) for name in ends}
    for key in keys.values():
        queue.wake(key)
    await queue.stop(5.0)
    metrics.objects = lambda: release(keys["done"])
    samples = await told(metrics)
    for result in ("success", "requeue_after", "error"):
        metric = "controller_runtime_reconcile_total"
        assert value(samples, metric, controller="helmrelease", result=result) == 1
    assert value(samples, "controller_runtime_reconcile_errors_total", controller="helmrelease") == 1
    assert value(samples, "workqueue_adds_total", name="helmrelease") == 3
    assert value(samples, "workqueue_depth", name="helmrelease") == 0
    of_objects = {dict(labels)["name"] for name, labels in samples if name == "gotk_reconcile_duration_seconds_count"}
    assert of_objects == {"done"}, "of objects that are gone nothing is told"


async def test_a_loop_that_is_held_up_is_seen(port: int, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "LAG_INTERVAL", 0.01)

    async def lag(what: str) -> float:
        return value(await told(metrics), f"gitsync_event_loop_lag_seconds_{what}")

    async def is_measured() -> bool:
        return await lag("count") > 0

    async def is_seen() -> bool:
        return await lag("sum") > 0.5

    async with metrics.serving(port):
        await until(is_measured)
        end = asyncio.get_running_loop().time() + 0.6
        while asyncio.get_running_loop().time() < end:
            pass  # which is what must not be
        await until(is_seen)


async def test_many_who_ask_at_once_get_one_answer(port: int) -> None:
    metrics, asked_for = Metrics(Meter()), 0

    def objects() -> Iterator[tuple[ObjectKey, Manifest]]:
        nonlocal asked_for
        asked_for += 1
        return release()

    metrics.objects = objects
    async with metrics.serving(port):
        answers = await asyncio.gather(*(asked(port, "/metrics") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert asked_for <= 2


async def test_each_metric_is_in_the_docs(metrics: Metrics) -> None:
    told = set(re.findall(r"^# TYPE (\S+) ", (await metrics.text()).decode(), re.M))
    in_docs = set(re.findall(r"^\| `([a-z_]+)`", (DOCS / "metrics.md").read_text(), re.M))
    assert {name for name in told if not name.startswith("process_")} == in_docs
