"""ArtifactGenerators of a cluster: their artifacts are kept current, as trees, and published as ExternalArtifacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from gitsync.api.conditions import Said
from gitsync.api.generator import ArtifactGenerator, ArtifactGeneratorStatus, MadeArtifact
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_suspended
from gitsync.api.names import (
    ACCESS_DENIED,
    ARTIFACT_GENERATOR,
    BUILD_FAILED,
    EXTERNAL_ARTIFACT,
    FALSE,
    READY,
    SOURCE_GROUP,
    SUCCEEDED,
    TRUE,
)
from gitsync.errors import (
    ArtifactError,
    ArtifactPending,
    CrossNamespaceRefused,
    FieldErrors,
    GitsyncError,
    SourceNotReady,
)
from gitsync.runtime.event import Event
from gitsync.sources.generator.circles import check_circle, is_circular
from gitsync.sources.generator.externalartifacts import ExternalArtifacts
from gitsync.sources.generator.generating import Generated, Making, generated, identity
from gitsync.sources.generator.pathpattern import may_make
from gitsync.sources.kinds.reconciler import Outcome, SourceReconciler, Words
from gitsync.sources.resolve.commitsources import not_ready
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.text import counted

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)

#: Flux's reason when a source could not be read.
_SOURCE_FETCH_FAILED = "SourceFetchFailed"
#: How many artifacts that others make a condition names.
_SHOWN = 5
#: The revision of an ExternalArtifact that has yet to be made of new revisions of its sources: it equals no other.
PENDING = "what its sources have now"


@dataclass(slots=True)
class _State:
    """The state of one generator: what it ``made`` last, by the spec of which generation; the ``error`` of the last
    try; ``told``, by artifact, what its users were last told of. ``asked`` are artifacts that somebody wants to use."""

    generation: int = 0
    made: Generated | None = None
    error: GitsyncError | None = None
    tried: tuple[str, ...] = ()
    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ArtifactGenerators(SourceReconciler[ArtifactGenerator]):
    """See SourceReconciler. ``on_change`` is called with each ExternalArtifact that has changed, ``on_settled`` with
    those that are still the same at a new revision of a source. ``making`` has the means; ``revision_of`` and
    ``is_coming`` ask about sources.
    """

    status = ArtifactGeneratorStatus
    words = Words("artifacts cannot be made", "artifacts can be made again", "artifacts made")

    def __init__(
        self,
        cluster: Cluster,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
        on_settled: Callable[[ObjectKey], None],
        making: Making,
        revision_of: Callable[[ObjectKey], str],
        is_coming: Callable[[ObjectKey], bool],
        *,
        is_shared: Callable[[], bool],
    ) -> None:
        super().__init__(cluster, watch, events, on_change)
        self._on_settled = on_settled
        self._making = making
        self._revision_of = revision_of
        self._is_coming = is_coming
        self._is_shared = is_shared
        #: Has a generator reconciled again.
        self.wake: Callable[[ObjectKey], None] = lambda key: None
        self._published = ExternalArtifacts(cluster)
        self._states: dict[ObjectKey, _State] = {}

    def using(self, concerns: Callable[[ObjectKey], bool]) -> Iterator[ObjectKey]:
        """The generators that use one of the sources for which ``concerns`` says so."""
        for key, manifest in self._watch.items():
            generator = _typed(manifest)
            if generator is not None and any(concerns(generator.source_key(it)) for it in generator.spec.sources):
                yield key

    async def tree_of(self, artifact: ObjectKey) -> TreeArtifact:
        """See TreesOfKind; made anew when a source has another revision than it was made of."""
        why: SourceNotReady | None = None
        for generator in self._makers(artifact):
            try:
                return await self._current(generator, artifact)
            except SourceNotReady as error:
                why = why or error
        raise why or unmade(artifact)

    async def awaited(self, artifact: ObjectKey) -> TreeArtifact:
        """As ``tree_of``, but raises ArtifactPending while a source has yet to be read, as after a start.

        Raises: SourceNotReady, ArtifactPending.
        """
        for generator in self._makers(artifact):
            state = self._states.setdefault(generator.key, _State())
            state.asked.add(artifact.name)
            if state.made is None and self._waits(generator):
                raise ArtifactPending(f"{artifact.kind} '{artifact.namespaced_name}' is yet to be made")
        return await self.tree_of(artifact)

    def revision_of(self, artifact: ObjectKey) -> str:
        """See TreesOfKind. PENDING as long as it has yet to be made of the sources' present revisions."""
        why: SourceNotReady | None = None
        for generator in self._makers(artifact):
            try:
                return self._revision(generator, artifact)
            except SourceNotReady as error:
                why = why or error
        raise why or unmade(artifact)

    def _makers(self, artifact: ObjectKey) -> list[ArtifactGenerator]:
        return makers_of(artifact, (_typed(manifest) for _, manifest in sorted(self._watch.items())))

    def _revision(self, generator: ArtifactGenerator, artifact: ObjectKey) -> str:
        state = self._states.setdefault(generator.key, _State())
        state.asked.add(artifact.name)
        # A disabled generator only makes artifacts that somebody wants to use.
        is_due = state.error is None and not _is_disabled(generator)
        if state.made is None and (is_due or self._waits(generator)):
            raise ArtifactPending(f"{artifact.kind} '{artifact.namespaced_name}' is yet to be made")
        if self._is_stale(generator, state):
            return PENDING
        return self._made(state, artifact).revision

    def _made(self, state: _State, artifact: ObjectKey) -> TreeArtifact:
        """An artifact that a generator has made. Raises: SourceNotReady."""
        if state.made is not None and artifact.name in state.made.artifacts:
            return state.made.artifacts[artifact.name]
        if state.error is not None:
            raise not_ready(artifact, state.error.message, state.error.hint)
        raise unmade(artifact)

    def _is_stale(self, generator: ArtifactGenerator, state: _State) -> bool:
        if _is_disabled(generator) and state.made is not None:
            return False
        if state.generation != generator.metadata.generation:
            return True
        now = self._present(generator)
        return all(now) and now != state.tried

    def _waits(self, generator: ArtifactGenerator) -> bool:
        """Whether a source has yet to be read, as after a start: then that will wake the generator."""
        return any(self._is_coming(source) for source in self._inputs(generator))

    def _present(self, generator: ArtifactGenerator) -> tuple[str, ...]:
        return tuple(self._revision_of(source) for source in self._inputs(generator))

    def _inputs(self, generator: ArtifactGenerator) -> list[ObjectKey]:
        """Its sources; none if it is made of its own artifacts, which is an error when they are made."""
        if is_circular(generator, self._makers):
            return []
        return [generator.source_key(it) for it in generator.spec.sources]

    async def _current(self, generator: ArtifactGenerator, artifact: ObjectKey) -> TreeArtifact:
        """An artifact made of the sources' present revisions; the one made before if that fails.

        Raises: SourceNotReady when there is neither.
        """
        state = self._states.setdefault(generator.key, _State())
        state.asked.add(artifact.name)
        if self._is_stale(generator, state) or (state.made is None and state.error is None):
            with suppress(GitsyncError):  # the error is in the state
                await self._make(generator, state)
        return self._made(state, artifact)

    async def _make(self, generator: ArtifactGenerator, state: _State) -> Generated:
        async with state.lock:
            tried = self._present(generator)
            try:
                check_circle(generator, self._makers)
                state.made = await generated(generator, self._making, state.made, is_shared=self._is_shared())
            except GitsyncError as error:
                state.error = error
                raise
            else:
                state.error, tried = None, state.made.revisions
            finally:
                state.generation, state.tried = generator.metadata.generation, tried
            return state.made

    def _parse(self, manifest: Manifest) -> ArtifactGenerator:
        return ArtifactGenerator.parse(manifest)

    async def _fetch(self, key: ObjectKey, source: ArtifactGenerator) -> Outcome | None:
        if self._waits(source):
            return None
        state = self._states.setdefault(key, _State())
        if _is_disabled(source):
            for name in state.asked if state.made is None else ():  # of a disabled one: what somebody waits for
                self._on_change(source.artifact_key(name))
            return None
        try:
            made = await self._make(source, state)
        except GitsyncError:
            self._tell(source, state)
            raise
        self._tell(source, state)
        others = self._made_by_others(source, made)
        own = {name: it for name, it in made.artifacts.items() if name not in others}
        self._hand_on(source.key, await self._published.publish(source, made, own))
        message = f"reconciliation succeeded, generated {len(own)} artifact(s)"
        for name, other in list(others.items())[:_SHOWN]:
            message += f"; {name} is made by {ARTIFACT_GENERATOR} '{other.namespaced_name}'"
        line = {"artifacts": counted(len(own), "artifact")}
        return Outcome(message, line=line, fields={"inventory": _inventory(source, own)})

    def _made_by_others(self, generator: ArtifactGenerator, made: Generated) -> dict[str, ObjectKey]:
        """Artifacts of a generator that an earlier generator makes, too, and so owns; with that generator."""
        others: dict[str, ObjectKey] = {}
        for name in made.artifacts:
            for maker in self._makers(generator.artifact_key(name)):
                if maker.key == generator.key:
                    break
                state = self._states.get(maker.key)
                if maker.spec.path_pattern is None or (state and state.made and name in state.made.artifacts):
                    others[name] = maker.key
                    break
        return others

    def _hand_on(self, generator: ObjectKey, names: Iterable[str]) -> None:
        """A generator no longer makes these artifacts: wake others that would."""
        artifacts = [ObjectKey(SOURCE_GROUP, EXTERNAL_ARTIFACT, generator.namespace, name) for name in names]
        for key in {maker.key for artifact in artifacts for maker in self._makers(artifact)} - {generator}:
            self.wake(key)

    def _tell(self, generator: ArtifactGenerator, state: _State) -> None:
        """Tell the users of each artifact that has changed, or cannot be had for another reason than before; and those
        that wait for the users of one that is unchanged."""
        made = state.made.artifacts if state.made is not None else {}
        why = state.error.message if state.error is not None else ""
        named = {it.name for it in generator.spec.artifacts if generator.spec.path_pattern is None}
        names = named or {*made, *state.asked}
        now = {name: identity(made[name]) if name in made else (why, "") for name in names}
        before, state.told = state.told, now
        for name in before.keys() | now.keys():
            key = generator.artifact_key(name)
            if before.get(name) != now.get(name):
                self._on_change(key)
            else:
                self._on_settled(key)

    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        if isinstance(error, CrossNamespaceRefused):
            return ACCESS_DENIED
        return BUILD_FAILED if isinstance(error, ArtifactError) else _SOURCE_FETCH_FAILED

    def _passes(self, error: GitsyncError) -> bool:
        """See SourceReconciler. False for errors of its sources, which wake it, and of its own spec."""
        return not isinstance(error, CrossNamespaceRefused | ArtifactError)

    def _gone(self, key: ObjectKey) -> None:
        state = self._states.pop(key, None)
        told = list(state.told) if state is not None else []
        for name in told:
            self._on_change(ObjectKey(SOURCE_GROUP, EXTERNAL_ARTIFACT, key.namespace, name))
        self._hand_on(key, told)

    async def _ready(self, key: ObjectKey, manifest: Manifest, outcome: Outcome) -> None:
        old = ArtifactGeneratorStatus.read(manifest.get("status"))
        if outcome.fields["inventory"] != old.inventory:
            log.info(self.words.found, repository=key, kind=key.kind, **outcome.line)
            self._events.record(manifest, Event("Normal", "NewArtifact", outcome.message))
        await self._say(key, manifest, [(READY, TRUE, SUCCEEDED, outcome.message)], **outcome.fields)

    async def _failed(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        self._complain(key, manifest, reason, error)
        said: list[Said] = [(READY, FALSE, reason, error.message)]
        await self._say(key, manifest, said)


def makers_of(artifact: ObjectKey, generators: Iterable[ArtifactGenerator | None]) -> list[ArtifactGenerator]:
    """The generators that may make an ExternalArtifact: the first that names it, or else all that would make it if
    there were a directory of that name."""
    found = [
        it
        for it in generators
        if it is not None and it.metadata.namespace == artifact.namespace and may_make(it, artifact.name)
    ]
    return [it for it in found if it.spec.path_pattern is None][:1] or found


def unmade(artifact: ObjectKey) -> SourceNotReady:
    """The error for an ExternalArtifact that no generator makes."""
    return SourceNotReady(
        f"{artifact.kind} '{artifact.namespaced_name}' is made by no {ARTIFACT_GENERATOR} of its namespace",
        hint="add it to the artifacts of one, or its directory to those of a pathPattern, or correct sourceRef; "
        "what other programs make is not read",
    )


def _typed(manifest: Manifest) -> ArtifactGenerator | None:
    try:
        return ArtifactGenerator.parse(manifest)
    except FieldErrors:
        return None


def _is_disabled(generator: ArtifactGenerator) -> bool:
    return is_suspended(generator.manifest)


def _inventory(generator: ArtifactGenerator, artifacts: Mapping[str, TreeArtifact]) -> tuple[MadeArtifact, ...]:
    namespace = generator.metadata.namespace
    return tuple(
        MadeArtifact(name=name, namespace=namespace, digest=it.tree.revision.rpartition("@")[2])
        for name, it in artifacts.items()
    )
