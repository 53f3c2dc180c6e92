"""The verbs on objects. Everything here happens at once, on the event loop, so nothing comes in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox import crds, metadata, ownership, rules
from gitsync.sandbox.catalog import Catalog, Resource
from gitsync.sandbox.conforming import Conformed, with_defaults
from gitsync.sandbox.defaults import Defaults
from gitsync.sandbox.failures import (
    Cause,
    Named,
    already_exists,
    apply_conflict,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
    untyped,
)
from gitsync.sandbox.merging import merged, without
from gitsync.sandbox.ownership import Difference, Manager
from gitsync.sandbox.store import Key, Store

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


NAMESPACES: Final = "namespaces."
_RECREATED: Final = "deleted and then recreated"
CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


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
class Written:
    """What came of a write; ``warnings`` are for the Warning headers."""

    manifest: Manifest
    created: bool
    warnings: list[str]


Change = Callable[["Manifest"], "Manifest"]
_Owners = Callable[["Manifest | None", "Manifest"], list[Manager]]


class Api:
    """The objects of a store, as kinds of a catalog."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self.store = store
        self.catalog = catalog
        self._defaults = Defaults()

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
        warnings = self._fit(target, manifest, options)
        return self._create(target, warnings.manifest, options, self._updated(target, options), warnings.warnings)

    def update(self, target: Target, change: Change, options: Options) -> Written:
        """Put what ``change`` makes of an object in its place."""
        before = self.get(target)
        manifest = change(before)
        metadata.check_identity(manifest, target.namespace, target.name)
        what = target.resource.named(target.name)
        metadata.check_versions(manifest, before, what)
        given = manifest["metadata"].get("managedFields")
        fitted = self._fit(target, manifest, options)
        owners = self._updated(target, options)
        if given is not None and given != before["metadata"].get("managedFields"):
            before = {**before, "metadata": {**before["metadata"], "managedFields": given}}
        return self._replace(target, before, fitted.manifest, options, owners, fitted.warnings)

    def apply(self, target: Target, applied: Manifest, options: Options) -> Written:
        """Server-side apply."""
        resource = target.resource
        if not options.manager:
            cause = Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
            raise invalid(Named("meta.k8s.io", "", "PatchOptions", ""), [cause])
        if applied["metadata"].get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        metadata.check_identity(applied, target.namespace, target.name)
        conformed = Conformed(applied, resource.type, all_said=True)
        wrong = [f"{path}: {text}" for path, text in conformed.wrong]
        wrong += [f"{path}: field not declared in schema" for path in conformed.unknown]
        if wrong:
            place = f"{applied['metadata'].get('namespace', '')}/{target.name}"
            where = f"{place}; {resource.group}/{resource.version}, Kind={resource.kind}"
            raise untyped(where, wrong[0])
        wanted = self._only(conformed.manifest, target)
        fields = frozenset(ownership.leaves(wanted, resource.type))
        writer = Manager(options.manager, "Apply", resource.api_version, fields, metadata.now(), target.subresource)
        stored = self.store.get(target.key)
        if stored is None:
            if target.subresource:
                raise not_found(resource.named(target.name))
            return self._create(target, self._copy(wanted, resource), options, lambda _before, _after: [writer], [])
        before = in_version(stored, resource)
        found = ownership.managers(before)
        others = frozenset().union(*(each.fields for each in found if not each.same(writer)))
        last = frozenset().union(*(each.fields for each in found if each.same(writer)))
        after = without(merged(before, wanted, resource.type), resource.type, last - fields - others, fields | others)
        difference = Difference.between(before, after, resource.type)
        _check_conflicts(found, writer, difference, options)
        metadata.check_versions(wanted, before, resource.named(target.name))
        owners = ownership.after_apply(found, writer, difference)
        return self._replace(target, before, self._copy(after, resource), options, lambda _before, _after: owners, [])

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
        if target.key.collection == CRDS and crds.CLEANUP not in finalizers:
            return self.store.put(target.key, crds.terminating(before, finalizers, metadata.now()))
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

    def _fit(self, target: Target, manifest: Manifest, options: Options) -> Written:
        """``manifest`` as its kind has it, and warnings of what was left out."""
        conformed = Conformed(manifest, target.resource.type)
        if conformed.wrong and not target.resource.custom:
            path, text = conformed.wrong[0]
            kind, version = target.resource.kind, target.resource.version
            raise bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: {path.lstrip(".")}: {text}'
            )
        unknown = [f'unknown field "{path.lstrip(".")}"' for path in sorted(conformed.unknown)]
        if unknown and options.validation == "Strict":
            kind, version = target.resource.kind, target.resource.version
            said = f"strict decoding error: {', '.join(unknown)}"
            raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {said}')
        return Written(conformed.manifest, False, unknown if options.validation == "Warn" else [])

    def _updated(self, target: Target, options: Options) -> _Owners:
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

    def _only(self, applied: Manifest, target: Target) -> Manifest:
        """The part of what is applied that this endpoint takes."""
        if target.subresource:
            return {
                name: value for name, value in applied.items() if name in ("apiVersion", "kind", "metadata", "status")
            }
        if not target.resource.has_status:
            return applied
        return {name: value for name, value in applied.items() if name != "status"}

    def _create(
        self, target: Target, manifest: Manifest, options: Options, owners: _Owners, warnings: list[str]
    ) -> Written:
        resource = target.resource
        self._check_namespace(target, manifest)
        if resource.has_status:
            manifest.pop("status", None)
            manifest |= {} if resource.custom else {"status": {}}
        metadata.fresh(manifest, target.namespace, resource.named(""))
        name = manifest["metadata"]["name"]
        key = Key(resource.collection, target.namespace, name)
        if self.store.get(key) is not None:
            raise already_exists(resource.named(name))
        self._fill_in(manifest, resource)
        self._check(manifest, None, resource)
        if resource.counts_generations:
            manifest["metadata"]["generation"] = 1
        ownership.write(manifest, owners(None, manifest))
        return Written(manifest if options.dry_run else self.store.put(key, manifest), True, warnings)

    def _replace(
        self,
        target: Target,
        before: Manifest,
        manifest: Manifest,
        options: Options,
        owners: _Owners,
        warnings: list[str],
    ) -> Written:
        resource, what = target.resource, target.resource.named(target.name)
        if target.subresource:
            manifest = {**before, "metadata": dict(before["metadata"]), "status": manifest.get("status", {})}
        elif resource.has_status:
            manifest.pop("status", None)
            manifest |= {"status": before["status"]} if "status" in before else {}
        metadata.carried_over(manifest, before)
        metadata.check_finalizers(manifest, before, what)
        self._fill_in(manifest, resource)
        self._check(manifest, before, resource)
        if resource.counts_generations and _counted(manifest, resource) != _counted(before, resource):
            manifest["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
        ownership.write(manifest, owners(before, manifest))
        stored = self.store.get(target.key)
        assert stored is not None
        manifest["apiVersion"] = stored["apiVersion"]
        if options.dry_run or manifest == stored:
            return Written(in_version(manifest, resource), False, warnings)
        if is_gone(manifest):
            self.store.remove(target.key, manifest)
        else:
            self.store.put(target.key, manifest)
        return Written(in_version(manifest, resource), False, warnings)

    def _fill_in(self, manifest: Manifest, resource: Resource) -> None:
        if resource.custom:
            with_defaults(manifest, resource.type)
        else:
            self._defaults.fill_in(manifest, resource.group)

    def _check(self, manifest: Manifest, before: Manifest | None, resource: Resource) -> None:
        causes = list(rules.broken(manifest, before, resource))
        if resource.custom:
            from gitsync.sandbox.customs import complaints

            causes += complaints(manifest, resource)
        if causes:
            raise invalid(resource.named(manifest["metadata"]["name"]), causes)

    def _check_namespace(self, target: Target, manifest: Manifest) -> None:
        if not target.resource.namespaced:
            return
        found = self.store.get(Key(NAMESPACES, "", target.namespace))
        if found is None:
            raise not_found(self.catalog.of_collection(NAMESPACES).named(target.namespace))
        if "deletionTimestamp" in found["metadata"]:
            said = f"namespace {target.namespace} is being terminated"
            causes = [Cause("NamespaceTerminating", "metadata.namespace", said)]
            why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            raise forbidden(target.resource.named(manifest["metadata"].get("name", "")), why, causes)

    @staticmethod
    def _copy(manifest: Manifest, resource: Resource) -> Manifest:
        return Conformed(manifest, resource.type).manifest


def _endpoint(target: Target) -> tuple[bool, bool]:
    """Whether an endpoint writes the status, and whether it writes the rest."""
    return bool(target.subresource) or not target.resource.has_status, not target.subresource


def in_version(manifest: Manifest, resource: Resource) -> Manifest:
    """An object as this version of its kind shows it. Fields are not converted."""
    if manifest["apiVersion"] == resource.api_version:
        return manifest
    return {**manifest, "apiVersion": resource.api_version}


def is_gone(manifest: Manifest) -> bool:
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


def _check_conflicts(found: list[Manager], writer: Manager, difference: Difference, options: Options) -> None:
    clashes = [] if options.force else ownership.conflicts(found, writer, difference)
    if clashes:
        causes = [Cause("FieldManagerConflict", ownership.shown(path), each.said()) for each, path in clashes]
        raise apply_conflict(causes)
