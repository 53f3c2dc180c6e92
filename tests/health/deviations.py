"""Where gitsync says something else of an object than kstatus does, and why: the table of docs/concepts.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gitsync.api.identity import Manifest, group_of
from gitsync.health import Status
from gitsync.health.fields import condition, first_true, maps, number, section, text
from gitsync.health.helmrepository import is_mere_configuration


@dataclass(frozen=True)
class Deviation:
    """Of objects of ``kind`` for which ``when`` holds we say ``ours`` and kstatus one of ``theirs``. ``kind``, ``when``
    and ``reason`` are the words of the documentation, ``holds`` is ``when`` as a test.
    """

    kind: str
    when: str
    ours: Status
    theirs: tuple[Status, ...]
    reason: str
    holds: Callable[[Manifest], bool]

    def explains(self, manifest: Manifest, ours: Status, theirs: Status) -> bool:
        """Whether this is why the two verdicts on an object differ."""
        return ours == self.ours and theirs in self.theirs and self.holds(manifest)

    @property
    def row(self) -> str:
        """The line of the table in the documentation."""
        return f"| {self.kind} | {self.when} | {self.ours} | {' or '.join(self.theirs)} | {self.reason} |"


def _is(manifest: Manifest, group: str, kind: str) -> bool:
    return (group_of(text(manifest, "apiVersion")), text(manifest, "kind")) == (group, kind)


def _is_paused(manifest: Manifest) -> bool:
    return _is(manifest, "apps", "Deployment") and section(manifest, "spec").get("paused") is True


def _shows_an_old_deadline(manifest: Manifest) -> bool:
    exceeded = text(condition(manifest, "Progressing"), "reason") == "ProgressDeadlineExceeded"
    refused = first_true(manifest, "ReplicaFailure")
    return (
        _is(manifest, "apps", "Deployment")
        and exceeded
        and not refused
        and not number(manifest, "status", "updatedReplicas")
    )


def _is_updated_by_hand(manifest: Manifest) -> bool:
    wanted = number(manifest, "status", "desiredNumberScheduled")
    is_behind = number(manifest, "status", "updatedNumberScheduled") < wanted
    on_delete = text(manifest, "spec", "updateStrategy", "type") == "OnDelete"
    return _is(manifest, "apps", "DaemonSet") and on_delete and is_behind


def _is_running_job(manifest: Manifest) -> bool:
    return _is(manifest, "batch", "Job") and not first_true(manifest, "Complete", "Failed")


def _has_failed(manifest: Manifest) -> bool:
    return _is(manifest, "", "Pod") and text(manifest, "status", "phase") == "Failed"


def _crashes(manifest: Manifest) -> bool:
    statuses = maps(manifest, "status", "containerStatuses")
    return _is(manifest, "", "Pod") and any(
        text(status, "state", "waiting", "reason") == "CrashLoopBackOff" for status in statuses
    )


def _fits_no_node(manifest: Manifest) -> bool:
    scheduled = condition(manifest, "PodScheduled")
    return _is(manifest, "", "Pod") and text(scheduled, "reason") == "Unschedulable"


def _is_replication_controller(manifest: Manifest) -> bool:
    return _is(manifest, "", "ReplicationController")


def _was_ready_before(manifest: Manifest) -> bool:
    ready = first_true(manifest, "Ready")
    generation = number(manifest, "metadata", "generation")
    return number(ready, "observedGeneration", default=generation) < generation


def _is_unreadable(manifest: Manifest) -> bool:
    status = manifest.get("status", {})
    conditions = status.get("conditions", []) if isinstance(status, dict) else None
    return not isinstance(conditions, list) or not all(isinstance(item, dict) for item in conditions)


DEVIATIONS: Final = (
    Deviation(
        "Deployment",
        "`spec.paused`",
        "ready",
        ("progressing", "failed"),
        "it moves only when somebody lets it; Helm leaves it out of its waits too",
        _is_paused,
    ),
    Deviation(
        "Deployment",
        "`ProgressDeadlineExceeded`, and no replica of the new template yet",
        "progressing",
        ("failed",),
        "when a commit changes template and replicas, the controller scales first and shows the old verdict meanwhile",
        _shows_an_old_deadline,
    ),
    Deviation(
        "DaemonSet",
        "`updateStrategy: OnDelete`, pods of an older template",
        "ready",
        ("progressing",),
        "they are replaced when somebody deletes them; of a StatefulSet kstatus itself says ready",
        _is_updated_by_hand,
    ),
    Deviation(
        "Job",
        "has started, and has not ended",
        "progressing",
        ("ready",),
        "Helm and Flux, too, wait for its end with a rule of their own",
        _is_running_job,
    ),
    Deviation(
        "Pod",
        "phase Failed",
        "failed",
        ("ready",),
        "to kstatus it has ended, whichever way; Helm's hooks, too, call it failed",
        _has_failed,
    ),
    Deviation(
        "Pod",
        "a container in `CrashLoopBackOff`",
        "progressing",
        ("failed",),
        "it heals when what it lacks appears, a Secret or a database; the timeout decides",
        _crashes,
    ),
    Deviation(
        "Pod",
        "unschedulable for 15 s",
        "progressing",
        ("failed",),
        "a node may come, for which an autoscaler takes minutes; the timeout decides",
        _fits_no_node,
    ),
    Deviation(
        "ReplicationController",
        "pods are missing",
        "progressing",
        ("ready",),
        "kstatus does not know the kind; its fields are a ReplicaSet's, and Helm 3 waits for them",
        _is_replication_controller,
    ),
    Deviation(
        "custom resources",
        "Ready=True with an `observedGeneration` older than the object",
        "progressing",
        ("ready",),
        "the condition itself says that it is about the spec before (cert-manager, the Gateway API)",
        _was_ready_before,
    ),
    Deviation(
        "custom resources",
        "conditions that are no list of conditions",
        "ready",
        ("progressing",),
        "kstatus cannot read them and would wait for ever",
        _is_unreadable,
    ),
    Deviation(
        "HelmRepository",
        "`type: oci`, without conditions",
        "ready",
        ("progressing",),
        "Flux keeps it as mere configuration: nobody need ever write a status to it",
        is_mere_configuration,
    ),
)
