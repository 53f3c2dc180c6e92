"""The ConfigMaps and Secrets that releases take values and kubeconfigs from, watched while a release refers to them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.charts import Part, composed, not_shown, secrets_of
from gitsync.errors import ValuesError
from gitsync.release.values.compose import Texts, parts_of, shown_by, texts_of
from gitsync.release.values.kubeconfig import remote_data, remote_of
from gitsync.runtime.cache import Cache
from gitsync.runtime.fairslots import FairSlots
from gitsync.runtime.memory import Memory, TakenMemory
from gitsync.sources.watch.referred import Referred, ReferredData
from gitsync.weight import json_weight, object_weight

if TYPE_CHECKING:
    from gitsync.charts.workers import Workers
    from gitsync.cluster import Cluster, Remote

#: What the values of a release may come to in memory, in bytes.
MOST: Final = 24 << 20
#: What all come to at a moment that releases are worked on with, those of one namespace, and what there is for each;
#: the little that most come to does not count.
TOGETHER: Final = 64 << 20
OF_NAMESPACE: Final = 40 << 20
ALWAYS: Final = 4 << 20
UNCOUNTED: Final = 256 << 10
#: What is remembered of them.
REMEMBERED: Final = 8 << 20
#: How many read large ones at once, and what a secret takes beside its characters.
_AT_ONCE: Final = 4
_SECRET: Final = 100
#: Characters up to which texts are read here: a worker process would take longer than that.
SMALL: Final = 16 << 10


class Values(dict[str, Any]):
    """Values that take memory as long as there are any of them."""

    held: TakenMemory | None = None


class References:
    """What releases refer to, for all of them. ``changed(release, why)`` is told when what one refers to changes: the
    text of a value, or the way to its cluster. What is large is read by ``workers`` (None: here)."""

    def __init__(
        self, cluster: Cluster, changed: Callable[[ObjectKey, str], None], workers: Workers | None = None
    ) -> None:
        self._referred = ReferredData(cluster, changed)
        self._workers = workers
        self._memory = Memory("values", TOGETHER, OF_NAMESPACE, ALWAYS, cluster.input)
        self._slots = FairSlots(_AT_ONCE, "values", each=_AT_ONCE // 2)
        self._made: Cache[_Made] = Cache(REMEMBERED)
        self._secrets: Cache[frozenset[str]] = Cache(REMEMBERED)

    async def values(self, release: HelmRelease) -> dict[str, Any]:
        """The release's values, those of its ``valuesFrom`` included; shared, never change them.

        Raises: ValuesMissing, ValuesError; RetryableError when there is no memory for them; Forbidden and
        ClusterUnavailable when a watch does not begin.
        """
        if not release.spec.values_from:
            self._secrets.discard(str(release.key))
            if release.kubeconfig_source is None:
                await self.forget(release.key)
            return release.spec.values or {}
        # What is large takes memory as long as this has it.
        found = await self._find(release, release.value_sources())
        texts = texts_of(release, found.get)
        of, made = _identity(release, texts), self._made.get(str(release.key))
        if made is None or made.of != of:
            made = await self._make(release, texts, of)
        self._secrets.put(str(release.key), made.secrets, sum(map(len, made.secrets)) + _SECRET * len(made.secrets))
        return made.values

    async def _make(self, release: HelmRelease, texts: Texts, of: object) -> _Made:
        parts, owner = parts_of(release, texts), release.key.namespace
        if self._workers is None or is_small(parts):
            values = Values(await asyncio.to_thread(composed, parts, release.spec.values or {}))
            secrets = await asyncio.to_thread(lambda: not_shown(shown_by(release), secrets_of(parts)))
            weight = await asyncio.to_thread(object_weight, values)
            values.held = await self._room(owner, weight)
        else:
            # Whoever waits for memory has nothing yet.
            async with self._slots.held(owner):
                raw, found = await self._workers.compose_values(parts, release.spec.values, shown_by(release), owner)
                weight, secrets = json_weight(raw), frozenset(found)
                if weight > MOST:
                    raise ValuesError(
                        f"the values would take more than {MOST >> 20} MiB of memory",
                        hint="what valuesFrom names, or a targetPath, comes to too much",
                    )
                held = await self._room(owner, weight)
                values = Values(await asyncio.to_thread(json.loads, raw))
                values.held = held
        made = _Made(of, values, secrets)
        self._made.put(str(release.key), made, weight)
        return made

    async def _room(self, owner: str, weight: int) -> TakenMemory | None:
        return await self._memory.hold_in_time(owner, weight) if weight > UNCOUNTED else None

    async def remote(self, release: HelmRelease) -> Remote | None:
        """The cluster that the release refers to; None for the one that its HelmRelease is in.

        Raises: KubeConfigMissing, KubeConfigRefused; Forbidden and ClusterUnavailable when a watch does not begin.
        """
        source = release.kubeconfig_source
        return remote_of(release, (await self._find(release, (source,) if source is not None else ())).get)

    async def _find(self, release: HelmRelease, wanted: tuple[ObjectKey, ...]) -> Referred:
        source = release.kubeconfig_source
        named = (*release.value_sources(), *((source,) if source is not None else ()))

        def counts(found: Referred) -> object:
            return texts_of(release, found.get), remote_data(release, found.get)

        return await self._referred.of(release.key, named, counts, wanted)

    def secrets(self, key: ObjectKey) -> frozenset[str]:
        """What of a release's values, as they were last read, is out of Secrets."""
        return self._secrets.get(str(key)) or frozenset()

    async def forget(self, key: ObjectKey) -> None:
        """The release is gone, or refers to nothing any more."""
        self._made.discard(str(key))
        self._secrets.discard(str(key))
        await self._referred.forget(key)

    async def close(self) -> None:
        """End every watch."""
        await self._referred.close()


class _Made(NamedTuple):
    """The values that were last made of what a release refers to, and what of them is out of Secrets."""

    of: object
    values: dict[str, Any]
    secrets: frozenset[str]


def is_small(parts: Sequence[Part]) -> bool:
    """Whether these can come to little only, and need no Helm SDK: aliases of YAML may unfold to much, and so may
    an index of a list in a path, which only Helm reads."""
    unfolds = any(part.target_path is not None or "*" in part.text for part in parts)
    return not unfolds and sum(len(part.text) for part in parts) <= SMALL


def _identity(release: HelmRelease, texts: Texts) -> object:
    """What is another one when the values are others."""
    if sum(len(text) for text in texts if text is not None) <= SMALL:
        return release.spec.values_from, release.spec.values, texts
    digest = hashlib.sha256()
    for text in texts:
        digest.update(b"\0" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return release.spec.values_from, release.spec.values, digest.hexdigest()
