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

#: Bytes of memory that the values of one release may take.
MOST: Final = 24 << 20
#: Bytes for the values of all releases under way, for those of one namespace, and what each namespace may take whatever
#: the others have; values of at most UNCOUNTED do not count.
TOGETHER: Final = 64 << 20
OF_NAMESPACE: Final = 40 << 20
ALWAYS: Final = 4 << 20
UNCOUNTED: Final = 256 << 10
#: Bytes of values that are remembered.
REMEMBERED: Final = 8 << 20
#: How many large values are read at the same time; and the bytes that one secret takes beside its characters.
_AT_ONCE: Final = 4
_SECRET: Final = 100
#: Texts of at most so many characters are read in this process: asking a worker process would take longer.
SMALL: Final = 16 << 10


class Values(dict[str, Any]):
    """Values whose memory stays counted for as long as they exist."""

    held: TakenMemory | None = None


class References:
    """The values and kubeconfigs that releases refer to. ``changed(release, why)`` is called when one of them changes.
    Large values are read by ``workers`` (None: in this process)."""

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
        # While it is remembered, it takes memory: so large values are not.
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
            # Wait for memory before anything is read.
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
        """The values of a release, as last read, that come from Secrets."""
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
    """The values of a release as last made, with what they were made ``of``, and those that come from Secrets."""

    of: object
    values: dict[str, Any]
    secrets: frozenset[str]


def is_small(parts: Sequence[Part]) -> bool:
    """Whether these parts are short, cannot unfold to much (by YAML's aliases, or by an index of a list in a path), and
    need no Helm SDK."""
    unfolds = any(part.target_path is not None or "*" in part.text for part in parts)
    return not unfolds and sum(len(part.text) for part in parts) <= SMALL


def _identity(release: HelmRelease, texts: Texts) -> object:
    """All that the values depend on: if it is the same as before, so are they."""
    if sum(len(text) for text in texts if text is not None) <= SMALL:
        return release.spec.values_from, release.spec.values, texts
    digest = hashlib.sha256()
    for text in texts:
        digest.update(b"\0" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return release.spec.values_from, release.spec.values, digest.hexdigest()
