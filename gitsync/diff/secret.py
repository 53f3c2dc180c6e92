"""Secrets: compared by value, shown by marker.

A marker is a keyed hash with a key that this process draws at its start: equal values have equal markers as long as it
runs, so a change is visible, and without the key no dictionary finds a value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest
    from gitsync.diff.change import Change

_SALT: Final = secrets.token_bytes(32)
_VALUES: Final = ("data", "stringData")
#: Annotations in which tools keep the whole object that they applied last, values included.
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_COPIES: Final = frozenset(
    {LAST_APPLIED, "kapp.k14s.io/original", "objectset.rio.cattle.io/applied", "banzaicloud.com/last-applied"}
)


def is_secret(manifest: Manifest) -> bool:
    """Whether it is a Secret, of whatever group: rather one too many is masked."""
    return manifest.get("kind") == "Secret"


def is_core_secret(manifest: Manifest) -> bool:
    """Whether it is Kubernetes' own Secret, of which the API server knows what stringData is."""
    return is_secret(manifest) and manifest.get("apiVersion") == "v1"


def mask_whole(manifest: Manifest) -> Manifest:
    """The same object with a marker in place of every value that does not say which object it is: of what was encrypted
    in Git, nobody knows which of its fields were."""
    known = {name: value for name, value in manifest.items() if name in ("apiVersion", "kind")}
    metadata = manifest.get("metadata")
    shown = {name: _marked(value) for name, value in manifest.items() if name != "metadata"}
    if isinstance(metadata, dict):
        names = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
        shown["metadata"] = {**{name: _marked(value) for name, value in metadata.items()}, **names}
    return {**shown, **known}


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return None if value is None else _marker(value, decode=False)


def mask(manifest: Manifest) -> Manifest:
    """The same object with markers (``masked:3f2a91c0d1``) in place of a Secret's values, also of those in a list of
    objects and in the annotations where kubectl and others keep a copy of it. The argument is left as it is; what holds
    no Secret is returned as it is.

    The values of a HelmRelease are not masked: what they say is what a diff is read for.
    """
    kind = manifest.get("kind")
    if is_secret(manifest):
        return _masked_secret(manifest)
    items = manifest.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        # The elements of a SecretList, as the API server gives them, do not say their kind.
        one = _masked_secret if kind == "SecretList" else mask
        return manifest | {"items": [one(item) if isinstance(item, dict) else item for item in items]}
    return manifest


def folded(manifest: Manifest) -> Manifest:
    """A Secret with stringData moved into data, as the API server stores it, and data in canonical base64; so that two
    Secrets are equal when their values are.
    """
    data, strings = manifest.get("data"), manifest.get("stringData")
    together: dict[str, Any] = {}
    if isinstance(data, dict):
        together |= {name: _canonical(value) for name, value in data.items()}
    if isinstance(strings, dict):
        together |= {name: _encoded(value) for name, value in strings.items()}
    rest = {name: value for name, value in manifest.items() if name not in _VALUES}
    for name, value in (("data", data), ("stringData", strings)):
        if value is not None and not isinstance(value, dict):
            rest[name] = value  # not a Secret that the API server would take; shown as it is, masked
    return rest | ({"data": together} if together else {})


def masked(change: Change) -> Change:
    """What may be shown of a Secret's change."""
    return replace(change, before=_masked_at(change.path, change.before), after=_masked_at(change.path, change.after))


def _masked_at(path: tuple[str | int, ...], value: Any) -> Any:
    """``value`` as it may be shown, given that it stands at ``path`` in a Secret."""
    if value is None:
        return None
    if path[0] in _VALUES and len(path) > 2:
        return _marker(value, decode=False)  # below a value that is no string: not a Secret the API server would take
    for step in reversed(path):
        value = {step: value}
    shown: Any = _masked_secret(value)
    for step in path:
        shown = shown[step]
    return shown


def _masked_secret(manifest: Manifest) -> Manifest:
    shown = dict(manifest)
    for name in _VALUES:
        if (values := manifest.get(name)) is not None:
            decode = name == "data"
            shown[name] = (
                {field: _marker(value, decode=decode) for field, value in values.items()}
                if isinstance(values, dict)
                else _marker(values, decode=decode)
            )
    metadata = manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and isinstance(annotations, dict) and not _COPIES.isdisjoint(annotations):
        hidden = {name: _masked_copy(value) for name, value in annotations.items() if name in _COPIES}
        shown["metadata"] = metadata | {"annotations": annotations | hidden}
    return shown


def _masked_copy(text: Any) -> Any:
    """An annotation that holds the whole Secret as JSON; masked whole when it cannot be read."""
    try:
        copy = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return _marker(text, decode=False)
    if not isinstance(copy, dict):
        return _marker(text, decode=False)
    return json.dumps(_masked_secret(copy), separators=(",", ":"))


def _marker(value: Any, *, decode: bool) -> str:
    """``decode``: the value is base64, and its marker is that of what it stands for."""
    if not isinstance(value, str):
        value = json.dumps(value, sort_keys=True)
    raw = (_decoded(value) if decode else None) or value.encode("utf-8", "surrogatepass")
    return "masked:" + hashlib.blake2b(raw, digest_size=5, key=_SALT).hexdigest()


def _decoded(text: str) -> bytes | None:
    """Base64 as Go reads it, line breaks allowed; None when it is none."""
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def same_bytes(one: Any, other: Any) -> bool:
    """Whether both are base64, and of the same bytes."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    value = _decoded(one)
    return value is not None and value == _decoded(other)


def _canonical(value: Any) -> Any:
    raw = _decoded(value) if isinstance(value, str) else None
    return value if raw is None else base64.b64encode(raw).decode()


def _encoded(value: Any) -> Any:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode() if isinstance(value, str) else value
