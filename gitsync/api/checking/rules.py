"""Rules between fields, and forms of names, on raw manifests: what types alone do not say.

They are checked here even where a field beside them has the wrong type, so that one check reports everything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gitsync.api.fields import FieldError, FieldPath, shown
from gitsync.api.helmrelease import NO_CHART, TWO_CHARTS
from gitsync.api.names import HELM_RELEASE, HELM_REPOSITORY, RECEIVER
from gitsync.api.receiver import Receiver
from gitsync.errors import FieldErrors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitsync.api.identity import Manifest

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")

_LABEL_WORDS = "must be lower case letters, digits and -, and begin and end with a letter or digit"
_SUBDOMAIN_WORDS = "must be lower case letters, digits, - and ., and begin and end with a letter or digit"


def rules(manifest: Manifest) -> Iterator[FieldError]:
    """What breaks a rule in a manifest of one of our own kinds."""
    metadata, spec = _mapping(manifest.get("metadata")), manifest.get("spec")
    yield from _form(("metadata", "name"), metadata.get("name"), _DNS_SUBDOMAIN, 253)
    yield from _form(("metadata", "namespace"), metadata.get("namespace"), _DNS_LABEL, 63)
    kind = manifest.get("kind")
    if not isinstance(spec, dict):
        return
    if kind == HELM_RELEASE:
        yield from _helm_release(spec)
    elif kind == HELM_REPOSITORY:
        yield from _helm_repository(spec)
    elif kind == RECEIVER:
        yield from _receiver(manifest)


def _helm_release(spec: dict[str, Any]) -> Iterator[FieldError]:
    has_chart, has_reference = spec.get("chart") is not None, spec.get("chartRef") is not None
    if has_chart == has_reference:
        yield FieldError(("spec",), TWO_CHARTS if has_chart else NO_CHART)
    yield from _form(("spec", "releaseName"), spec.get("releaseName"), _DNS_SUBDOMAIN, 53)
    for name in ("targetNamespace", "storageNamespace"):
        yield from _form(("spec", name), spec.get(name), _DNS_LABEL, 63)
    kube_config = spec.get("kubeConfig")
    if isinstance(kube_config, dict):
        given = [name for name in ("secretRef", "configMapRef") if kube_config.get(name) is not None]
        if len(given) != 1:
            words = (
                "has both secretRef and configMapRef; keep one of them" if given else "needs secretRef or configMapRef"
            )
            yield FieldError(("spec", "kubeConfig"), words)
    for action in ("install", "upgrade"):
        strategy = _mapping(_mapping(spec.get(action)).get("strategy"))
        if strategy.get("retryInterval") is not None and strategy.get("name") == "RemediateOnFailure":
            path = ("spec", action, "strategy", "retryInterval")
            yield FieldError(path, "needs name: RetryOnFailure beside it; RemediateOnFailure has no interval")
    dependencies = spec.get("dependsOn")
    for index, dependency in enumerate(dependencies if isinstance(dependencies, list) else ()):
        yield from _dependency(("spec", "dependsOn", index), _mapping(dependency))


def _dependency(path: FieldPath, dependency: dict[str, Any]) -> Iterator[FieldError]:
    name, namespace = dependency.get("name"), dependency.get("namespace")
    if not isinstance(name, str):
        return
    inside, slash, bare = name.rpartition("/")
    if not bare or (slash and (not inside or "/" in inside)):
        yield FieldError((*path, "name"), f"must be <name> or <namespace>/<name>, not {shown(name)}")
    elif slash and isinstance(namespace, str) and namespace not in ("", inside):
        words = f"says {shown(namespace)}, but name says {shown(inside)}; keep one of them"
        yield FieldError((*path, "namespace"), words)


def _helm_repository(spec: dict[str, Any]) -> Iterator[FieldError]:
    url = spec.get("url")
    if spec.get("type") == "oci" and isinstance(url, str) and url.startswith(("http://", "https://")):
        yield FieldError(("spec", "url"), "must begin with oci:// for type: oci")


def _receiver(manifest: Manifest) -> Iterator[FieldError]:
    try:
        broken = Receiver.parse(manifest).broken_rule
    except FieldErrors:  # which its types say
        return
    if broken:
        yield FieldError(("spec",), broken)


def _form(path: FieldPath, value: object, form: re.Pattern[str], longest: int) -> Iterator[FieldError]:
    """Length is bounded before matching, and left to the types where they bound it."""
    if not isinstance(value, str) or not value:
        return
    if len(value) > longest:
        if path[0] == "metadata":
            yield FieldError(path, f"must have at most {longest} characters; this has {len(value)}")
    elif not form.fullmatch(value):
        yield FieldError(path, _LABEL_WORDS if form is _DNS_LABEL else _SUBDOMAIN_WORDS)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
