"""What differs between two commits once their releases are rendered, without a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.charts import Rendered
from gitsync.diff import render_diff
from gitsync.errors import GitsyncError
from gitsync.manifests import Desired
from gitsync.preview.objects import Effect, ObjectPreview
from gitsync.preview.plan import Preview
from gitsync.preview.releases import Problem
from gitsync.release.desired import desired_release, ref_of
from gitsync.release.render import Renderer
from gitsync.release.revision import context_of
from gitsync.release.values.compose import compose, texts_of
from gitsync.sources.chart import ChartArtifact

#: A release's name, "" for what stands in Git itself, and an object.
Place = tuple[str, ObjectKey]
#: Whether a kind lives in namespaces, by group and kind; None when nobody knows.
Scope = Callable[[str, str], bool | None]


@dataclass
class Contents:
    """All objects of a commit, HelmReleases and what they render among them. ``unrendered`` are the releases for which
    that failed; ``problems`` say why."""

    objects: dict[Place, Manifest] = field(default_factory=dict)
    origins: dict[Place, str] = field(default_factory=dict)
    unrendered: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def comparable(self, unrendered: set[str]) -> dict[Place, Manifest]:
        """The objects but for those of releases that could not be rendered."""
        return {place: item for place, item in self.objects.items() if place[0] not in unrendered}


@dataclass
class CommitRenderer:
    """Renders what a commit wants as an install of every release would, with Helm's defaults for what a cluster would
    say. ``locate`` finds a release's chart, ``renderer`` renders it. ``namespace`` is that of objects in Git that name
    none."""

    locate: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    renderer: Renderer
    scope: Scope
    namespace: str

    async def contents(self, desired: Desired) -> Contents:
        """Everything in ``desired``. Raises: GitUnavailable."""
        found = Contents(problems=[Problem(str(error.origin), error.message, error.hint) for error in desired.errors])
        scope = _with_definitions(self.scope, desired)
        for item in desired.objects.values():
            place = _put(found, "", _placed(item.manifest, self.namespace, scope))
            found.origins[place] = str(item.origin)
        await asyncio.gather(*(self._add(release, desired, scope, found) for release in desired.helm_releases.values()))
        return found

    async def _add(self, release: HelmRelease, desired: Desired, scope: Scope, found: Contents) -> None:
        name = _name(release.key)
        try:
            rendered = await self._rendered(release, found)
        except GitsyncError as error:
            place = str(desired.objects[release.key].origin)
            found.problems.append(Problem(place, f"{release.key}: {error.message}", error.hint))
            found.unrendered.add(name)
            return
        for manifest in (*rendered.objects, *(hook.object for hook in rendered.hooks)):
            _put(found, name, _placed(manifest, ref_of(release).namespace, scope))

    async def _rendered(self, release: HelmRelease, found: Contents) -> Rendered:
        values = await asyncio.to_thread(_values, release, found)
        target = desired_release(release, await self.locate(release), values)
        ref = ref_of(release)
        return await self.renderer.render(target, context_of(ref, 1, "install"), None)


def _put(found: Contents, release: str, manifest: Manifest) -> Place:
    place = release, ObjectKey.of(manifest)
    found.objects[place] = manifest
    return place


def _placed(manifest: Manifest, namespace: str, scope: Scope) -> Manifest:
    """The object in the namespace that it would come into, as kubectl and Helm have it; as it is where its kind is not
    known."""
    metadata = manifest["metadata"]
    key = ObjectKey.of(manifest)
    match scope(key.group, key.kind):
        case True if not metadata.get("namespace"):
            return {**manifest, "metadata": {**metadata, "namespace": namespace}}
        case False if metadata.get("namespace"):
            return {**manifest, "metadata": {name: value for name, value in metadata.items() if name != "namespace"}}
    return manifest


def _with_definitions(scope: Scope, desired: Desired) -> Scope:
    """``scope``, and the kinds that the commit itself defines."""
    defined = {}
    for key, item in desired.objects.items():
        spec = item.manifest.get("spec")
        if key.kind == "CustomResourceDefinition" and isinstance(spec, dict):
            names = spec.get("names")
            kind = names.get("kind") if isinstance(names, dict) else None
            defined[spec.get("group"), kind] = spec.get("scope") == "Namespaced"

    def known(group: str, kind: str) -> bool | None:
        found = scope(group, kind)
        return defined.get((group, kind)) if found is None else found

    return known


def _name(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"


def _values(release: HelmRelease, found: Contents) -> dict[str, Any]:
    """The values as far as the commit knows them: a reference that it does not hold counts for nothing."""

    texts = texts_of(release, lambda key: found.objects.get(("", key)))
    optional = tuple(reference.model_copy(update={"optional": True}) for reference in release.spec.values_from)
    spec = release.spec.model_copy(update={"values_from": optional})
    return compose(release.model_copy(update={"spec": spec}), texts)


def difference(old: Contents, new: Contents, desired: Desired) -> Preview:
    """From ``old`` to ``new``, which is what ``desired`` comes to. Pure."""
    problems = [*new.problems]
    problems += [replace(item, hint="in the older commit") for item in old.problems if item not in new.problems]
    unrendered = old.unrendered | new.unrendered
    olds, news = old.comparable(unrendered), new.comparable(unrendered)
    objects, unchanged = [], 0
    for place in sorted({**olds, **news}):
        before, after = olds.get(place), news.get(place)
        release, key = place
        lines = tuple(render_diff(before, after, key)[1:])
        if not lines:
            unchanged += 1
            continue
        verb: Effect = "create" if before is None else "delete" if after is None else "change"
        origin = new.origins.get(place) or old.origins.get(place, "")
        objects.append(ObjectPreview(key, verb, lines, origin, release))
    return Preview(desired.commit, tuple(objects), tuple(problems), unchanged=unchanged)
