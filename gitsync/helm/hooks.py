"""What Helm makes of rendered templates: hooks, objects in install order, and the text of the release's manifest."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitsync.errors import RenderError
from gitsync.helm.manifest import document, flattened, install_rank
from gitsync.helm.rendered import Hook

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

_NOTES = "NOTES.txt"
_HOOK = "helm.sh/hook"
_EVENTS = {
    event: event
    for event in (
        "pre-install",
        "post-install",
        "pre-delete",
        "post-delete",
        "pre-upgrade",
        "post-upgrade",
        "pre-rollback",
        "post-rollback",
        "test",
    )
} | {"test-success": "test"}

#: What Go's regular expressions and strings call white space; Python's notions of it are wider.
_RE2_SPACE = "\t\n\f\r "
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_SEPARATOR = re.compile(rf"(?:\A|\n)---[{_RE2_SPACE}]*")


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rendered templates, sorted out. ``manifest`` is byte for byte what Helm records."""

    manifest: str
    objects: tuple[Manifest, ...]
    hooks: tuple[Hook, ...]
    notes: str


@dataclass(frozen=True, slots=True)
class _Document:
    path: str
    text: str
    value: dict[str, Any]
    kind: str


def sort_out(chart: str, rendered: Mapping[str, str]) -> Sorted:
    """Helm's renderResources and SortManifests (pkg/action, pkg/release/v1/util) for the templates of ``chart``.

    Raises: RenderError for a template whose output is no manifest.
    """
    hooks: list[Hook] = []
    plain: list[_Document] = []
    for path, content in sorted(rendered.items(), key=lambda item: item[0].encode()):
        if path.endswith(_NOTES) or posixpath.basename(path).startswith("_"):
            continue
        for text in split(content):
            # In the manifest a line feed ends every document, and with it a block of text at its end.
            value = document(text + "\n", path)
            found = _Document(path, text, value, _string(value, "kind", path))
            annotations = _annotations(value, path)
            if _HOOK not in annotations:
                plain.append(found)
            elif (hook := _hook(found, annotations)) is not None:
                hooks.append(hook)
    hooks.sort(key=lambda hook: install_rank(hook.kind))
    plain.sort(key=lambda item: install_rank(item.kind))
    return Sorted(
        manifest="".join(f"---\n# Source: {item.path}\n{item.text}\n" for item in plain),
        objects=tuple(one for item in plain for one in flattened(item.value, item.path)),
        hooks=tuple(hooks),
        notes=rendered.get(f"{chart}/templates/{_NOTES}", ""),
    )


def split(content: str) -> Iterator[str]:
    """The documents of a rendered template, cut as Helm cuts them (SplitManifests), blank ones left out."""
    text = content.lstrip(_GO_SPACE)
    begin = 0
    for match in _SEPARATOR.finditer(text):
        yield from _piece(text[begin : match.start()].rstrip(_RE2_SPACE))
        begin = match.end()
    yield from _piece(text[begin:])


def _piece(text: str) -> Iterator[str]:
    text = text.lstrip(_GO_SPACE)
    if text:
        yield text


def _hook(found: _Document, annotations: Mapping[str, str]) -> Hook | None:
    """None for a hook with an event that Helm does not know: it drops the whole manifest."""
    events = [_EVENTS.get(event.strip(_GO_SPACE).lower()) for event in annotations[_HOOK].split(",")]
    if None in events:
        return None
    # Helm reads a hook from its own text, to which nothing was added.
    objects = list(flattened(document(found.text, found.path), found.path))
    if len(objects) != 1:
        raise RenderError(f"{found.path}: a hook must be one object, not a List", template=found.path)
    return Hook(
        name=objects[0]["metadata"]["name"],
        kind=found.kind,
        path=found.path,
        manifest=found.text,
        events=tuple(event for event in events if event is not None),
        weight=_weight(annotations.get("helm.sh/hook-weight", "")),
        delete_policies=_listed(annotations, "helm.sh/hook-delete-policy"),
        output_log_policies=_listed(annotations, "helm.sh/hook-output-log-policy"),
        object=objects[0],
    )


def _listed(annotations: Mapping[str, str], name: str) -> tuple[str, ...]:
    if name not in annotations:
        return ()
    return tuple(part.strip(_GO_SPACE).lower() for part in annotations[name].split(","))


def _weight(text: str) -> int:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else 0


def _annotations(value: Mapping[str, Any], path: str) -> dict[str, str]:
    metadata = value.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise RenderError(f"{path}: metadata is no mapping", template=path)
    annotations = metadata.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict):
        raise RenderError(f"{path}: metadata.annotations is no mapping", template=path)
    return {name: _string(annotations, name, path) for name in annotations}


def _string(value: Mapping[str, Any], field: str, path: str) -> str:
    """A field that Helm reads as a string: it takes numbers and booleans too, null as ""."""
    found = value.get(field)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, (dict, list)):
        raise RenderError(f"{path}: {field} is no string", template=path)
    return str(found)
