"""Single objects of the cluster as commands see them: reading them, and asking the agent to reconcile them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_suspended
from gitsync.cli.common.output import one_line, say
from gitsync.errors import KindUnknown, NotFound
from gitsync.live.requests import request

if TYPE_CHECKING:
    from gitsync.cli.common.kinds import Kind
    from gitsync.cluster import Cluster
    from gitsync.settings import Settings


@dataclass(frozen=True, slots=True)
class LiveObject:
    """An object as it was read, and the cluster that it was read from."""

    cluster: Cluster
    manifest: Manifest

    @property
    def key(self) -> ObjectKey:
        """Which object it is."""
        return ObjectKey.of(self.manifest)

    @property
    def is_suspended(self) -> bool:
        """Whether the object says ``spec.suspend: true``, so that the agent does not reconcile it."""
        return is_suspended(self.manifest)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Cluster]:
    """The cluster that the settings name. A KindUnknown that leaves the block gets a hint how to install our kinds."""
    from gitsync.cluster import Cluster

    async with await Cluster.connect(kubeconfig=settings.kubeconfig, context=settings.context or None) as cluster:
        try:
            yield cluster
        except KindUnknown as error:
            error.hint = "gitsync install brings the kinds of gitsync, and so does gitsync run"
            raise


async def find(cluster: Cluster, key: ObjectKey) -> LiveObject:
    """One object. Raises: NotFound, with a hint; KindUnknown."""
    try:
        return LiveObject(cluster, await cluster.get(key))
    except NotFound as error:
        error.hint = error.hint or f"is {key.namespace} the right namespace? gitsync get all -A shows what there is"
        raise


async def find_all(cluster: Cluster, kind: Kind, namespace: str, names: Collection[str]) -> Sequence[LiveObject]:
    """The objects of these names, or of the whole namespace when none is given. Raises: NotFound, KindUnknown."""
    if names:
        return [await find(cluster, kind.key(namespace, name)) for name in names]
    found = await cluster.list(kind.group, kind.kind, namespace=namespace)
    if not found:
        say(f"nothing found in namespace {namespace}")
    return [LiveObject(cluster, manifest) for manifest in sorted(found, key=ObjectKey.of)]


async def ask(live: LiveObject, *, force: bool = False, reset: bool = False, also: Manifest | None = None) -> str:
    """Ask the agent to reconcile an object, as Flux is asked; ``also`` is what else is changed by the same request.

    ``force`` asks for one more install or upgrade, ``reset`` that failures be forgotten. Returns the token that the
    status names once it is done. Raises: NotFound.
    """
    return await request(live.cluster, live.key, force=force, reset=reset, also=also)


def warn(text: str) -> None:
    """To stderr."""
    say(f"warning: {one_line(text)}")
