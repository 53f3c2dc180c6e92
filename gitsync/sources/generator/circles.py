"""Circles of ArtifactGenerators: those that take files, in the end, from what they make themselves. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import ObjectKey
from gitsync.api.names import EXTERNAL_ARTIFACT
from gitsync.errors import ArtifactError

#: Returns the ArtifactGenerators that may make an ExternalArtifact.
MakersOf = Callable[[ObjectKey], Iterable[ArtifactGenerator]]


def check_circle(generator: ArtifactGenerator, makers_of: MakersOf) -> None:
    """Raises: ArtifactError for a generator whose sources are made, in the end, of what it makes itself."""
    seen: set[ObjectKey] = set()

    def follow(current: ArtifactGenerator, way: tuple[ObjectKey, ...]) -> None:
        for source in current.spec.sources:
            makers = makers_of(current.source_key(source)) if source.kind == EXTERNAL_ARTIFACT else ()
            for maker in makers:
                if maker.key == generator.key:
                    names = " -> ".join(key.namespaced_name for key in (*way, maker.key))
                    raise ArtifactError(
                        f"spec.sources: they lead in a circle: {names}", hint="take one of these sources away"
                    )
                if maker.key not in seen:
                    seen.add(maker.key)
                    follow(maker, (*way, maker.key))

    follow(generator, (generator.key,))


def is_circular(generator: ArtifactGenerator, makers_of: MakersOf) -> bool:
    """Whether a generator takes files, in the end, from what it makes itself."""
    try:
        check_circle(generator, makers_of)
    except ArtifactError:
        return True
    return False
