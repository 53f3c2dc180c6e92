"""A release's revision: its name, its content, the options of the action that makes it, and the result. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.parts.actions import ServerSideApply
from gitsync.api.status import ResourceInventory
from gitsync.apply.delete import WantedBy, nobody
from gitsync.apply.readiness import KSTATUS, Readiness
from gitsync.charts import ReleaseContext, Rendered, install_order, parse_objects
from gitsync.release import flux
from gitsync.release.delta import Delta
from gitsync.release.leftovers import Leftovers
from gitsync.release.storage.canonical import same_json
from gitsync.release.storage.record import (
    CHART_DIGEST,
    CLIENT_SIDE,
    SERVER_SIDE,
    VALUES_DIGEST,
    ApplyMethod,
    Digests,
    Record,
    checksum,
)

DeployAction = Literal["install", "upgrade", "rollback"]
#: The actions whose failures are counted, and whose policies are HelmRelease's spec.install and spec.upgrade.
CountedAction = Literal["install", "upgrade"]


#: Claims these objects and these hooks for a release. Raises: ObjectTaken.
Claim = Callable[[Iterable[ObjectKey], Iterable[ObjectKey]], Awaitable[None]]


async def everything_is_free(keys: Iterable[ObjectKey], hooks: Iterable[ObjectKey]) -> None:
    """The Claim for objects that nobody else can have."""


class ReleaseRef(NamedTuple):
    """Helm's name of a release: its name, the namespace it installs into, and the one that keeps its records."""

    name: str
    namespace: str
    storage: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def release_fields(release: ObjectKey | None, ref: ReleaseRef) -> dict[str, Any]:
    """The fields by which a log line names a release: its HelmRelease (None: not known here), and Helm's name for it if
    that differs."""
    if release is None:
        return {"release": str(ref)}
    same = (release.name, release.namespace) == (ref.name, ref.namespace)
    return {"release": release} if same else {"release": release, "helm_release": str(ref)}


@dataclass(frozen=True, slots=True)
class RevisionContent:
    """The content of a revision: rendered text and objects, and all that its record keeps.

    ``of_revision`` is the revision that a rollback restores, 0 for others, and ``apply_method`` how that was applied.
    """

    chart: dict[str, Any] = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    manifest: str = field(repr=False)
    objects: Sequence[Manifest] = field(repr=False)
    digests: Digests
    hooks: list[dict[str, Any]] = field(default_factory=list, repr=False)
    notes: str = field(default="", repr=False)
    crds: Sequence[Manifest] = field(default=(), repr=False)
    of_revision: int = 0
    apply_method: str = ""
    #: Keeps its memory counted for as long as it exists.
    held: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ActionOptions:
    """The options of an action: the fields of HelmRelease's install and upgrade, ``timeout`` in seconds.

    ``crds`` is the CRD policy, ``cause`` an addition to the record's description (the commit). ``release`` is the
    HelmRelease; ``wanted_by`` says who else wants objects that would be deleted; ``claim`` claims the objects of the
    new revision; ``leftovers`` are those of earlier revisions.
    """

    timeout: float = 300.0
    wait: bool = True
    readiness: Readiness = KSTATUS
    hooks: bool = True
    create_namespace: bool = False
    take_ownership: bool = True
    server_side: ServerSideApply = "enabled"
    force: bool = False
    cleanup_on_fail: bool = False
    crds: Literal["Skip", "Create", "CreateReplace"] = "Create"
    max_history: int = 5
    cause: str = ""
    release: ObjectKey | None = None
    wanted_by: WantedBy = nobody
    claim: Claim = everything_is_free
    leftovers: Leftovers = field(default_factory=Leftovers)

    def owner(self, ref: ReleaseRef) -> str:
        """For whom it is done: the HelmRelease's own namespace, since ``ref`` may name any."""
        return self.release.namespace if self.release is not None else ref.storage


@dataclass(frozen=True, slots=True)
class Deployed:
    """The result of an action: the record as stored, what has changed, and ``inventory`` for the HelmRelease's
    status."""

    record: Record
    delta: Delta
    inventory: ResourceInventory = field(repr=False)


def objects_of(record: Record) -> list[Manifest]:
    """The objects of a revision, in install order; namespaces are as its templates left them."""
    return install_order(parse_objects(record.manifest))


def apply_method(wanted: ServerSideApply, content: RevisionContent, before: Sequence[Record]) -> ApplyMethod:
    """How a new revision is applied. ``auto``: as the revision that a rollback restores, else as the newest of those
    ``before`` (action/upgrade.go, getUpgradeServerSideValue; Helm 3 recorded no method). Pure.
    """
    if wanted != "auto":
        return SERVER_SIDE if wanted == "enabled" else CLIENT_SIDE
    last = content.apply_method if content.of_revision else before[-1].apply_method if before else SERVER_SIDE
    return SERVER_SIDE if last == SERVER_SIDE else CLIENT_SIDE


def context_of(ref: ReleaseRef, revision: int, action: CountedAction) -> ReleaseContext:
    """What templates see of the release."""
    return ReleaseContext(ref.name, ref.namespace, revision, action == "install", action == "upgrade")


def action_of(record: Record) -> CountedAction:
    """The action that made a deployed revision. An install after a history that was kept has a number above 1, and is
    known by the words in its description.
    """
    return "install" if record.version == 1 or record.description.startswith("Install complete") else "upgrade"


def content_of(record: Record) -> RevisionContent:
    """The content of an old revision, with its digests, so that a rollback to it is recognized without comparing. For
    one that Helm wrote, there is a digest of the whole record instead, which no chart has.
    """
    own = checksum(record)
    return RevisionContent(
        chart=record.chart,
        config=record.config,
        manifest=record.manifest,
        objects=objects_of(record),
        digests=Digests(record.annotations.get(CHART_DIGEST) or own, record.annotations.get(VALUES_DIGEST) or own),
        hooks=record.hooks,
        notes=record.notes,
        of_revision=record.version,
        apply_method=record.apply_method,
    )


def holds(record: Record, rendered: Rendered, values: dict[str, Any]) -> bool:
    """Whether a revision is of this chart and these values, and has what was rendered. Notes do not count."""
    return (
        same_json(record.config, values)
        and record.chart.get("metadata") == rendered.chart_record["metadata"]
        and (_same_text(record, rendered) or _same_but_for_flux(record, rendered))
    )


def _same_text(record: Record, rendered: Rendered) -> bool:
    hooks = [hook.get("manifest") for hook in record.hooks]
    return record.manifest == rendered.manifest and hooks == [hook.manifest for hook in rendered.hooks]


def _same_but_for_flux(record: Record, rendered: Rendered) -> bool:
    """Whether a revision of Flux differs only in Flux's labels; Flux writes the text anew to add them."""
    objects = parse_objects(record.manifest)
    if not flux.marked(objects):
        return False
    hooks = [hook for item in record.hooks for hook in parse_objects(str(item.get("manifest", "")))]
    return _by_key(map(flux.unmarked, [*objects, *hooks])) == _by_key(
        [*rendered.objects, *(hook.object for hook in rendered.hooks)]
    )


def _by_key(objects: Iterable[Manifest]) -> dict[ObjectKey, Manifest]:
    return {ObjectKey.of(item): item for item in objects}
