"""The variables of Kustomizations: their own, and those out of ConfigMaps and Secrets. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.errors import ValuesMissing
from gitsync.logs import keep_secret
from gitsync.sources.watch.referred import Referred


def variables_of(kustomization: Kustomization, found: Referred) -> dict[str, str] | None:
    """The variables by name; None when there is no ``postBuild``. ``found`` has its value sources.

    Raises: ValuesMissing.
    """
    post_build = kustomization.spec.post_build
    if post_build is None:
        return None
    data = {key: texts(key.kind, found[key]) for key in kustomization.value_sources()}
    return referred(kustomization, data) | post_build.substitute


def referred(kustomization: Kustomization, data: Mapping[ObjectKey, dict[str, str] | None]) -> dict[str, str]:
    """The variables from ``substituteFrom``, of which a later one wins; ``data`` is the content of the objects, None
    for one that does not exist. Values of Secrets are registered as secret. Raises: ValuesMissing."""
    found: dict[str, str] = {}
    post_build = kustomization.spec.post_build
    references = post_build.substitute_from if post_build is not None else ()
    for reference, key in zip(references, kustomization.value_sources(), strict=True):
        held = data[key]
        if held is None and not reference.optional:
            raise ValuesMissing(
                f"{key}, which postBuild.substituteFrom names, does not exist",
                hint="create it, or set optional: true in substituteFrom",
            )
        if held and reference.kind == "Secret":
            keep_secret(frozenset(held.values()))
        found |= held or {}
    return found


def texts(kind: str, manifest: Manifest | None) -> dict[str, str] | None:
    """The content of a ConfigMap or a Secret (one out of Git may have it in ``stringData``); None for None."""
    if manifest is None:
        return None
    data: dict[str, str] = {name: str(value) for name, value in (manifest.get("data") or {}).items()}
    if kind != "Secret":
        return data
    plain = {name: str(value) for name, value in (manifest.get("stringData") or {}).items()}
    return {name: _decoded(value) for name, value in data.items()} | plain


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""  # bytes are no variable
