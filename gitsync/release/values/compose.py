"""The values of a release: what ``valuesFrom`` names, in its order, under what is written in the release. Pure.

As Flux composes them (helm-controller, ChartValuesFromReferences): maps merge deeply, lists replace, and the values in
the release win over all, also over a targetPath. No message holds anything of what was read.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.rendering import ValuesReference
from gitsync.charts import merge_values, read_values, set_value
from gitsync.errors import ValuesError, ValuesMissing
from gitsync.text import leaves

#: What each reference of a release holds, in their order; None for what is not there.
Texts = tuple[str | None, ...]


def texts_of(release: HelmRelease, find: Callable[[ObjectKey], Manifest | None]) -> Texts:
    """What ``valuesFrom`` refers to. ``find`` gives ConfigMaps and Secrets, None for those that do not exist.

    Raises: ValuesError for a Secret that is not base64, which the API server lets nobody store.
    """
    sources = zip(release.spec.values_from, release.value_sources(), strict=True)
    return tuple(text_in(key, find(key), reference.values_key) for reference, key in sources)


def compose(release: HelmRelease, texts: Sequence[str | None]) -> dict[str, Any]:
    """The values that the release is rendered with. Blocks: YAML is parsed.

    Raises: ValuesMissing for a reference that must be there and is not; ValuesError for one that cannot be used.
    """
    inline = release.spec.values or {}
    values: dict[str, Any] = {}
    for reference, key, text in zip(release.spec.values_from, release.value_sources(), texts, strict=True):
        if text is not None:
            values = _added(values, reference, key, text, inline)
        elif not reference.optional:
            raise ValuesMissing(
                f"{_place(reference, key)} does not exist", hint="create it, or set optional: true in valuesFrom"
            )
    return merge_values(values, inline)


def secrets_in(release: HelmRelease, texts: Sequence[str | None]) -> frozenset[str]:
    """What of the values comes out of Secrets, scalar by scalar. What the HelmRelease itself shows is not among it: its
    name, or its chart's, is a user's name often enough. Blocks. Raises: ValuesError."""
    found: set[str] = set()
    for reference, text in zip(release.spec.values_from, texts, strict=True):
        if reference.kind == "Secret" and text is not None:
            found.update(leaves(text if reference.target_path else read_values(text)))
    shown = json.dumps([release.key.namespaced_name, release.manifest.get("spec")], ensure_ascii=False) if found else ""
    return frozenset(secret for secret in found if secret not in shown)


def _added(
    values: dict[str, Any], reference: ValuesReference, key: ObjectKey, text: str, inline: dict[str, Any]
) -> dict[str, Any]:
    # What the parser says may quote a secret, so it is not passed on.
    if reference.target_path is None:
        try:
            return merge_values(values, read_values(text))
        except ValuesError:
            raise ValuesError(
                f"{_place(reference, key)} holds no YAML mapping", hint="set targetPath when it is a single value"
            ) from None
    try:
        # As in Flux, a path may lead through lists and maps of the values in the release.
        return set_value(merge_values(values, inline), reference.target_path, text, literal=reference.literal)
    except ValuesError:
        raise ValuesError(
            f"{_place(reference, key)} cannot be set at targetPath {reference.target_path!r}",
            hint="the path or the value is not what helm --set takes; literal: true takes any value",
        ) from None


def _place(reference: ValuesReference, key: ObjectKey) -> str:
    return f"valuesFrom: {key.kind} '{key.namespaced_name}' key '{reference.values_key}'"


def text_in(key: ObjectKey, manifest: Manifest | None, name: str) -> str | None:
    """What a ConfigMap or Secret holds under ``name``. A Secret out of Git may have it in ``stringData``."""
    if manifest is None:
        return None
    plain = (manifest.get("stringData") or {}).get(name)
    if plain is not None:
        return str(plain)
    found = (manifest.get("data") or {}).get(name)
    if found is None or key.kind != "Secret":
        return found
    try:
        # What is no UTF-8 becomes what Go's JSON makes of it.
        return base64.b64decode(found).decode("utf-8", "replace")
    except (binascii.Error, TypeError, ValueError):
        raise ValuesError(
            f"valuesFrom: Secret '{key.namespaced_name}' key '{name}' is no base64",
            hint="write plain text under stringData, or its base64 under data",
        ) from None
