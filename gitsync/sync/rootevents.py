"""Events about the sync of the settings, where no Kustomization stands for it that would have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_API_VERSION
from gitsync.runtime.event import Event
from gitsync.sync.owner import Owner
from gitsync.sync.standing import Standing

if TYPE_CHECKING:
    from gitsync.runtime.recorder import EventRecorder

#: Seconds that a state which mostly passes at once has to last before there is an Event of it.
_PASSING_DELAY = 5.0


class RootEvents:
    """Records an Event when the sync stands otherwise than before. The Event is about a Kustomization with the sync's
    name and namespace, which need not exist, so that Alerts can name it. ``is_shown`` says whether some Kustomization
    stands for the sync."""

    def __init__(self, events: EventRecorder, owner: Owner, is_shown: Callable[[], bool]) -> None:
        self._events = events
        metadata = {"name": owner.name, "namespace": owner.namespace, "uid": ""}
        self._about: Manifest = {"apiVersion": KUSTOMIZE_API_VERSION, "kind": KUSTOMIZATION, "metadata": metadata}
        self._is_shown = is_shown
        self._told = ("", "")
        self._has_failed = False

    def begin(self, standing: Standing) -> None:
        """A commit is being applied: a ``quiet`` Event, for the commit's status."""
        if not self._is_shown():
            self._record(standing, quiet=True)

    def tell(self, standing: Standing | None) -> None:
        """The sync stands so now."""
        if standing is None or self._told == (standing.reason, standing.message):
            return
        recovers, self._has_failed = self._has_failed, standing.is_failure
        self._told = standing.reason, standing.message
        if self._is_shown():
            return
        self._record(standing, quiet=standing.quiet and not recovers)

    def _record(self, standing: Standing, *, quiet: bool) -> None:
        event = Event(
            "Warning" if standing.is_failure else "Normal",
            standing.reason,
            standing.message,
            _PASSING_DELAY if standing.passing else 0.0,
            commit=standing.commit,
            revision=standing.revision,
            quiet=quiet,
        )
        self._events.record(self._about, event)
