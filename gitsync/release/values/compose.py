"""The values of a release: those from ``valuesFrom``, in its order, overridden by ``spec.values``. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.parts.rendering import ValuesReference
from gitsync.charts import Part, composed, not_shown, secrets_of
from gitsync.errors import ValuesError, ValuesMissing

#: The text that each entry of ``valuesFrom`` refers to, in order; None for one that does not exist.
Texts = tuple[str | None, ...]


def texts_of(release: HelmRelease, find: Callable[[ObjectKey], Manifest | None]) -> Texts:
    """The texts that ``valuesFrom`` refers to. ``find`` gives ConfigMaps and Secrets, None for those that do not exist.

    Raises: ValuesError for a Secret that is not base64, which the API server lets nobody store.
    """
    sources = zip(release.spec.values_from, release.value_sources(), strict=True)
    return tuple(text_in(key, find(key), reference.values_key) for reference, key in sources)


def parts_of(release: HelmRelease, texts: Sequence[str | None]) -> list[Part]:
    """The parts that the values are merged of. Raises: ValuesMissing for one that does not exist and is not
    optional."""
    parts = []
    for reference, key, text in zip(release.spec.values_from, release.value_sources(), texts, strict=True):
        if text is not None:
            is_secret = reference.kind == "Secret"
            parts.append(Part(_place(reference, key), text, reference.target_path, reference.literal, is_secret))
        elif not reference.optional:
            raise ValuesMissing(
                f"{_place(reference, key)} does not exist", hint="create it, or set optional: true in valuesFrom"
            )
    return parts


def compose(release: HelmRelease, texts: Sequence[str | None]) -> dict[str, Any]:
    """The values that the release is rendered with. Blocks: YAML is parsed.

    Raises: ValuesMissing for a reference that does not exist and is not optional; ValuesError for one that cannot be
    used.
    """
    return composed(parts_of(release, texts), release.spec.values or {})


def secrets_in(release: HelmRelease, texts: Sequence[str | None]) -> frozenset[str]:
    """The scalars of the values that come from Secrets; without those that the HelmRelease itself shows: a user's name
    is often the release's name, or the chart's. Blocks. Raises: ValuesError."""
    pairs = zip(release.spec.values_from, texts, strict=True)
    secret = [
        Part("", text, reference.target_path, is_secret=True)
        for reference, text in pairs
        if reference.kind == "Secret" and text is not None
    ]
    return not_shown(shown_by(release), secrets_of(secret))


def shown_by(release: HelmRelease) -> str:
    """The parts of a HelmRelease that are no secret, as a text."""
    return json.dumps([release.key.namespaced_name, release.manifest.get("spec")], ensure_ascii=False)


def _place(reference: ValuesReference, key: ObjectKey) -> str:
    return f"valuesFrom: {key.kind} '{key.namespaced_name}' key '{reference.values_key}'"


def text_in(key: ObjectKey, manifest: Manifest | None, name: str) -> str | None:
    """The text under ``name`` in a ConfigMap or Secret (one from Git may have it in ``stringData``); None when there is
    none."""
    if manifest is None:
        return None
    plain = (manifest.get("stringData") or {}).get(name)
    if plain is not None:
        return str(plain)
    found = (manifest.get("data") or {}).get(name)
    if found is None or key.kind != "Secret":
        return found
    try:
        # Bytes that are no UTF-8 become what Go's JSON makes of them.
        return base64.b64decode(found).decode("utf-8", "replace")
    except (binascii.Error, TypeError, ValueError):
        raise ValuesError(
            f"valuesFrom: Secret '{key.namespaced_name}' key '{name}' is no base64",
            hint="write plain text under stringData, or its base64 under data",
        ) from None
