"""The way of a write: an object is made to fit its kind, filled in, checked, and kept."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.failures import Cause, already_exists, bad_request, forbidden, invalid, not_found
from gitsync.sandbox.kinds import rules
from gitsync.sandbox.kinds.catalog import Catalog, Resource
from gitsync.sandbox.kinds.conforming import Conformed, with_defaults
from gitsync.sandbox.kinds.defaults import Defaults
from gitsync.sandbox.objects import metadata, ownership
from gitsync.sandbox.objects.objectstore import Key, ObjectStore
from gitsync.sandbox.objects.ownership import Manager

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

NAMESPACES: Final = "namespaces."
#: Whose the fields of an object are that was one thing (None: it is new) and is to be another.
Owners = Callable[["Manifest | None", "Manifest"], list[Manager]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: a resource, in a namespace, perhaps an object, perhaps its status."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        return Key(self.resource.collection, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Options:
    """How to write. ``validation`` is what becomes of unknown fields: Ignore, Warn or Strict."""

    manager: str
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"


@dataclass(slots=True)
class Write:
    """A write under way. ``warnings`` are for the Warning headers."""

    target: Target
    options: Options
    owners: Owners
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """What came of it."""

    manifest: Manifest
    created: bool
    warnings: list[str]


class Writer:
    """Puts objects into a store."""

    def __init__(self, store: ObjectStore, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._defaults = Defaults()

    def fit(self, write: Write, manifest: Manifest) -> Manifest:
        """A copy of ``manifest`` as its kind has it. Raises: Failure 400 for what the kind does not have."""
        resource, options = write.target.resource, write.options
        refused = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
        conformed = Conformed(manifest, resource.type)
        for path, text in conformed.wrong:
            if not resource.custom or path.startswith(".metadata"):
                raise bad_request(f"{refused}{path.lstrip('.')}: {text}")
        unknown = [f'unknown field "{path.lstrip(".")}"' for path in sorted(conformed.unknown)]
        if unknown and options.validation == "Strict":
            raise bad_request(f"{refused}strict decoding error: {', '.join(unknown)}")
        if options.validation == "Warn":
            write.warnings += unknown
        return conformed.manifest

    def create(self, write: Write, manifest: Manifest) -> Written:
        """Keep a new object. ``manifest`` fits its kind, and becomes the store's own. Raises: Failure."""
        target, resource = write.target, write.target.resource
        self._check_namespace(target, manifest)
        if resource.has_status:
            manifest.pop("status", None)
            manifest |= {} if resource.custom else {"status": {}}
        metadata.fresh(manifest, target.namespace, resource.named(""))
        name = manifest["metadata"]["name"]
        key = Key(resource.collection, target.namespace, name)
        if self._store.get(key) is not None:
            raise already_exists(resource.named(name))
        self._fill_in(manifest, resource)
        self._check(manifest, None, resource)
        if resource.counts_generations:
            manifest["metadata"]["generation"] = 1
        ownership.write(manifest, write.owners(None, manifest))
        kept = manifest if write.options.dry_run else self._store.put(key, manifest)
        return Written(kept, True, write.warnings)

    def replace(self, write: Write, before: Manifest, manifest: Manifest) -> Written:
        """Keep ``manifest``, which fits its kind and becomes the store's own, in the place of ``before``.

        Raises: Failure.
        """
        target, resource = write.target, write.target.resource
        if target.subresource:
            manifest = {**copy.deepcopy(before), "status": manifest.get("status", {})}
        elif resource.has_status:
            manifest.pop("status", None)
            manifest |= {"status": copy.deepcopy(before["status"])} if "status" in before else {}
        metadata.carried_over(manifest, before)
        metadata.check_finalizers(manifest, before, resource.named(target.name))
        self._fill_in(manifest, resource)
        self._check(manifest, before, resource)
        if resource.counts_generations and _counted(manifest, resource) != _counted(before, resource):
            manifest["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
        ownership.write(manifest, write.owners(before, manifest))
        stored = self._store.get(target.key)
        assert stored is not None
        manifest["apiVersion"] = stored["apiVersion"]
        if write.options.dry_run or manifest == stored:
            return Written(in_version(manifest, resource), False, write.warnings)
        if _is_gone(manifest):
            self._store.remove(target.key, manifest)
        else:
            self._store.put(target.key, manifest)
        return Written(in_version(manifest, resource), False, write.warnings)

    def _fill_in(self, manifest: Manifest, resource: Resource) -> None:
        if resource.custom:
            with_defaults(manifest, resource.type)
        else:
            self._defaults.fill_in(manifest, resource.group)

    def _check(self, manifest: Manifest, before: Manifest | None, resource: Resource) -> None:
        causes = list(rules.broken(manifest, before, resource))
        if resource.custom:
            from gitsync.sandbox.kinds.customs import complaints

            causes += complaints(manifest, resource)
        if causes:
            raise invalid(resource.named(manifest["metadata"]["name"]), causes)

    def _check_namespace(self, target: Target, manifest: Manifest) -> None:
        if not target.resource.namespaced:
            return
        found = self._store.get(Key(NAMESPACES, "", target.namespace))
        if found is None:
            raise not_found(self._catalog.of_collection(NAMESPACES).named(target.namespace))
        if "deletionTimestamp" in found["metadata"]:
            said = f"namespace {target.namespace} is being terminated"
            causes = [Cause("NamespaceTerminating", "metadata.namespace", said)]
            why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            raise forbidden(target.resource.named(manifest["metadata"].get("name", "")), why, causes)


def fitting(manifest: Manifest, resource: Resource) -> Manifest:
    """A copy of an object that has been checked already, without what its kind leaves out."""
    return Conformed(manifest, resource.type).manifest


def in_version(manifest: Manifest, resource: Resource) -> Manifest:
    """An object as this version of its kind shows it. Fields are not converted."""
    if manifest["apiVersion"] == resource.api_version:
        return manifest
    return {**manifest, "apiVersion": resource.api_version}


def _is_gone(manifest: Manifest) -> bool:
    """Whether nothing holds an object any more that is being deleted."""
    held = manifest["metadata"].get("finalizers") or (
        manifest["kind"] == "Namespace" and manifest["apiVersion"] == "v1" and manifest["spec"].get("finalizers")
    )
    return "deletionTimestamp" in manifest["metadata"] and not held


def _counted(manifest: Manifest, resource: Resource) -> dict[str, Any]:
    """What a generation counts the changes of."""
    left_out = {"metadata", "apiVersion", *(["status"] if resource.has_status else [])}
    counted = {name: value for name, value in manifest.items() if name not in left_out}
    if resource.collection == "deployments.apps":
        counted["annotations"] = manifest["metadata"].get("annotations")
    return counted
