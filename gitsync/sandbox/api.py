"""The verbs on objects. Everything here happens at once, on the event loop, so nothing comes in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gitsync.sandbox.failures import Cause, Named, apply_conflict, bad_request, conflict, invalid, not_found, untyped
from gitsync.sandbox.kinds import customkinds
from gitsync.sandbox.kinds.catalog import Catalog
from gitsync.sandbox.kinds.conforming import Conformed
from gitsync.sandbox.objects import metadata, ownership
from gitsync.sandbox.objects.merging import merged, without
from gitsync.sandbox.objects.objectstore import ObjectStore
from gitsync.sandbox.objects.ownership import Difference, Manager
from gitsync.sandbox.objects.writing import (
    NAMESPACES,
    Options,
    Owners,
    Target,
    Write,
    Writer,
    Written,
    fitting,
    in_version,
)

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

_RECREATED: Final = "deleted and then recreated"
CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


Change = Callable[["Manifest"], "Manifest"]


class Api:
    """The objects of a store, as kinds of a catalog."""

    def __init__(self, store: ObjectStore, catalog: Catalog) -> None:
        self.store = store
        self.catalog = catalog
        self._writer = Writer(store, catalog)

    def get(self, target: Target) -> Manifest:
        """Raises: Failure 404."""
        found = self.store.get(target.key)
        if found is None:
            raise not_found(target.resource.named(target.name))
        return in_version(found, target.resource)

    def create(self, target: Target, manifest: Manifest, options: Options) -> Written:
        """Raises: Failure, as do all the verbs."""
        metadata.check_identity(manifest, target.namespace, "")
        if manifest["metadata"].get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        write = Write(target, options, _updated(target, options))
        return self._writer.create(write, self._writer.fit(write, manifest))

    def update(self, target: Target, change: Change, options: Options) -> Written:
        """Put what ``change`` makes of an object in its place."""
        before = self.get(target)
        manifest = change(before)
        metadata.check_identity(manifest, target.namespace, target.name)
        what = target.resource.named(target.name)
        metadata.check_versions(manifest, before, what)
        given = manifest["metadata"].get("managedFields")
        write = Write(target, options, _updated(target, options))
        fitted = self._writer.fit(write, manifest)
        if given is not None and given != before["metadata"].get("managedFields"):
            before = {**before, "metadata": {**before["metadata"], "managedFields": given}}
        return self._writer.replace(write, before, fitted)

    def apply(self, target: Target, applied: Manifest, options: Options) -> Written:
        """Server-side apply."""
        resource = target.resource
        wanted = _wanted(target, applied, options)
        fields = frozenset(ownership.leaves(wanted, resource.type))
        writer = Manager(options.manager, "Apply", resource.api_version, fields, metadata.now(), target.subresource)
        stored = self.store.get(target.key)
        if stored is None:
            if target.subresource:
                raise not_found(resource.named(target.name))
            new = Write(target, options, lambda _before, _after: [writer])
            return self._writer.create(new, fitting(wanted, resource))
        before = in_version(stored, resource)
        found = ownership.managers(before)
        others = frozenset().union(*(each.fields for each in found if not each.same(writer)))
        last = frozenset().union(*(each.fields for each in found if each.same(writer)))
        after = without(merged(before, wanted, resource.type), resource.type, last - fields - others, fields | others)
        difference = Difference.between(before, after, resource.type)
        clashes = [] if options.force else ownership.conflicts(found, writer, difference)
        if clashes:
            causes = [Cause("FieldManagerConflict", ownership.shown(path), each.said()) for each, path in clashes]
            raise apply_conflict(causes)
        metadata.check_versions(wanted, before, resource.named(target.name))
        owners = ownership.after_apply(found, writer, difference)
        write = Write(target, options, lambda _before, _after: owners)
        return self._writer.replace(write, before, fitting(after, resource))

    def delete(
        self, target: Target, *, policy: str = "", uid: str = "", version: str = "", dry_run: bool = False
    ) -> Manifest | None:
        """The object where it stays for a while, None where it is gone."""
        before = self.get(target)
        what = target.resource.named(target.name)
        for name, word, how in (("uid", "UID", _RECREATED), ("resourceVersion", "ResourceVersion", "modified")):
            wanted, known = {"uid": uid, "resourceVersion": version}[name], before["metadata"][name]
            if wanted not in ("", known):
                said = f"the {word} in the precondition ({wanted}) does not match the {word} in record ({known})"
                about = what._replace(group="", plural=what.kind)
                raise conflict(about, f"{said}. The object might have been {how}")
        if dry_run:
            return before
        if target.key.collection == NAMESPACES:
            return self._terminate(target, before)
        finalizers = metadata.propagation_finalizers(before, policy)
        if target.key.collection == CRDS and customkinds.CLEANUP not in finalizers:
            return self.store.put(target.key, customkinds.terminating(before, finalizers, metadata.now()))
        if not finalizers:
            self.store.remove(target.key)
            return None
        after = metadata.deleting(before, finalizers)
        return before if after == before else self.store.put(target.key, after)

    def _terminate(self, target: Target, before: Manifest) -> Manifest:
        """A namespace goes once the world has emptied it."""
        if "deletionTimestamp" in before["metadata"]:
            said = "The system is ensuring all content is removed from this namespace.  Upon completion, this namespace"
            raise conflict(target.resource.named(target.name), f"{said} will automatically be purged by the system.")
        after = metadata.deleting(before, before["metadata"].get("finalizers") or [])
        if not after["metadata"]["finalizers"]:
            del after["metadata"]["finalizers"]
        return self.store.put(target.key, {**after, "status": {**after["status"], "phase": "Terminating"}})


def _wanted(target: Target, applied: Manifest, options: Options) -> Manifest:
    """What is applied, as far as this endpoint takes it. Raises: Failure for what cannot be applied."""
    if not options.manager:
        cause = Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
        raise invalid(Named("meta.k8s.io", "", "PatchOptions", ""), [cause])
    if applied["metadata"].get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    metadata.check_identity(applied, target.namespace, target.name)
    resource = target.resource
    conformed = Conformed(applied, resource.type, all_said=True)
    wrong = [f"{path}: {text}" for path, text in conformed.wrong]
    wrong += [f"{path}: field not declared in schema" for path in conformed.unknown]
    if wrong:
        place = f"{applied['metadata'].get('namespace', '')}/{target.name}"
        raise untyped(f"{place}; {resource.group}/{resource.version}, Kind={resource.kind}", wrong[0])
    status, rest = _endpoint(target)
    always = ("apiVersion", "kind", "metadata")
    return {
        name: value
        for name, value in conformed.manifest.items()
        if name in always or (status if name == "status" else rest)
    }


def _updated(target: Target, options: Options) -> Owners:
    """Whose the fields are after any write but an apply."""
    writer = Manager(
        options.manager,
        "Update",
        target.resource.api_version,
        frozenset(),
        metadata.now(),
        target.subresource,
    )

    def owners(before: Manifest | None, after: Manifest) -> list[Manager]:
        difference = Difference.between(before, after, target.resource.type).within(*_endpoint(target))
        if before is not None and not difference.changed and not difference.removed:
            return ownership.managers(before)
        return ownership.after_update(ownership.managers(before), writer, difference)

    return owners


def _endpoint(target: Target) -> tuple[bool, bool]:
    """Whether an endpoint writes the status, and whether it writes the rest."""
    return bool(target.subresource) or not target.resource.has_status, not target.subresource
