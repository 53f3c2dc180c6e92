"""Every HelmRelease of the cluster, typed, with the graph of what waits for what. State only; no I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gitsync.api.conditions import is_ready
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    COMMIT_AUTHOR_ANNOTATION,
    COMMIT_SUBJECT_ANNOTATION,
    DEPENDS_ON_ORIGIN_ANNOTATION,
)
from gitsync.apply.wait import version
from gitsync.errors import BlockedError, DependencyCycle, DependencyMissing, DependencyNotReady, FieldErrors
from gitsync.graph import Edge, Graph, Held
from gitsync.release.dependencies.release_owners import ReleaseOwners

Listener = Callable[[ObjectKey, Manifest | None, Manifest | None], None]
#: What a release depends on, with its readyExpr about it ("" without).
Need = tuple[ObjectKey, str]


class ReleaseIndex:
    """What the watch of HelmReleases says, plus this agent's own writes that it has yet to say. ``namespace`` is the
    only one that is watched, "" for all.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace
        #: Which of them are about the same Helm release.
        self.owners = ReleaseOwners()
        self._manifests: dict[ObjectKey, Manifest] = {}
        self._releases: dict[ObjectKey, HelmRelease | FieldErrors] = {}
        self._needs: dict[ObjectKey, tuple[Need, ...]] = {}
        # By key, the uid that is gone: an answer to our own write may come in after the watch has said so.
        self._gone: dict[ObjectKey, str] = {}
        # By sync that is under way, the HelmReleases that it has yet to apply.
        self._expected: list[set[ObjectKey]] = []
        self._nothing_expected = asyncio.Event()
        self._nothing_expected.set()
        self._graph: tuple[Graph[ObjectKey], dict[ObjectKey, Held[ObjectKey]]] | None = None
        self._listeners: list[Listener] = []
        self._blamed: dict[ObjectKey, CommitInfo] = {}
        # By release, then dependency and expression, the answer.
        self._answers: dict[ObjectKey, dict[tuple[ObjectKey, str], _Answer]] = {}

    def set_answer(self, key: ObjectKey, dependency: Manifest, expression: str, why_not: str) -> None:
        """Note the answer to one of ``key``'s readyExprs about ``dependency`` as it was then; it stands until the next.

        ``why_not`` says why it holds ``key`` back, "" when it does not.
        """
        about, answer = (ObjectKey.of(dependency), expression), _Answer(why_not, version(dependency))
        before, manifest = self._answers.get(key, {}), self._manifests.get(key)
        if manifest is not None and before.get(about) != answer:
            asked = self._dependencies(key)
            self._answers[key] = {item: found for item, found in before.items() if item in asked} | {about: answer}
            self._tell(key, manifest, manifest)

    def answered(self, key: ObjectKey, dependency: ObjectKey) -> bool:
        """Whether ``key`` is held back by its readyExprs about ``dependency``, and that as it is now."""
        present = version(self._manifests[dependency]) if dependency in self._manifests else 0
        answers = [self._answer(key, *item) for item in self._dependencies(key) if item[0] == dependency]
        return any(found.why_not and found.version >= present > 0 for found in answers)

    def _answer(self, key: ObjectKey, dependency: ObjectKey, expression: str) -> _Answer:
        return self._answers.get(key, {}).get((dependency, expression)) or _UNANSWERED

    def removed_by(self, key: ObjectKey, commit: CommitInfo) -> None:
        """``commit`` is about to remove a release: what happens to it from now on is its doing."""
        self._blamed[key] = commit

    def commit_of(self, key: ObjectKey) -> CommitInfo | None:
        """The commit behind a release's present state: the one that removes it, else the one that last changed it."""
        manifest = self._manifests.get(key)
        return self._blamed.get(key) or (commit_of(manifest) if manifest else None)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener(key, before, after)`` called for every change, None standing for "not there". Ends with the
        function returned."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(list(self._manifests))

    def __len__(self) -> int:
        return len(self._manifests)

    def update(self, key: ObjectKey, manifest: Manifest) -> None:
        """Take a state of an object in, unless it or a newer one is known."""
        before = self._manifests.get(key)
        if before is not None and version(before) >= version(manifest):
            return
        uid = manifest["metadata"].get("uid")
        if before is None and uid and self._gone.get(key) == uid:
            return
        self._manifests[key] = manifest
        self._releases[key] = release = _parse(manifest)
        self.owners.update(key, release if isinstance(release, HelmRelease) else None)
        needs = _needs(release)
        if before is None or needs != self._needs[key]:
            self._graph = None
        self._needs[key] = needs
        self._tell(key, before, manifest)

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        before = self._manifests.pop(key, None)
        self._releases.pop(key, None)
        self._needs.pop(key, None)
        self.owners.update(key, None)
        self._blamed.pop(key, None)
        self._answers.pop(key, None)
        self._graph = None
        if before is not None:
            self._gone[key] = before["metadata"].get("uid", "")
            self._tell(key, before, None)

    def _tell(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        for listener in list(self._listeners):
            listener(key, before, after)

    @contextmanager
    def expecting(self, keys: Iterable[ObjectKey]) -> Iterator[Callable[[ObjectKey], None]]:
        """A sync is about to apply these: while they are on their way, who depends on one that is not there yet waits
        for it, and is not told that it does not exist. Yields what is to be called for each that has been dealt with.
        """
        expected = set(keys)
        self._expected.append(expected)
        self._update_expected()

        def arrived(key: ObjectKey) -> None:
            expected.discard(key)
            self._update_expected()

        try:
            yield arrived
        finally:
            self._expected = [other for other in self._expected if other is not expected]
            for key in expected - self._manifests.keys():
                self._tell(key, None, None)
            self._update_expected()

    def _update_expected(self) -> None:
        if any(self._expected):
            self._nothing_expected.clear()
        else:
            self._nothing_expected.set()

    async def commits_applied(self) -> None:
        """Return when no sync is about to apply a HelmRelease: what is known here is what the commits say."""
        await self._nothing_expected.wait()

    def expects(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release."""
        return any(key in expected for expected in self._expected)

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """The object as JSON, None when there is none."""
        return self._manifests.get(key)

    def get(self, key: ObjectKey) -> HelmRelease | None:
        """The object, typed; None when there is none.

        Raises: FieldErrors when it cannot be read (somebody's CRD lets more through than ours).
        """
        found = self._releases.get(key)
        if isinstance(found, FieldErrors):
            raise found
        return found

    def releases(self) -> list[HelmRelease]:
        """Every one that can be read, typed."""
        return [release for release in self._releases.values() if isinstance(release, HelmRelease)]

    @property
    def graph(self) -> Graph[ObjectKey]:
        """The graph over all of them."""
        return self._structure()[0]

    @property
    def held(self) -> dict[ObjectKey, Held[ObjectKey]]:
        """Releases in or behind a cycle."""
        return self._structure()[1]

    def cycle_of(self, key: ObjectKey) -> BlockedError | None:
        """The dependency cycle that a release is a member of; None when it is not, though it may be behind one."""
        held = self.held.get(key)
        return _cycle_error(held) if held is not None and held.via is None else None

    def _structure(self) -> tuple[Graph[ObjectKey], dict[ObjectKey, Held[ObjectKey]]]:
        """The graph, and the releases in or behind a cycle; made anew when a dependsOn changed or a release came or
        went."""
        if self._graph is None:
            edges = []
            # Sorted, so that a cycle has the same name whoever of its members came first.
            keys = sorted(self._releases)
            for key in keys:
                release = self._releases[key]
                if isinstance(release, HelmRelease):
                    origins = _edge_origins(release)
                    edges += [
                        Edge(key, dependency, origins.get(number))
                        for number, (dependency, _) in enumerate(release.dependencies())
                    ]
            graph = Graph(keys, edges)
            self._graph = graph, graph.held()
        return self._graph

    def blocked(self, key: ObjectKey) -> Blocked | None:
        """What holds ``key`` back: a cycle, or dependencies that are missing or not ready; None when nothing does.

        A dependency that is ready counts only when its own dependencies are: if a commit changes a and c, and c depends
        on b, which depends on a, then c waits for a although b is ready all the time. A dependency with a readyExpr is
        ready when that says so, at whatever commit, and nothing beyond it counts.
        """
        if (held := self.held.get(key)) is not None:
            return Blocked(_cycle_error(held), frozenset(held.cycle.members))
        missing, unready = self._unready(key)
        if not missing and not unready:
            return None
        texts = [f"dependency '{_short(item)}' {self._why_missing(item)}" for item in missing]
        texts += [f"dependency '{_short(item)}' is not ready{more}" for item, more in unready.items()]
        error = (DependencyMissing if missing else DependencyNotReady)("; ".join(texts))
        return Blocked(error, frozenset({*missing, *unready}))

    def _why_missing(self, key: ObjectKey) -> str:
        if self._namespace in ("", key.namespace):
            return "does not exist"
        return f"cannot be seen: only HelmReleases of namespace '{self._namespace}' are (watch_namespace)"

    def dependents_being_deleted(self, key: ObjectKey) -> frozenset[ObjectKey]:
        """The releases that depend on ``key`` and are being deleted as well: they go first. Those in a cycle with it
        do not count, or none could ever go."""
        if key in self.held:
            return frozenset()
        dependents = self.graph.dependents(key) if key in self._manifests else []
        return frozenset(item for item in dependents if "deletionTimestamp" in self._manifests[item]["metadata"])

    def _unready(self, key: ObjectKey) -> tuple[list[ObjectKey], dict[ObjectKey, str]]:
        """Missing dependencies, and unready ones with what there is to add: the ready one that leads there, or what the
        expression says."""
        missing: list[ObjectKey] = []
        unready: dict[ObjectKey, str] = {}
        seen: set[tuple[ObjectKey, str]] = set()
        open_ends = deque((item, expression, "") for item, expression in self._dependencies(key))
        while open_ends:
            item, expression, via = open_ends.popleft()
            if (item, expression) in seen:
                continue  # layers of releases lead to each other by very many ways
            seen.add((item, expression))
            manifest = self._manifests.get(item)
            if manifest is None:
                if self.expects(item):
                    unready[item] = via
                elif not via and item not in missing:
                    missing.append(item)
            elif expression:
                if why_not := self._answer(key, item, expression).why_not:
                    unready[item] = f": {why_not}"
            elif not is_current(manifest):
                unready.setdefault(item, via)
            else:
                via = via or f" (through '{_short(item)}')"
                open_ends += [(found, "", via) for found, other in self._dependencies(item) if not other]
        return missing, unready

    def _dependencies(self, key: ObjectKey) -> tuple[Need, ...]:
        return self._needs.get(key, ())


class _Answer(NamedTuple):
    """Why a readyExpr holds its release back ("": it does not), and of which version of the dependency that is said."""

    why_not: str
    version: int = 0


_UNANSWERED = _Answer("its readyExpr was not evaluated yet")


class Blocked:
    """Why a release has to wait: the ``error`` says it, ``on`` are the releases whose change may end it."""

    def __init__(self, error: BlockedError, on: frozenset[ObjectKey]) -> None:
        self.error = error
        self.on = on


def is_current(manifest: Manifest) -> bool:
    """Ready, at its present generation, and at the commit that last changed it.

    The commit counts because a chart in the repository changes without a change of the HelmRelease.
    """
    if not is_ready(manifest) or "deletionTimestamp" in manifest["metadata"]:
        return False
    stamp = (manifest["metadata"].get("annotations") or {}).get(COMMIT_ANNOTATION)
    handled = (manifest.get("status") or {}).get("lastHandledCommit")
    return not stamp or not handled or stamp == handled


def commit_of(manifest: Manifest) -> CommitInfo | None:
    """The commit that last changed an object, from the stamp that sync left on it."""
    annotations = manifest["metadata"].get("annotations") or {}
    if COMMIT_ANNOTATION not in annotations:
        return None
    return CommitInfo(
        id=annotations[COMMIT_ANNOTATION],
        author=annotations.get(COMMIT_AUTHOR_ANNOTATION, ""),
        subject=annotations.get(COMMIT_SUBJECT_ANNOTATION, ""),
    )


def _parse(manifest: Manifest) -> HelmRelease | FieldErrors:
    try:
        return HelmRelease.parse(manifest)
    except FieldErrors as error:
        return error


def _needs(release: HelmRelease | FieldErrors) -> tuple[Need, ...]:
    if not isinstance(release, HelmRelease):
        return ()
    own = release.metadata.namespace
    return tuple((item.key(own), item.ready_expr) for item in release.spec.depends_on)


def _edge_origins(release: HelmRelease) -> dict[int, Origin]:
    """Where each dependsOn entry is written: ``path:line`` lines, in the entries' order, as sync stamped them."""
    text = release.metadata.annotations.get(DEPENDS_ON_ORIGIN_ANNOTATION, "")
    origins = {}
    for number, place in enumerate(text.splitlines()):
        path, _, line = place.rpartition(":")
        if path and line.isdigit():
            origins[number] = Origin(path, int(line))
    return origins


def _short(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"


def _cycle_error(held: Held[ObjectKey]) -> BlockedError:
    if held.via is None:
        return DependencyCycle(
            f"dependency cycle: {held.cycle} ({held.cycle.explain()})",
            hint="remove one of these dependsOn entries",
        )
    return DependencyNotReady(
        f"dependency '{_short(held.via)}' is not ready: it is held by the dependency cycle {held.cycle}"
    )
