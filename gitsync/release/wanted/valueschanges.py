"""ConfigMaps and Secrets that syncs are changing, or have just changed: releases and Kustomizations with values or
variables from them may not have heard of it yet, so that it is not known what they will want."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cachetools import TTLCache

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.apply.claimant import Claimant
from gitsync.release.dependencies.ancestry import MAX_NESTING
from gitsync.release.wanted.comingsync import ComingSync, Commits, known
from gitsync.release.wanted.reach import Worked

#: ConfigMaps and Secrets whose content is remembered, and for how many seconds.
_MOST_VALUES, _MOMENT = 100, 1.0
#: Seconds until all have heard of a changed ConfigMap or Secret; and how many changed ones are remembered.
_UNSETTLED, _MOST_UNSETTLED = 5.0, 10_000


class ValuesChange(NamedTuple):
    """A ConfigMap or Secret that is being changed, by which sync and commits."""

    key: ObjectKey
    claimant: Claimant
    commits: Commits

    @property
    def told(self) -> str:
        """The change, in words."""
        return f"{self.key} is about to be changed by {self.claimant}"


@dataclass(frozen=True)
class Changing:
    """The changes that some releases and Kustomizations have yet to hear of."""

    changes: Mapping[ObjectKey, ValuesChange]

    def of(self, user: Worked) -> ValuesChange | None:
        """The change of an object from which a release or Kustomization takes values or variables; None for none."""
        return next((self.changes[key] for key in user.value_sources() if key in self.changes), None)

    def doubted(self, sync: ComingSync) -> ComingSync:
        """The sync, with the change as its ``doubt`` if it takes variables from a changed object."""
        if (change := self.of(sync.kustomization)) is None:
            return sync
        claimant = sync.claimant._replace(doubt=sync.claimant.doubt or change.told)
        return sync._replace(claimant=claimant, commits=sync.commits | change.commits)


@dataclass
class ValuesChanges:
    """Remembers these changes. ``find`` reads an object of the agent's own cluster."""

    find: Callable[[ObjectKey], Awaitable[Manifest | None]]
    _unsettled: TTLCache[ObjectKey, ValuesChange] = field(default_factory=lambda: TTLCache(_MOST_UNSETTLED, _UNSETTLED))
    #: Digests of the content of ConfigMaps and Secrets, as read a moment ago.
    _digests: TTLCache[ObjectKey, str] = field(default_factory=lambda: TTLCache(_MOST_VALUES, _MOMENT))
    #: Called when all have had time to hear of the changes.
    on_settled: Callable[[], None] = lambda: None
    _settling: asyncio.TimerHandle | None = None

    def note(self, key: ObjectKey, sync: Claimant, commit: str) -> None:
        """A sync is about to write an object. Remembered if that is a ConfigMap or Secret."""
        if is_values(key):
            self._unsettle(ValuesChange(key, sync, known(commit)))

    def _unsettle(self, change: ValuesChange) -> None:
        self._unsettled[change.key] = change
        self._await_settling()

    def _await_settling(self) -> None:
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(_UNSETTLED + _MOMENT, self._settle)

    def _settle(self) -> None:
        self._settling = None
        self._unsettled.expire()
        if self._unsettled:
            self._await_settling()
        self.on_settled()

    def has_news(self, user: Worked) -> bool:
        """Whether an object from which ``user`` takes values or variables is being changed, or has just been."""
        return any(key in self._unsettled for key in user.value_sources())

    def are_settled(self, syncs: Iterable[ComingSync]) -> bool:
        """Whether nothing is being changed: none of these syncs, which are on their way, has a ConfigMap or Secret, and
        none was changed just now."""
        return not self._unsettled and not any(sync.values for sync in syncs)

    async def changing(self, syncs: Sequence[ComingSync], releases: Sequence[HelmRelease]) -> Changing:
        """The changes of objects from which these syncs and releases, which are all that there are, take values or
        variables."""
        users: tuple[Worked, ...] = (*(sync.kustomization for sync in syncs), *releases)
        referred = {key for user in users for key in user.value_sources()}
        found = await self._changing(syncs, referred)
        for _ in range(MAX_NESTING):  # a sync with changed variables may have values for others in turn
            now = Changing(found)
            doubted = [now.doubted(sync) for sync in syncs if now.of(sync.kustomization) is not None]
            news = {
                key: ValuesChange(key, sync.claimant.by_name, sync.commits)
                for sync in doubted
                for key in filter(is_values, (sync.keys & referred) - found.keys())
            }
            if not news:
                break
            found |= news
        return Changing(found)

    async def _changing(
        self, syncs: Iterable[ComingSync], keys: Collection[ObjectKey]
    ) -> dict[ObjectKey, ValuesChange]:
        offered = {key: (sync, sync.values[key]) for sync in syncs for key in sync.values.keys() & keys}
        live = await asyncio.gather(*map(self._data_of, offered))
        for (key, (sync, wanted)), found in zip(offered.items(), live, strict=True):
            if found != wanted:
                self._unsettle(ValuesChange(key, sync.claimant.by_name, sync.commits))
        return {key: change for key, change in self._unsettled.items() if key in keys}

    async def _data_of(self, key: ObjectKey) -> str:
        """A digest of a ConfigMap's or Secret's content, at most a second old: many ask at once, and if a change is
        seen too late, the question is asked again."""
        found = self._digests.get(key)
        if found is None:
            found = self._digests[key] = data_digest(await self.find(key))
        return found


def is_values(key: ObjectKey) -> bool:
    """Whether others may take values or variables from an object: a ConfigMap or a Secret."""
    return not key.group and key.kind in ("ConfigMap", "Secret")


def data_digest(manifest: Manifest | None) -> str:
    """A digest of the content of a ConfigMap or Secret, from Git or live; "" for None. Keys that others have added to a
    live one of a sync do not count."""
    if manifest is None:
        return ""
    texts: dict[str, Any] = manifest.get("stringData") or {}
    encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in texts.items()}
    data = {**(manifest.get("data") or {}), **encoded}
    own = {name: value for name, value in data.items() if name not in _of_others(manifest)}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()


def _of_others(live: Manifest) -> set[str]:
    """The keys of the data that only others have set, and no sync; none where no sync has set any."""
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for entry in live["metadata"].get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:data") or {}
        names[entry.get("manager") == FIELD_MANAGER] |= {name.removeprefix("f:") for name in fields}
    return names[False] - names[True] if names[True] else set()
