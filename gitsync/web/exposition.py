"""What was counted, in Prometheus' form. Pure: it works on a copy, in a thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from gitsync import __version__
from gitsync.api.identity import ObjectKey
from gitsync.metering import Durations, Meter, QueueMeter
from gitsync.web.resources import LABELS, Resource, labels_of

#: What was counted, by the values of its labels.
_Counts = Mapping[tuple[str, ...], int]
_NOTIFICATIONS = "Events that were to be told to Providers, by what came of it."
_DELIVERIES = "Deliveries to webhooks, by what came of them."
#: Queues by what Flux's controllers call themselves, where ours have another name.
_CONTROLLERS = {"release": "helmrelease"}


class Times(NamedTuple):
    """A copy of Durations, with the values of its labels."""

    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @classmethod
    def of(cls, durations: Durations, *labels: str) -> Times:
        """As they are now."""
        return cls(labels, durations.bounds, tuple(durations.counts), durations.total)


class Numbers(NamedTuple):
    """A metric whose samples are numbers: a counter, or a gauge, by the values of its labels."""

    kind: type[CounterMetricFamily | GaugeMetricFamily]
    name: str
    about: str
    labels: tuple[str, ...]
    samples: Sequence[tuple[tuple[str, ...], float]]


class Histograms(NamedTuple):
    """A metric whose samples are durations."""

    name: str
    about: str
    labels: tuple[str, ...]
    samples: list[Times]


class Snapshot(NamedTuple):
    """All that is told, copied: nothing of it changes while it is written."""

    resources: list[Resource]
    numbers: list[Numbers]
    histograms: list[Histograms]


def snapshot(meter: Meter, resources: list[Resource], lag: Durations) -> Snapshot:
    """A copy of what was counted; of objects that are gone nothing."""
    queues = {_CONTROLLERS.get(name, name): queue for name, queue in sorted(meter.queues.items())}
    there = {resource.key for resource in resources}
    numbers = [*_of_controllers(queues, meter), *_of_queues(queues), *_of_agent(meter, resources)]
    return Snapshot(resources, numbers, [*_times_of_queues(queues, there), *_times_of_agent(meter, lag)])


def written(snapshot: Snapshot) -> bytes:
    """The snapshot as text, and what the system knows of the process."""
    return generate_latest(_Told(snapshot))


class _Told(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield from ProcessCollector(registry=None).collect()
        yield from families(self._snapshot)


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """The snapshot as prometheus-client has it."""
    yield InfoMetricFamily("gitsync_build", "The version of gitsync.", {"version": __version__})
    info = GaugeMetricFamily(
        "gotk_resource_info", "Each HelmRelease, Kustomization and source, and how it is.", labels=LABELS
    )
    for resource in snapshot.resources:
        info.add_metric(labels_of(resource), 1)
    yield info
    for item in snapshot.numbers:
        numbers = item.kind(item.name, item.about, labels=item.labels)
        for labels, value in item.samples:
            numbers.add_metric(labels, value)
        yield numbers
    for entry in snapshot.histograms:
        histogram = HistogramMetricFamily(entry.name, entry.about, labels=entry.labels)
        for times in entry.samples:
            bounds = [*map(str, times.bounds), "+Inf"]
            histogram.add_metric(times.labels, list(zip(bounds, accumulate(times.counts), strict=True)), times.total)
        yield histogram


def _counter(name: str, about: str, labels: tuple[str, ...], counted: _Counts) -> Numbers:
    return Numbers(CounterMetricFamily, name, about, labels, [(key, float(n)) for key, n in counted.items()])


def _gauge(name: str, about: str, label: str, values: Mapping[str, float]) -> Numbers:
    return Numbers(GaugeMetricFamily, name, about, (label,), [((of,), value) for of, value in values.items()])


def _of_controllers(queues: dict[str, QueueMeter], meter: Meter) -> Iterator[Numbers]:
    by = ("controller",)
    results: _Counts = {(name, result): n for name, queue in queues.items() for result, n in queue.results.items()}
    yield _counter("controller_runtime_reconcile_total", "Passes, by how they ended.", (*by, "result"), results)
    warnings = Counter[str]()
    for (kind, event, _), n in meter.events.items():
        warnings[kind.lower()] += n if event == "Warning" else 0
    errors: _Counts = {(name,): queue.results["error"] + warnings[name] for name, queue in queues.items()}
    about = "What went wrong: warning Events of the kind, and defects of gitsync."
    yield _counter("controller_runtime_reconcile_errors_total", about, by, errors)
    active = {name: float(len(queue.running)) for name, queue in queues.items()}
    yield _gauge("controller_runtime_active_workers", "Passes under way.", "controller", active)


def _of_queues(queues: dict[str, QueueMeter]) -> Iterator[Numbers]:
    def each(value: Callable[[QueueMeter], float]) -> dict[str, float]:
        return {name: value(queue) for name, queue in queues.items()}

    added: _Counts = {(name,): queue.added for name, queue in queues.items()}
    yield _counter("workqueue_adds_total", "How often something was to be done.", ("name",), added)
    depth = each(lambda queue: len(queue.waiting))
    yield _gauge("workqueue_depth", "Objects that wait for a pass.", "name", depth)
    unfinished = "Seconds that the passes under way have taken so far."
    yield _gauge("workqueue_unfinished_work_seconds", unfinished, "name", each(QueueMeter.unfinished))
    longest = "Seconds that the longest pass under way has taken so far."
    yield _gauge("workqueue_longest_running_processor_seconds", longest, "name", each(QueueMeter.longest))
    oldest = "Seconds that the object has waited for a pass which has waited longest."
    yield _gauge("gitsync_queue_oldest_seconds", oldest, "name", each(QueueMeter.oldest))


def _of_agent(meter: Meter, resources: list[Resource]) -> Iterator[Numbers]:
    waiting = Counter((item.key.kind, item.reason) for item in resources if item.reason and item.suspended == "false")
    about = "Objects that are not ready, by the reason of their condition Ready."
    samples = [(labels, float(n)) for labels, n in sorted(waiting.items())]
    yield Numbers(GaugeMetricFamily, "gitsync_waiting_objects", about, ("kind", "reason"), samples)
    about = "Requests to API servers, by status code."
    yield _counter("rest_client_requests_total", about, ("method", "code"), meter.requests)
    by = ("kind", "type", "reason")
    yield _counter("gitsync_events_total", "Kubernetes Events that were told.", by, meter.events)
    polls: _Counts = {(result,): n for result, n in meter.polls.items()}
    yield _counter("gitsync_repository_polls_total", "Polls of the synced repository.", ("result",), polls)
    drift: _Counts = {(what,): n for what, n in meter.drift.items()}
    came_of = ("result", "reason")
    yield _counter(
        "gitsync_notifications_total", _NOTIFICATIONS, ("namespace", "provider", *came_of), meter.notifications
    )
    yield _counter("gitsync_webhook_deliveries_total", _DELIVERIES, ("receiver", *came_of), meter.webhooks)
    yield _counter("gitsync_drift_objects_total", "Objects of releases that had drifted.", ("result",), drift)


def _times_of_queues(queues: dict[str, QueueMeter], there: set[ObjectKey]) -> Iterator[Histograms]:
    def each(name: str, about: str, label: str, times: Iterable[tuple[str, Durations]]) -> Histograms:
        return Histograms(name, about, (label,), [Times.of(durations, of) for of, durations in times])

    items = queues.items()
    work = [(name, queue.work) for name, queue in items]
    yield each("controller_runtime_reconcile_time_seconds", "How long passes took.", "controller", work)
    yield each("workqueue_work_duration_seconds", "How long passes took.", "name", work)
    wait = ((name, queue.wait) for name, queue in items)
    yield each("workqueue_queue_duration_seconds", "How long objects waited for a pass.", "name", wait)
    of_objects = [
        Times.of(durations, key.kind, key.name, key.namespace)
        for queue in queues.values()
        for key, durations in queue.of_keys.items()
        if isinstance(key, ObjectKey) and key in there
    ]
    labels = ("kind", "name", "namespace")
    yield Histograms("gotk_reconcile_duration_seconds", "How long the passes of an object took.", labels, of_objects)


def _times_of_agent(meter: Meter, lag: Durations) -> Iterator[Histograms]:
    verbs = [Times.of(durations, verb) for verb, durations in meter.request_times.items()]
    yield Histograms("rest_client_request_duration_seconds", "How long API servers took to answer.", ("verb",), verbs)
    syncs = [Times.of(durations, *of) for of, durations in meter.syncs.items()]
    yield Histograms("gitsync_sync_duration_seconds", "How long syncs of a commit took.", ("sync", "result"), syncs)
    ready = "From the poll that found a commit until all of the synced directory was ready."
    yield Histograms("gitsync_commit_ready_seconds", ready, (), [Times.of(meter.ready)])
    late = "How much later than it was to the event loop came back to what had to be done."
    yield Histograms("gitsync_event_loop_lag_seconds", late, (), [Times.of(lag)])
