"""``gitsync create source``: a HelmRepository, OCIRepository, GitRepository, Bucket or HelmChart from flags."""

from __future__ import annotations

from typing import Any

import typer

from gitsync.api.identity import Manifest
from gitsync.api.names import SOURCE_API_VERSION
from gitsync.cli.cluster.create import flags
from gitsync.cli.cluster.create.creating import (
    Applying,
    Interval,
    Namespace,
    create,
    listed,
    manifest_of,
    reference,
    verb,
)
from gitsync.cli.cluster.create.groups import (
    BucketLogin,
    BucketPlace,
    ChartOf,
    Ending,
    GitContent,
    GitLogin,
    GitReference,
    HelmLogin,
    Layer,
    OciAccess,
    OciReference,
    Verifying,
    other_than_generic,
)
from gitsync.cli.common.kinds import BUCKET, CHART, GIT, OCI, REPOSITORY, Kind
from gitsync.cli.common.verbs import Name
from gitsync.settings import Settings


@verb.of(REPOSITORY)
async def helm_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    url: flags.Url,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    login: HelmLogin,
    pass_credentials: flags.PassCredentials = False,
    oci_provider: flags.OciProvider = "generic",
    ending: Ending,
) -> int:
    """Create or change a HelmRepository, and wait until its index is read.

    With --username and --password, or --ca-file, --cert-file and --key-file, a Secret of its name holds these; it is no
    part of what --export prints.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --interval 10m
    """
    is_oci = url.startswith("oci://")
    if oci_provider != "generic" and not is_oci:
        raise typer.BadParameter("is for oci://", param_hint="--oci-provider")
    made = login.made(namespace, name)
    spec = {
        "interval": interval,
        "url": url,
        "type": "oci" if is_oci else "",
        "provider": other_than_generic(oci_provider),
        **login.fields(name),
        "passCredentials": pass_credentials,
        "timeout": ending.timeout,
    }
    return await create(settings, _manifest(kind, namespace, name, spec, ending.label), ending.applying, made)


@verb.of(OCI)
async def oci_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    url: flags.OciUrl,
    ref: OciReference,
    layer: Layer,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    access: OciAccess,
    verifying: Verifying,
    insecure: flags.Insecure = False,
    ignore_paths: flags.IgnorePaths = None,
    ending: Ending,
) -> int:
    """Create or change an OCIRepository, and wait until its artifact is there.

    Example: gitsync create source oci podinfo --url oci://registry.example/charts/podinfo --tag-semver 6.x
    """
    selector = layer.field
    if ignore_paths and selector["operation"] == "copy":
        hint = "has no effect on a layer that is copied: see --layer-selector-operation"
        raise typer.BadParameter(hint, param_hint="--ignore-paths")
    spec = {
        "interval": interval,
        "url": url,
        "provider": other_than_generic(access.provider),
        "ref": ref.field,
        "layerSelector": selector if selector["mediaType"] else {},
        **access.fields,
        "verify": verifying.field,
        "insecure": insecure,
        "ignore": "\n".join(listed(ignore_paths)),
        "timeout": ending.timeout,
    }
    return await create(settings, _manifest(kind, namespace, name, spec, ending.label), ending.applying)


@verb.of(GIT)
async def git_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    url: flags.GitUrl,
    ref: GitReference,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    login: GitLogin,
    provider: flags.GitProvider = "generic",
    proxy_secret_ref: flags.ProxySecretRef = "",
    content: GitContent,
    ending: Ending,
) -> int:
    """Create or change a GitRepository, and wait until its artifact is there.

    With --username and --password, --ca-file, or --private-key-file and --known-hosts-file, a Secret of its name holds
    these; it is not part of what --export prints.

    Example: gitsync create source git podinfo --url https://github.com/stefanprodan/podinfo --tag-semver 6.x
    """
    made = login.made(namespace, name, url)
    spec = {
        "interval": interval,
        "url": url,
        "provider": other_than_generic(provider),
        "ref": ref.field,
        "secretRef": reference(login.secret_ref or (name if made else "")),
        "proxySecretRef": reference(proxy_secret_ref),
        **content.fields,
        "timeout": ending.timeout,
    }
    return await create(settings, _manifest(kind, namespace, name, spec, ending.label), ending.applying, made)


@verb.of(BUCKET)
async def bucket(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    place: BucketPlace,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    login: BucketLogin,
    cert_secret_ref: flags.CertSecretRef = "",
    proxy_secret_ref: flags.ProxySecretRef = "",
    insecure: flags.Insecure = False,
    ignore_paths: flags.IgnorePaths = None,
    ending: Ending,
) -> int:
    """Create or change a Bucket, and wait until its artifact is there.

    With --access-key and --secret-key, a Secret of its name holds them; it is not part of what --export prints.

    Example: gitsync create source bucket apps --bucket-name apps --endpoint s3.example --secret-ref apps-keys
    """
    made = login.made(namespace, name)
    spec = {
        "interval": interval,
        **place.fields,
        "secretRef": reference(login.secret_ref or (name if made else "")),
        "certSecretRef": reference(cert_secret_ref),
        "proxySecretRef": reference(proxy_secret_ref),
        "insecure": insecure,
        "ignore": "\n".join(listed(ignore_paths)),
        "timeout": ending.timeout,
    }
    return await create(settings, _manifest(kind, namespace, name, spec, ending.label), ending.applying, made)


@verb.of(CHART)
async def helm_chart(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    chart: ChartOf,
    verifying: Verifying,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    label: flags.Labels = None,
    applying: Applying,
) -> int:
    """Create or change a HelmChart, and wait until its chart is there. A HelmRelease names it by chartRef.

    Example: gitsync create source chart podinfo --source HelmRepository/podinfo --chart podinfo --chart-version 6.x
    """
    spec = {"interval": interval, **chart.fields, "verify": verifying.field}
    return await create(settings, _manifest(kind, namespace, name, spec, label), applying)


def _manifest(kind: Kind, namespace: str, name: str, spec: dict[str, Any], labels: list[str] | None) -> Manifest:
    """Raises: typer.BadParameter for labels that are none."""
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    found = [text.partition("=") for text in listed(labels)]
    if not all(key and separator for key, separator, _ in found):
        raise typer.BadParameter("is KEY=VALUE", param_hint="--label")
    if found:
        manifest["metadata"]["labels"] = {key: value for key, _, value in found}
    return manifest
