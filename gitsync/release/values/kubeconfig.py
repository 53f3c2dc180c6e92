"""The other cluster that ``spec.kubeConfig`` of a release or Kustomization names, by a Secret or ConfigMap. Pure."""

from __future__ import annotations

from collections.abc import Callable

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.cluster import KubeconfigText, Remote, TokenAccess
from gitsync.errors import KubeConfigMissing, KubeConfigRefused
from gitsync.release.values.compose import text_in

#: The keys of a Secret that a kubeconfig is looked for in when none is named, in this order.
_KEYS = ("value", "value.yaml")
#: Providers for which Flux asks the cloud for the address of the cluster, and for a login.
_CLOUDS = ("aws", "azure", "gcp")
_GENERIC = "generic"


def remote_of(item: HelmRelease | Kustomization, find: Callable[[ObjectKey], Manifest | None]) -> Remote | None:
    """The cluster that ``item`` names, None when it names none. ``find`` gives Secrets and ConfigMaps.

    Raises: KubeConfigMissing; KubeConfigRefused for a ConfigMap that describes no cluster that can be reached.
    """
    if item.spec.kube_config is None:
        return None
    key = item.kubeconfig_source
    if key is None:  # gitsync's own definition would not allow that
        raise KubeConfigRefused(
            "kubeConfig names no cluster",
            hint="name a Secret with a kubeconfig in secretRef, or a ConfigMap with a cluster in configMapRef",
        )
    if key.kind == "ConfigMap":
        return _described(key, find(key))
    found = kubeconfig_in(item, find)
    if found is None:
        raise KubeConfigMissing(
            f"kubeConfig: {key} with key {' or '.join(kubeconfig_keys(item))} does not exist",
            hint="create that Secret, with a kubeconfig under the key, or correct kubeConfig.secretRef",
        )
    return KubeconfigText(found)


def remote_data(item: HelmRelease | Kustomization, find: Callable[[ObjectKey], Manifest | None]) -> object:
    """The data that ``remote_of`` goes by: if it is the same as before, so is the cluster."""
    key = item.kubeconfig_source
    if key is not None and key.kind == "ConfigMap":
        return (find(key) or {}).get("data")
    return kubeconfig_in(item, find)


def kubeconfig_in(item: HelmRelease | Kustomization, find: Callable[[ObjectKey], Manifest | None]) -> str | None:
    """The text of the kubeconfig in its Secret, None when there is none. Never log it."""
    key = item.kubeconfig_source
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


def _described(key: ObjectKey, manifest: Manifest | None) -> TokenAccess:
    """The cluster that a ConfigMap describes, as Flux reads one (fluxcd/pkg/auth/utils, restconfig.go)."""
    if manifest is None:
        raise KubeConfigMissing(
            f"kubeConfig: {key} does not exist", hint="create that ConfigMap, or correct kubeConfig.configMapRef"
        )
    data = manifest.get("data") or {}
    provider, address = data.get("provider") or "", (data.get("address") or "").strip()
    if provider != _GENERIC:
        raise _refused_provider(key, provider)
    if not address:
        raise KubeConfigRefused(
            f"kubeConfig: {key} has no address", hint="write the URL of the cluster's API server under address"
        )
    audiences = tuple(line.strip() for line in (data.get("audiences") or "").splitlines() if line.strip())
    return TokenAccess(
        server=address if address.startswith("http") else f"https://{address}",
        authority=data.get("ca.crt") or "",
        audiences=audiences or (address,),
        account=ObjectKey("", "ServiceAccount", key.namespace, data.get("serviceAccountName") or ""),
    )


def _refused_provider(key: ObjectKey, provider: str) -> KubeConfigRefused:
    if provider in _CLOUDS:
        return KubeConfigRefused(
            f"kubeConfig: provider {provider} of {key} is not supported: no cloud's credentials are asked for",
            hint=f"write provider: {_GENERIC} with the cluster's address and ca.crt, or name a Secret in secretRef",
        )
    said = f"its provider is {provider!r}" if provider else "it has no provider"
    return KubeConfigRefused(
        f"kubeConfig: {key} describes no cluster: {said}", hint=f"write provider: {_GENERIC} in that ConfigMap"
    )
