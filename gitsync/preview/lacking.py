"""Finds releases that wait in vain in a sandbox, where only the agent brings anything."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING

from gitsync.api.conditions import ready_of
from gitsync.api.generator import ArtifactGenerator
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import (
    ARTIFACT_GENERATOR,
    BUCKET,
    EXTERNAL_ARTIFACT,
    FALSE,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    RECONCILIATION_FAILED,
    SOURCE_GROUP,
    SOURCE_NOT_READY,
    TRUE,
)
from gitsync.api.sources import Bucket, ChartHolder, GitRepository, HelmChart, HelmRepository, OCIRepository
from gitsync.errors import FieldErrors, KindUnknown
from gitsync.preview.unserved import unserved_source
from gitsync.runtime.until import until
from gitsync.sources.generator.generators import makers_of, unmade
from gitsync.sources.resolve.commitsources import missing
from gitsync.sources.unsupported import refused
from gitsync.sync.rollout.lacking import Lacking

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.release.access import AccessRules

#: Seconds for which a source is tried again before its server counts as away.
UNREACHABLE = 10.0

_MODELS: dict[str, type[HelmRepository | OCIRepository | GitRepository | Bucket | HelmChart]] = {
    HELM_REPOSITORY: HelmRepository,
    OCI_REPOSITORY: OCIRepository,
    GIT_REPOSITORY: GitRepository,
    BUCKET: Bucket,
    HELM_CHART: HelmChart,
}


class LackingInSandbox(Lacking):
    """In a sandbox no controller or user brings missing sources and ServiceAccounts either."""

    reasons = (*Lacking.reasons, SOURCE_NOT_READY, RECONCILIATION_FAILED)

    def __init__(self, cluster: Cluster, rules: AccessRules) -> None:
        super().__init__(cluster)
        self._rules = rules
        #: Since when each source fails, by the event loop's clock.
        self._failing: dict[ObjectKey, float] = {}

    async def why(self, release: HelmRelease) -> str:
        """See Lacking."""
        account = self._rules.service_account(release)
        accounts = [ObjectKey("", "ServiceAccount", release.metadata.namespace, account)] if account else []
        return await self.first_missing(accounts) or await self._lacks_chart(release) or await super().why(release)

    async def _lacks_chart(self, release: HelmRelease) -> str:
        return unserved_source(release) or await self._lacks_source(release, release.source)

    async def _lacks_source(self, release: HelmRelease, source: ObjectKey) -> str:
        live = await self._cluster.find(source)
        if source.kind == EXTERNAL_ARTIFACT:
            return await self._lacks_artifact(source) if live is None else ""
        if live is None and source.kind == GIT_REPOSITORY:  # the synced one needs no object, another will never come
            ready = ready_of(release.manifest)
            return str(ready.get("message", "")) if ready.get("reason") == SOURCE_NOT_READY else ""
        if live is None:
            return missing(source, "").message
        if ready_of(live).get("status") == TRUE:
            return ""
        try:
            parsed = _MODELS[source.kind].parse(live)
        except FieldErrors:
            return ""
        name = f"{source.kind} '{source.namespaced_name}'"
        if parsed.spec.suspend:
            return f"{name} is suspended, and was not read before"
        for field, refusal, _ in refused(parsed):
            return f"{name} cannot be read: {field}: {refusal}"
        if isinstance(parsed, HelmChart) and (why := await self._lacks_source(release, parsed.source)):
            return f"{name} cannot be had: {why}"
        why = await self.first_missing(_needs(parsed)) or await self._unreachable(source)
        return f"{name} cannot be read: {why}" if why else ""

    async def _lacks_artifact(self, artifact: ObjectKey) -> str:
        """Why an ExternalArtifact will never be made; "" while it may be yet."""
        generators: list[ArtifactGenerator] = []
        with suppress(KindUnknown):
            for live in await self._cluster.list(
                SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR, namespace=artifact.namespace
            ):
                with suppress(FieldErrors):
                    generators.append(ArtifactGenerator.parse(live))
        makers = makers_of(artifact, sorted(generators, key=attrgetter("key")))
        if not makers:
            return unmade(artifact).message
        ready = [ready_of(maker.manifest) for maker in makers]
        if not all(said.get("status") == FALSE for said in ready):
            return ""
        return f"{makers[0].key.kind} '{makers[0].key.namespaced_name}' makes nothing: {ready[0].get('message', '')}"

    async def _unreachable(self, source: ObjectKey) -> str:
        """What a source says whose server does not answer, however often it is asked; "" as soon as it does."""
        loop = asyncio.get_running_loop()
        since = self._failing.setdefault(source, loop.time())
        try:
            async with asyncio.timeout_at(since + UNREACHABLE), self._cluster.watch(SOURCE_GROUP, source.kind) as watch:
                await until(watch, lambda: ready_of(watch.get(source)).get("status") != FALSE)
        except TimeoutError:
            return str(ready_of(await self._cluster.find(source)).get("message", "its server does not answer"))
        self._failing.pop(source, None)
        return ""


def _needs(source: ChartHolder) -> list[ObjectKey]:
    """The Secrets and other objects that a source cannot be read without."""
    namespace = source.metadata.namespace
    if isinstance(source, HelmChart):
        named = source.spec.verify.secret_ref if source.spec.verify is not None else None
        return [ObjectKey("", "Secret", namespace, named.name)] if named is not None else []
    secrets = [ObjectKey("", "Secret", namespace, name) for name in source.spec.secrets]
    account = source.spec.service_account_name if isinstance(source, OCIRepository) else None
    return secrets + ([ObjectKey("", "ServiceAccount", namespace, account)] if account else [])
