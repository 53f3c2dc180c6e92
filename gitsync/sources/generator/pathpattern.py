"""``pathPattern`` of an ArtifactGenerator: the artifacts of each directory that it means. Pure.

Read as Flux's source-watcher reads it: ``{app}`` is one name in a path; it stands for that in ``name``, ``from`` and
``to`` of the artifacts, in lower case in ``name`` and in the labels that the ExternalArtifacts get.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from gitsync.api.generator import ArtifactGenerator, ArtifactGeneratorSpec, OutputArtifact
from gitsync.errors import ArtifactError
from gitsync.sources.generator.globs import part_matches, part_of
from gitsync.sources.generator.listing import Listing

#: How many artifacts one generator makes at most: as many as its spec may name.
MAX_ARTIFACTS = 1000
_CAPTURE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,61})?[A-Za-z0-9]")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME = 253
_NO_NAME = "is no name of Kubernetes: lower case letters, digits, - and ., with a letter or digit at both ends"


@dataclass(frozen=True)
class Wanted:
    """An artifact that is to be made, and the labels that its directory gives to its ExternalArtifact."""

    artifact: OutputArtifact
    labels: Mapping[str, str] = field(default_factory=dict)


def wanted(spec: ArtifactGeneratorSpec, sources: Mapping[str, Listing]) -> list[Wanted]:
    """The artifacts of a generator that ``check_captures`` takes, by the files of its sources.

    Raises: ArtifactError for directories that give no label or name, or several the same.
    """
    if spec.path_pattern is None:
        return [Wanted(artifact) for artifact in spec.artifacts]
    alias, _, pattern = spec.path_pattern[1:].partition("/")
    found: dict[str, tuple[str, Wanted]] = {}
    for directory, captures in _directories(sources[alias], pattern):
        labels = {name: value.lower() for name, value in captures.items()}
        for value in labels.values():
            _check_label(directory, value)
        for template in spec.artifacts:
            artifact = _rendered(template, labels, captures)
            if _is_no_name(artifact.name):
                raise _error(f"the directory {directory!r} gives {artifact.name!r}, which {_NO_NAME}")
            if (other := found.get(artifact.name)) is not None:
                raise _error(f"the directories {other[0]!r} and {directory!r} both give the artifact {artifact.name!r}")
            found[artifact.name] = directory, Wanted(artifact, labels)
        if len(found) > MAX_ARTIFACTS:
            raise _error(f"more than {MAX_ARTIFACTS:,} artifacts would be made", "write a pattern of fewer directories")
    return [item for _, item in found.values()]


def may_make(generator: ArtifactGenerator, name: str) -> bool:
    """Whether a generator makes an ExternalArtifact of this name, or would if there were a directory for it."""
    names = (artifact.name for artifact in generator.spec.artifacts)
    if generator.spec.path_pattern is None:
        return name in names
    return any(part_matches(part_of(_as_glob(template)), name) for template in names)


def check_captures(spec: ArtifactGeneratorSpec) -> None:
    """Checks names and captures, before any directory is known.

    Raises: ArtifactError for the first field that is wrong.
    """
    if spec.path_pattern is None:
        for number, artifact in enumerate(spec.artifacts):
            if _is_no_name(artifact.name):
                raise ArtifactError(f"spec.artifacts[{number}].name: {artifact.name!r} {_NO_NAME}")
        return
    alias, _, pattern = spec.path_pattern[1:].partition("/")
    if alias not in {source.alias for source in spec.sources}:
        raise _error(f"there is no source with the alias {alias!r}")
    names = _captures(pattern, "spec.pathPattern")
    for name in names:
        if names.count(name) > 1:
            raise _error(f"the capture {{{name}}} is there twice")
        if _LABEL.fullmatch(name) is None:
            raise _error(f"the capture {{{name}}} cannot be a label: it has to begin and end with a letter or digit")
    for place, text in _templates(spec):
        for name in _captures(text, place):
            if name not in names:
                raise ArtifactError(f"{place}: the capture {{{name}}} is not in pathPattern")


def _templates(spec: ArtifactGeneratorSpec) -> Iterator[tuple[str, str]]:
    """The texts that may have captures, each with its field."""
    for number, artifact in enumerate(spec.artifacts):
        place = f"spec.artifacts[{number}]"
        yield f"{place}.name", artifact.name
        for index, operation in enumerate(artifact.copy_):
            yield f"{place}.copy[{index}].from", operation.source
            yield f"{place}.copy[{index}].to", operation.to


def _directories(source: Listing, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The directories that match the pattern, each with the values of its captures."""
    texts, names = re.split(r"\{[^}]*\}", pattern), _captures(pattern, "spec.pathPattern")
    groups = [f"(?P<{name}>[^/]+)" for name in names]
    matcher = re2.compile(
        "".join(f"{re2.escape(text)}{group}" for text, group in zip(texts, [*groups, ""], strict=True))
    )
    for directory in source.directories(pattern.count("/") + 1):
        match: Any = matcher.fullmatch(directory)
        if match is not None:
            yield directory, match.groupdict()


def _rendered(template: OutputArtifact, labels: Mapping[str, str], captures: Mapping[str, str]) -> OutputArtifact:
    copies = tuple(
        operation.model_copy(
            update={"source": _filled(operation.source, captures), "to": _filled(operation.to, captures)}
        )
        for operation in template.copy_
    )
    return template.model_copy(update={"name": _filled(template.name, labels), "copy_": copies})


def _filled(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{([^}]*)\}", lambda found: values[found[1]], template)


def _captures(template: str, place: str) -> list[str]:
    """The names in braces, in order. Raises: ArtifactError for empty or unclosed braces."""
    if re.fullmatch(r"(?:[^{}]|\{[^{}]*\})*+", template) is None:
        raise ArtifactError(f"{place}: a brace in {template!r} has no other one", hint="write a capture as {app}")
    names = re.findall(r"\{([^{}]*)\}", template)
    for name in names:
        if _CAPTURE.fullmatch(name) is None:
            raise ArtifactError(
                f"{place}: {{{name}}} in {template!r} is no capture", hint="use letters, digits and _, no digit first"
            )
    return names


@lru_cache(1024)
def _as_glob(template: str) -> str:
    """A name with captures as a pattern that matches all names which it may become."""
    return re.sub(r"\\\{.*?\}", "*", re.sub(r"([\\*?\[\]{])", r"\\\1", template))


def _check_label(directory: str, value: str) -> None:
    if _LABEL.fullmatch(value) is None:
        raise _error(
            f"{value!r} of the directory {directory!r} cannot be a label",
            "name directories by up to 63 letters, digits, -, _ and ., with a letter or digit at both ends",
        )


def _is_no_name(name: str) -> bool:
    return len(name) > _LONGEST_NAME or _NAME.fullmatch(name) is None


def _error(message: str, hint: str = "") -> ArtifactError:
    return ArtifactError(f"spec.pathPattern: {message}", hint=hint)
