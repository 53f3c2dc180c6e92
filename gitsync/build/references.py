"""What a reference of a kustomization leads to, in a tree. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gitsync.build.files import KUSTOMIZATION_FILES
from gitsync.build.kustomization import Kustomization, Reference
from gitsync.build.mounts import Mounts
from gitsync.build.remote import Mount, NotFetched
from gitsync.errors import ManifestError, YamlError
from gitsync.kubeyaml import load, split
from gitsync.sops import Format, entry_format, file_format
from gitsync.text import shorten
from gitsync.tree import TreeEntry

#: What kustomize would fetch: over HTTP, or by git, of which it knows many spellings (api/internal/git, RepoSpec).
_REMOTE: Final = re.compile(
    r"\s*(?:[a-z][a-z0-9+.-]*://|git::|gh:|[^/\s]+@[^/\s:]+[:/]|(?:www\.)?(?:github|gitlab|bitbucket)\.(?:com|org)[/:])",
    re.IGNORECASE,
)
#: What kustomize asks for by HTTP before it looks for a file or takes a text for a patch.
_HTTP: Final = re.compile(r"https?:", re.IGNORECASE)
_REPOSITORY: Final = re.compile(r"\.git(?:$|[/?])|/_git/|[?&](?:ref|version|timeout|submodules)=", re.IGNORECASE)
_REMOTE_HINT: Final = (
    "commit what it holds, make it a source with a Kustomization of its own, or set allow_remote_bases"
)
_REMOTE_PLUGIN_HINT: Final = "commit what it holds: what plugins name is never fetched"
_MISSING_REMOTE_HINT: Final = "correct the path in the URL, or its ref"
_MISSING_HINT: Final = "correct the path, or commit the file"
_MAX_SHOWN: Final = 200
_PLUGINS_HINT: Final = "name the files themselves: what a kustomization makes of them cannot be looked through"
#: What a kustomization of plugins may have: it changes no path in them.
_OF_PLUGINS: Final = frozenset(
    {
        *("apiVersion", "kind", "metadata", "resources", "bases", "namespace", "namePrefix", "nameSuffix"),
        *("labels", "commonLabels", "commonAnnotations", "sortOptions", "buildMetadata"),
    }
)
_TEXT_FIELDS: Final = ("path", "env")
_LIST_FIELDS: Final = ("paths", "files", "envs")


@dataclass(frozen=True, slots=True)
class ToFile:
    """A file; ``reference`` is what names it. ``is_remote``: it was fetched."""

    entry: TreeEntry
    reference: Reference
    is_remote: bool = False


@dataclass(frozen=True, slots=True)
class ToDirectory:
    """A directory with a kustomization; ``is_remote``: it was fetched."""

    path: str
    reference: Reference
    is_remote: bool = False


@dataclass(frozen=True, slots=True)
class Inline:
    """What is written in place of a path: a patch, a plugin."""

    text: str
    reference: Reference


Target = ToFile | ToDirectory | Inline


def remote_text(reference: Reference, owner: Kustomization, files: Mounts) -> str:
    """The text of a reference if it is to be fetched; "" if it is not, and where fetching is not allowed. What is
    remote is decided as in ``target``."""
    text = reference.text
    if not files.fetches or reference.kind == "plugin":
        return ""
    if _HTTP.match(text):
        return text
    path = files.joined(owner.directory, text) if text and "\n" not in text else None
    if path is not None and files.file(path) is not None and reference.kind != "component":
        return ""
    return text if _is_remote(text) and not (reference.kind == "patch" and _is_inline(text)) else ""


def fetched_target(reference: Reference, found: Mount | NotFetched, owner: Kustomization, files: Mounts) -> Target:
    """The file or directory that a remote reference leads to, in what was fetched for it. Raises: ManifestError with
    the place of the reference."""
    shown = _shown(reference.text)
    if isinstance(found, NotFetched):
        raise fault(owner, reference, f"{shown} {found.message}", found.hint)
    entry = files.file(found.path)
    if entry is not None and reference.kind != "component":
        if entry.unreadable:
            raise fault(owner, reference, f"{shown} cannot be used: {entry.unreadable}")
        return ToFile(entry, reference, is_remote=True)
    if reference.kind in ("resource", "component") and files.is_directory(found.path):
        if not files.kustomizations(found.path):
            raise fault(owner, reference, f"the directory of {shown} has no kustomization", _MISSING_REMOTE_HINT)
        return ToDirectory(found.path, reference, is_remote=True)
    raise fault(owner, reference, f"there is no such {_wanted(reference)} in {shown}", _MISSING_REMOTE_HINT)


def target(reference: Reference, owner: Kustomization, files: Mounts) -> Target:
    """What a reference of ``owner`` leads to. Raises: ManifestError with the place of the reference."""
    text = reference.text
    if _HTTP.match(text):
        raise _remote(text, owner, reference)
    path = files.joined(owner.directory, text) if text and "\n" not in text else None
    entry = files.file(path) if path is not None else None
    if entry is not None and reference.kind != "component":
        if entry.unreadable:
            raise fault(owner, reference, f"{_shown(text)} cannot be used: {entry.unreadable}")
        return ToFile(entry, reference)
    if reference.kind in ("patch", "plugin") and _is_inline(text):
        return Inline(text, reference)
    if _is_remote(text):
        raise _remote(text, owner, reference)
    if path is None:
        raise fault(owner, reference, f"{_shown(text)} leads out of the repository" if text else "an empty path")
    if reference.kind in ("resource", "component", "plugin") and files.is_directory(path):
        return _directory(path, reference, owner, files)
    raise _missing(path, reference, owner, files)


def plugin_files(text: str, owner: Kustomization, reference: Reference, files: Mounts) -> Iterator[TreeEntry]:
    """The files that the configuration of kustomize's own plugins refers to. A path in it may be one in an object just
    as well (of a field), so what leads to no file is no error.

    Raises: ManifestError for a URL, and for what cannot be read, in which there may be one.
    """
    try:
        values = [load(document.text) for document in split(text)]
    except YamlError as error:
        message = f"line {error.line} of the plugin's configuration: {error.message}"
        raise fault(owner, reference, message, error.hint) from None
    for value in values:
        for path in _paths(value):
            if _HTTP.match(path) or _is_remote(path):
                raise _remote(path, owner, reference)
            found = files.joined(owner.directory, path)
            entry = files.file(found) if found is not None else None
            if entry is not None and not entry.unreadable:
                yield entry


def plugins_of(kustomization: Kustomization, owner: Kustomization, reference: Reference, files: Mounts) -> list[Target]:
    """The plugins of ``owner`` that are in a ``kustomization`` which it names, in ``reference``, under ``generators``,
    ``transformers`` or ``validators``: files with their configurations, and directories with more of them.

    Raises: ManifestError for a kustomization that may change these configurations, so that they cannot be looked
    through here.
    """
    if others := sorted(set(kustomization.fields) - _OF_PLUGINS):
        message = f"{_shown(kustomization.path)} makes plugins, and has {', '.join(others)}"
        raise fault(owner, reference, message, _PLUGINS_HINT)
    return [target(item, kustomization, files) for item in kustomization.references()]


def opens_as(reference: Reference) -> Format | None:
    """The format in which a file is decrypted before the build, as Flux does it; None for one that stays as it is."""
    field, name = reference.field, reference.key.removesuffix("=") or reference.text
    if field[0] == "secretGenerator":
        return file_format(name) if "files" in field else entry_format(name)
    return file_format(name) if field[0] == "patches" else None


def _is_remote(text: str) -> bool:
    """Whether kustomize would have git fetch this text, where there is no such file."""
    return "\n" not in text and bool(_REMOTE.match(text) or _REPOSITORY.search(text))


def _remote(text: str, owner: Kustomization, reference: Reference) -> ManifestError:
    message = f"{_shown(text)} is remote: nothing is fetched while a directory is built"
    return fault(owner, reference, message, _REMOTE_PLUGIN_HINT if reference.kind == "plugin" else _REMOTE_HINT)


def fault(owner: Kustomization, reference: Reference, message: str, hint: str = "") -> ManifestError:
    """An error at a reference."""
    shown = owner.shown(reference.field)
    return ManifestError(f"{shown}: {message}", origin=owner.origin(reference.field), field=shown, hint=hint)


def _directory(path: str, reference: Reference, owner: Kustomization, files: Mounts) -> ToDirectory:
    if not files.kustomizations(path):
        hint = f"a directory that is named here needs a {KUSTOMIZATION_FILES[0]}"
        raise fault(owner, reference, f"the directory {_shown(path or '.')} has no kustomization", hint)
    if not path or owner.directory == path or owner.directory.startswith(f"{path}/"):
        what = "itself" if owner.directory == path else "a directory that this one is in"
        raise fault(owner, reference, f"{_shown(reference.text)} is {what}, which would never end")
    return ToDirectory(path, reference)


def _wanted(reference: Reference) -> str:
    return {"component": "directory", "resource": "file or directory"}.get(reference.kind, "file")


def _missing(path: str, reference: Reference, owner: Kustomization, files: Mounts) -> ManifestError:
    if files.file(path) is not None:
        return fault(owner, reference, f"{_shown(path)} is a file, where a directory with a component is expected")
    if what := files.left_out_by(path):
        hint = "Flux leaves it out, too: name it in .sourceignore, or in the source's ignore, after an exclamation mark"
        return fault(owner, reference, f"{_shown(path)} is left out by {what}", hint)
    return fault(owner, reference, f"there is no {_shown(path)}", _MISSING_HINT)


def _is_inline(text: str) -> bool:
    return "\n" in text or "{" in text or ": " in text


def _paths(value: Any) -> Iterator[str]:
    """The texts of a plugin's configuration that may be paths, in whatever letters its fields are."""
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, dict):
        for key, content in value.items():
            folded = key.casefold()
            if isinstance(content, str) and folded in _TEXT_FIELDS:
                yield content
            elif isinstance(content, list) and folded in _LIST_FIELDS:
                for item in content:
                    if isinstance(item, str):
                        yield item
                        yield item.partition("=")[2] or item
            yield from _paths(content)


def _shown(text: str) -> str:
    return repr(shorten(text, _MAX_SHOWN))
