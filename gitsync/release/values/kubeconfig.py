"""The kubeconfig that a release or a Kustomization names, out of its Secret. Pure."""

from __future__ import annotations

from collections.abc import Callable

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.errors import KubeConfigMissing, KubeConfigRefused
from gitsync.release.values.compose import text_in

#: The keys of a Secret that a kubeconfig is looked for in when none is named, in this order.
_KEYS = ("value", "value.yaml")


def kubeconfig_of(item: HelmRelease | Kustomization, find: Callable[[ObjectKey], Manifest | None]) -> str:
    """The text of the kubeconfig that one names, "" when it names no cluster. Never log it. ``find`` gives Secrets.

    Raises: KubeConfigMissing; KubeConfigRefused for another way to a cluster than a Secret.
    """
    if item.spec.kube_config is None:
        return ""
    if item.kubeconfig_secret is None:
        raise KubeConfigRefused(
            "kubeConfig.secretRef is missing",
            hint="name a Secret that holds a kubeconfig there; a cluster by configMapRef is not supported yet",
        )
    found = kubeconfig_in(item, find)
    if found is None:
        raise KubeConfigMissing(
            f"kubeConfig: {item.kubeconfig_secret} with key {' or '.join(kubeconfig_keys(item))} does not exist",
            hint="create that Secret, with a kubeconfig under the key, or correct kubeConfig.secretRef",
        )
    return found


def kubeconfig_in(item: HelmRelease | Kustomization, find: Callable[[ObjectKey], Manifest | None]) -> str | None:
    """The same text, None when it is not there."""
    key = item.kubeconfig_secret
    manifest = find(key) if key is not None else None
    if key is None or manifest is None:
        return None
    texts = (text_in(key, manifest, name) for name in kubeconfig_keys(item))
    return next((text for text in texts if text), None)


def kubeconfig_keys(item: HelmRelease | Kustomization) -> tuple[str, ...]:
    """The keys of its Secret that a kubeconfig is looked for in, in this order."""
    kube_config = item.spec.kube_config
    named = kube_config.secret_ref.key if kube_config and kube_config.secret_ref else None
    return (named,) if named else _KEYS
