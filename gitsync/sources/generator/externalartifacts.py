"""Publishes what ArtifactGenerators have made, as ExternalArtifacts in the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitsync.api.conditions import rfc3339, set_condition
from gitsync.api.generator import ArtifactGenerator, ExternalArtifactStatus
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import (
    ARTIFACT_GENERATOR,
    EXTERNAL_ARTIFACT,
    FIELD_MANAGER,
    READY,
    SOURCE_API_VERSION,
    SUCCEEDED,
    TRUE,
)
from gitsync.api.status import Artifact
from gitsync.errors import KindUnknown
from gitsync.sources.generator.generating import Generated
from gitsync.sources.resolve.treeartifact import TreeArtifact

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: On an ExternalArtifact, the UID of the generator that has made it.
GENERATOR_LABEL = "source.extensions.fluxcd.io/generator"
_ORIGIN = "org.opencontainers.image.revision"


class ExternalArtifacts:
    """The ExternalArtifacts in ``cluster``: created, changed and deleted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def publish(
        self, generator: ArtifactGenerator, made: Generated, own: Mapping[str, TreeArtifact]
    ) -> list[str]:
        """Create or update the ExternalArtifacts that are its ``own``, and delete those that it no longer makes.
        Returns the names of the deleted ones.

        Raises: ApiError, ClusterUnavailable. A cluster without the kind goes without.
        """
        namespace = generator.metadata.namespace
        left = [it.name for it in generator.status.inventory if it.namespace == namespace]
        left = [name for name in left if name not in made.artifacts]
        try:
            for name, artifact in own.items():
                await self._show(generator, artifact, _external(generator, name, made.labels[name]))
            for name in left:
                await self._remove(generator, name)
        except KindUnknown:
            return []
        return left

    async def _show(self, generator: ArtifactGenerator, artifact: TreeArtifact, wanted: Manifest) -> None:
        key = generator.artifact_key(wanted["metadata"]["name"])
        live = await self._cluster.find(key)
        if live is None or not _holds(live, wanted):
            live = await self._cluster.apply(wanted, manager=FIELD_MANAGER)
        old = ExternalArtifactStatus.read(live.get("status"))
        generation = live["metadata"].get("generation", 0)
        conditions = set_condition(
            old.conditions, READY, TRUE, SUCCEEDED, "Artifact is ready", generation, datetime.now(UTC)
        )
        shown = await _shown(key, artifact)
        since = old.artifact.last_update_time if old.artifact is not None else ""
        if old.artifact is None or old.artifact.revision != shown.revision or old.artifact.digest != shown.digest:
            since = rfc3339(datetime.now(UTC))
        shown = shown.model_copy(update={"last_update_time": since})
        changed = {"artifact": shown, "conditions": conditions, "observed_generation": generation}
        if patch := old.model_copy(update=changed).patch_from(old):
            await self._cluster.patch(key, {"status": patch}, manager=FIELD_MANAGER, subresource="status")

    async def _remove(self, generator: ArtifactGenerator, name: str) -> None:
        live = await self._cluster.find(generator.artifact_key(name))
        labels = (live or {"metadata": {}})["metadata"].get("labels") or {}
        if live is not None and labels.get(GENERATOR_LABEL) == generator.metadata.uid:
            await self._cluster.delete(generator.artifact_key(name), uid=live["metadata"]["uid"])


def _external(generator: ArtifactGenerator, name: str, of_directory: Mapping[str, str]) -> Manifest:
    metadata = generator.metadata
    common = generator.spec.common_metadata
    labels = {**(common.labels if common else {}), **of_directory, "app.kubernetes.io/managed-by": FIELD_MANAGER}
    owner = {
        "apiVersion": f"{SOURCE_EXTENSIONS_GROUP}/{ArtifactGenerator.versions[0]}",
        "kind": ARTIFACT_GENERATOR,
        "name": metadata.name,
    }
    shown: dict[str, Any] = {
        "name": name,
        "namespace": metadata.namespace,
        "labels": {**labels, GENERATOR_LABEL: metadata.uid},
        "ownerReferences": [{**owner, "uid": metadata.uid}],
    }
    if common is not None and common.annotations:
        shown["annotations"] = dict(common.annotations)
    spec = {"sourceRef": {**owner, "namespace": metadata.namespace}}
    return {"apiVersion": SOURCE_API_VERSION, "kind": EXTERNAL_ARTIFACT, "metadata": shown, "spec": spec}


def _holds(live: Manifest, wanted: Manifest) -> bool:
    metadata, own = live["metadata"], wanted["metadata"]
    return bool(
        live.get("spec") == wanted["spec"]
        and own["labels"].items() <= (metadata.get("labels") or {}).items()
        and own.get("annotations", {}).items() <= (metadata.get("annotations") or {}).items()
        and metadata.get("ownerReferences") == own["ownerReferences"]
    )


async def _shown(key: ObjectKey, artifact: TreeArtifact) -> Artifact:
    """The artifact for a status. Nothing is stored, so its path and URL lead nowhere."""
    digest = artifact.tree.revision.rpartition("@")[2]
    entries = await artifact.tree.entries()
    return Artifact(
        path=f"externalartifact/{key.namespaced_name}/{digest.rpartition(':')[2]}.tar.gz",
        url=artifact.url,
        revision=artifact.revision,
        digest=digest,
        size=sum(entry.size for entry in entries),
        metadata={_ORIGIN: artifact.origin} if artifact.origin else {},
    )
