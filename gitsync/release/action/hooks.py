"""Hooks: objects that run before and after an action, as Helm runs them (pkg/action/hooks.go).

The hooks are taken from a release's record, so that an uninstall runs those that were recorded. A hook is done when it
has run to its end (Jobs, Pods) or exists (anything else). An action that is resumed runs its hooks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.clientside import ClientSide
from gitsync.apply.delete import DeletionRules, WantedBy, delete_objects, nobody
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.namespaces import fill_namespaces
from gitsync.apply.ownership import belongs_to, is_marked
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.charts import parse_objects
from gitsync.errors import PASSING, KindUnknown, NotFound, NotReadyInTime, ObjectFailed, ReleaseError, TerminalError
from gitsync.health import finished
from gitsync.release.revision import ReleaseRef, release_fields
from gitsync.release.storage.record import timestamp

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

HookData = dict[str, Any]
BEFORE_CREATION = "before-hook-creation"
SUCCEEDED = "hook-succeeded"
FAILED = "hook-failed"
#: The events of an uninstall.
DELETE_EVENTS = ("pre-delete", "post-delete")
GONE_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class HookRun:
    """Which hooks of a release's record to run: those for ``event`` (``pre-install``, ...).

    ``timeout`` is in seconds and holds for each hook; ``client_side`` is the record's; ``wanted_by`` says who else
    wants an object that a delete policy would take away, ``release`` is the HelmRelease.
    """

    event: str
    ref: ReleaseRef
    timeout: float
    client_side: bool = False
    wanted_by: WantedBy = nobody
    release: ObjectKey | None = None


class HookFailed(ReleaseError):
    """A hook has failed. ``hooks`` are all hooks of the record, with the results of those that ran."""

    def __init__(self, message: str, *, hooks: Sequence[HookData], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.hooks = list(hooks)


async def hook_objects(hooks: Sequence[HookData], events: Collection[str] | None = None) -> list[Manifest]:
    """The objects of the hooks that run at one of these events (None: at any); namespaces are as the templates left
    them. Raises: RenderError for a hook of a record that cannot be read."""
    chosen = [
        hook["manifest"] for hook in hooks if events is None or not set(events).isdisjoint(hook.get("events", ()))
    ]
    # A record may be written by anybody: its text is parsed within the bounds of any other manifest.
    return [item for text in chosen for item in await asyncio.to_thread(parse_objects, text)]


def events_of(verb: str) -> tuple[str, str]:
    """The events of an install, upgrade or rollback."""
    return f"pre-{verb}", f"post-{verb}"


class Hooks:
    """Runs hooks. ``applier`` says whose fields are taken over from an object that is there already."""

    def __init__(self, cluster: Cluster, applier: Applier) -> None:
        self._cluster = cluster
        self._applier = applier

    async def run(self, hooks: Sequence[HookData], run: HookRun, interrupt: Interrupt) -> list[HookData]:
        """Run the hooks of an event by weight, then name, one after the other. Returns all hooks, with how they went.

        Raises: HookFailed naming the hook; KindUnknown, NotFound and PASSING, for what may become possible; Superseded.
        """
        chosen = sorted(
            (index for index, hook in enumerate(hooks) if run.event in hook.get("events", ())),
            key=lambda index: (hooks[index].get("weight", 0), hooks[index].get("name", "")),
        )
        results = list(hooks)
        chosen = [index for index in chosen if not await self._is_of_another(hooks[index], run)]
        for position, index in enumerate(chosen):
            # Helm records the policy that it assumes.
            hook = {**hooks[index], "delete_policies": hooks[index].get("delete_policies") or [BEFORE_CREATION]}
            await self._clean(hook, run, BEFORE_CREATION)
            started = timestamp()
            try:
                await self._one(hook, run, interrupt)
            except (KindUnknown, NotFound, *PASSING):
                raise
            except TerminalError as error:
                results[index] = {**hook, "last_run": _last_run(started, "Failed")}
                if isinstance(error, NotReadyInTime | ObjectFailed):
                    await self._clean(hook, run, FAILED)
                await self._clean_succeeded([results[done] for done in chosen[:position]], run)
                message = f"{run.event} hook {hook['path']} failed: {error.message}"
                raise HookFailed(message, hooks=results, hint=error.hint) from error
            results[index] = {**hook, "last_run": _last_run(started, "Succeeded")}
        await self._clean_succeeded([results[done] for done in reversed(chosen)], run)
        return results

    async def _is_of_another(self, hook: HookData, run: HookRun) -> bool:
        """Whether the object of an uninstall's hook is another release's: then the hook is left out. (Other actions
        claim all their objects beforehand, and wait.)"""
        if run.event not in DELETE_EVENTS:
            return False
        key = ObjectKey.of(await self._object(hook, run.ref.namespace))
        other = (await run.wanted_by([key])).get(key)
        if other is None or other.doubt:
            return False
        said = {**release_fields(run.release, run.ref), "hooks": run.event}
        log.warning("hooks cannot run any more, left out", **said, why=f"{key} is already managed by {other}")
        return True

    async def _one(self, hook: HookData, run: HookRun, interrupt: Interrupt) -> None:
        put = ClientSide(self._cluster, HELM_FIELD_MANAGER, {}).apply if run.client_side else self._applier.apply
        applied = await put(await self._object(hook, run.ref.namespace))
        key = ObjectKey.of(applied)
        want = WaitFor({key: applied}, labels="", namespace=key.namespace, timeout=run.timeout, judge=finished)
        await wait_ready(self._cluster, want, interrupt)

    async def _clean_succeeded(self, hooks: Sequence[HookData], run: HookRun) -> None:
        for hook in hooks:
            await self._clean(hook, run, SUCCEEDED)

    async def _clean(self, hook: HookData, run: HookRun, policy: str) -> None:
        """Delete a hook's object, when its delete policies say so at this point."""
        if policy not in hook["delete_policies"]:
            return
        key = ObjectKey.of(await self._object(hook, run.ref.namespace))
        if key.kind == "CustomResourceDefinition":
            return  # like Helm, never delete a definition: all its objects would go with it

        def is_ours(live: Manifest) -> bool:  # hooks have no marks of Helm's
            return not is_marked(live) or belongs_to(live, run.ref.name, run.ref.namespace)

        deletion = await delete_objects(self._cluster, [key], DeletionRules(is_ours, run.wanted_by))
        deletion.log(log.bind(**release_fields(run.release, run.ref)))
        await wait_deleted(self._cluster, deletion.deleted, GONE_TIMEOUT)

    async def _object(self, hook: HookData, namespace: str) -> Manifest:
        # The text of a record may be anybody's: parsing it goes through the same bounds as any other manifest.
        found = await asyncio.to_thread(parse_objects, hook["manifest"])
        if len(found) != 1:
            raise ReleaseError(f"hook {hook.get('path')} does not hold one object")
        (manifest,) = await fill_namespaces(self._cluster, found, namespace)
        return manifest


def _last_run(started: str, phase: str) -> dict[str, str]:
    return {"started_at": started, "completed_at": timestamp(), "phase": phase}
