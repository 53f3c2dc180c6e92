"""``gitsync create source``: a HelmRepository, OCIRepository, GitRepository, Bucket or HelmChart from flags."""

from __future__ import annotations

from typing import Any

import typer

from gitsync.api.identity import Manifest
from gitsync.api.names import SOURCE_API_VERSION
from gitsync.cli.cluster import source_options as flags
from gitsync.cli.cluster.creating import (
    Export,
    Interval,
    Namespace,
    create,
    kind_and_name,
    listed,
    manifest_of,
    reference,
    stated,
    verb,
)
from gitsync.cli.cluster.source_secrets import bucket_keys, git_login, login, tls_files, verification
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import BUCKET, CHART, GIT, OCI, REPOSITORY, Kind
from gitsync.cli.common.verbs import Name
from gitsync.settings import Settings


@verb.of(REPOSITORY)
async def helm_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    url: flags.Url,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: flags.SecretRef = "",
    username: flags.Username = "",
    password: flags.Password = "",
    ca_file: flags.CaFile = None,
    cert_file: flags.CertFile = None,
    key_file: flags.KeyFile = None,
    cert_secret_ref: flags.CertSecretRef = "",
    pass_credentials: flags.PassCredentials = False,
    oci_provider: flags.OciProvider = "generic",
    fetch_timeout: flags.FetchTimeout = "",
    label: flags.Labels = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a HelmRepository, and wait until its index is read.

    With --username and --password, or --ca-file, --cert-file and --key-file, a Secret of its name holds these; it is no
    part of what --export prints.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --interval 10m
    """
    is_oci = url.startswith("oci://")
    if oci_provider != "generic" and not is_oci:
        raise typer.BadParameter("is for oci://", param_hint="--oci-provider")
    tls = tls_files(ca_file, cert_file, key_file)
    made = login(namespace, name, username, password, tls)
    _either(secret_ref, username, "--secret-ref")
    _either(cert_secret_ref, tls, "--cert-secret-ref")
    _either(secret_ref if secret_ref == name else "", made, "--secret-ref")
    spec = {
        "interval": interval,
        "url": url,
        "type": "oci" if is_oci else "",
        "provider": _other_than_generic(oci_provider),
        "secretRef": reference(secret_ref or (name if username else "")),
        "certSecretRef": reference(cert_secret_ref or (name if tls else "")),
        "passCredentials": pass_credentials,
        "timeout": _duration(fetch_timeout),
    }
    manifest = _manifest(kind, namespace, name, spec, label)
    return await create(settings, manifest, export, seconds(patience) if wait else None, made)


@verb.of(OCI)
async def oci_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    url: flags.OciUrl,
    tag: flags.Tag = "",
    tag_semver: flags.TagSemver = "",
    tag_semver_filter: flags.TagSemverFilter = "",
    digest: flags.Digest = "",
    layer_selector_media_type: flags.MediaType = flags.CHART_LAYER,
    layer_selector_operation: flags.Operation = "copy",
    layer_selector: flags.Selector = "",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: flags.DockerSecretRef = "",
    service_account: flags.PullAccount = "",
    cert_secret_ref: flags.CertRef = "",
    proxy_secret_ref: flags.ProxySecretRef = "",
    provider: flags.CloudProvider = "generic",
    verify_provider: flags.VerifyProvider = "",
    verify_secret_ref: flags.VerifySecretRef = "",
    verify_issuer: flags.VerifyIssuer = "",
    verify_subject: flags.VerifySubject = "",
    verify_trusted_root_secret_ref: flags.VerifyTrustedRoot = "",
    insecure: flags.Insecure = False,
    ignore_paths: flags.IgnorePaths = None,
    fetch_timeout: flags.FetchTimeout = "",
    label: flags.Labels = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change an OCIRepository, and wait until its artifact is there.

    Example: gitsync create source oci podinfo --url oci://registry.example/charts/podinfo --tag-semver 6.x
    """
    selector = {"mediaType": layer_selector_media_type, "operation": layer_selector_operation}
    if layer_selector:
        selector = _selector(layer_selector)
    if ignore_paths and selector["operation"] == "copy":
        hint = "has no effect on a layer that is copied: see --layer-selector-operation"
        raise typer.BadParameter(hint, param_hint="--ignore-paths")
    root = verify_trusted_root_secret_ref
    spec = {
        "interval": interval,
        "url": url,
        "provider": _other_than_generic(provider),
        "ref": stated({"tag": tag, "semver": tag_semver, "semverFilter": tag_semver_filter, "digest": digest}),
        "layerSelector": selector if selector["mediaType"] else {},
        "secretRef": reference(secret_ref),
        "serviceAccountName": service_account,
        "certSecretRef": reference(cert_secret_ref),
        "proxySecretRef": reference(proxy_secret_ref),
        "verify": verification(verify_provider, verify_secret_ref, verify_issuer, verify_subject, root),
        "insecure": insecure,
        "ignore": "\n".join(listed(ignore_paths)),
        "timeout": _duration(fetch_timeout),
    }
    manifest = _manifest(kind, namespace, name, spec, label)
    return await create(settings, manifest, export, seconds(patience) if wait else None)


@verb.of(GIT)
async def git_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    url: flags.GitUrl,
    branch: flags.Branch = "",
    tag: flags.GitTag = "",
    tag_semver: flags.TagSemver = "",
    ref_name: flags.RefName = "",
    commit: flags.Commit = "",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: flags.GitSecretRef = "",
    username: flags.Username = "",
    password: flags.Password = "",
    ca_file: flags.CaFile = None,
    private_key_file: flags.PrivateKeyFile = None,
    known_hosts_file: flags.KnownHostsFile = None,
    provider: flags.GitProvider = "generic",
    proxy_secret_ref: flags.ProxySecretRef = "",
    recurse_submodules: flags.RecurseSubmodules = False,
    sparse_checkout_paths: flags.Sparse = None,
    ignore_paths: flags.IgnorePaths = None,
    fetch_timeout: flags.FetchTimeout = "",
    label: flags.Labels = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a GitRepository, and wait until its artifact is there.

    With --username and --password, --ca-file, or --private-key-file and --known-hosts-file, a Secret of its name holds
    these; it is not part of what --export prints.

    Example: gitsync create source git podinfo --url https://github.com/stefanprodan/podinfo --tag-semver 6.x
    """
    made = git_login(namespace, name, url, (username, password), ca_file, (private_key_file, known_hosts_file))
    _either(secret_ref, made, "--secret-ref")
    ref = {"branch": branch, "tag": tag, "semver": tag_semver, "name": ref_name, "commit": commit}
    spec = {
        "interval": interval,
        "url": url,
        "provider": _other_than_generic(provider),
        "ref": stated(ref),
        "secretRef": reference(secret_ref or (name if made else "")),
        "proxySecretRef": reference(proxy_secret_ref),
        "recurseSubmodules": recurse_submodules,
        "sparseCheckout": listed(sparse_checkout_paths),
        "ignore": "\n".join(listed(ignore_paths)),
        "timeout": _duration(fetch_timeout),
    }
    manifest = _manifest(kind, namespace, name, spec, label)
    return await create(settings, manifest, export, seconds(patience) if wait else None, made)


@verb.of(BUCKET)
async def bucket(
    settings: Settings,
    kind: Kind,
    name: Name,
    bucket_name: flags.BucketName,
    endpoint: flags.Endpoint,
    provider: flags.Provider = "generic",
    region: flags.Region = "",
    prefix: flags.Prefix = "",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: flags.KeysSecretRef = "",
    access_key: flags.AccessKey = "",
    secret_key: flags.SecretKey = "",
    cert_secret_ref: flags.CertSecretRef = "",
    proxy_secret_ref: flags.ProxySecretRef = "",
    insecure: flags.Insecure = False,
    ignore_paths: flags.IgnorePaths = None,
    fetch_timeout: flags.FetchTimeout = "",
    label: flags.Labels = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a Bucket, and wait until its artifact is there.

    With --access-key and --secret-key, a Secret of its name holds them; it is not part of what --export prints.

    Example: gitsync create source bucket apps --bucket-name apps --endpoint s3.example --secret-ref apps-keys
    """
    made = bucket_keys(namespace, name, access_key, secret_key)
    _either(secret_ref, made, "--secret-ref")
    spec = {
        "interval": interval,
        "provider": provider,
        "bucketName": bucket_name,
        "endpoint": endpoint,
        "region": region,
        "prefix": prefix,
        "secretRef": reference(secret_ref or (name if made else "")),
        "certSecretRef": reference(cert_secret_ref),
        "proxySecretRef": reference(proxy_secret_ref),
        "insecure": insecure,
        "ignore": "\n".join(listed(ignore_paths)),
        "timeout": _duration(fetch_timeout),
    }
    manifest = _manifest(kind, namespace, name, spec, label)
    return await create(settings, manifest, export, seconds(patience) if wait else None, made)


@verb.of(CHART)
async def helm_chart(
    settings: Settings,
    kind: Kind,
    name: Name,
    source: flags.ChartSource,
    chart: flags.ChartName,
    chart_version: flags.ChartVersion = "",
    reconcile_strategy: flags.Strategy = "ChartVersion",
    values_files: flags.ValuesFiles = None,
    ignore_missing_values_files: flags.IgnoreMissing = False,
    verify_provider: flags.VerifyProvider = "",
    verify_secret_ref: flags.VerifySecretRef = "",
    verify_issuer: flags.VerifyIssuer = "",
    verify_subject: flags.VerifySubject = "",
    verify_trusted_root_secret_ref: flags.VerifyTrustedRoot = "",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    label: flags.Labels = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a HelmChart, and wait until its chart is there. A HelmRelease names it by chartRef.

    Example: gitsync create source chart podinfo --source HelmRepository/podinfo --chart podinfo --chart-version 6.x
    """
    root = verify_trusted_root_secret_ref
    spec = {
        "interval": interval,
        "chart": chart,
        "version": chart_version,
        "sourceRef": kind_and_name(source, "--source"),
        "reconcileStrategy": reconcile_strategy if reconcile_strategy != "ChartVersion" else "",
        "valuesFiles": listed(values_files),
        "ignoreMissingValuesFiles": ignore_missing_values_files,
        "verify": verification(verify_provider, verify_secret_ref, verify_issuer, verify_subject, root),
    }
    manifest = _manifest(kind, namespace, name, spec, label)
    return await create(settings, manifest, export, seconds(patience) if wait else None)


def _manifest(kind: Kind, namespace: str, name: str, spec: dict[str, Any], labels: list[str] | None) -> Manifest:
    """Raises: typer.BadParameter for labels that are none."""
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    found = [text.partition("=") for text in listed(labels)]
    if not all(key and separator for key, separator, _ in found):
        raise typer.BadParameter("is KEY=VALUE", param_hint="--label")
    if found:
        manifest["metadata"]["labels"] = {key: value for key, _, value in found}
    return manifest


def _selector(text: str) -> dict[str, str]:
    """``TYPE:OPERATION``. Raises: typer.BadParameter."""
    media_type, _, operation = text.rpartition(":")
    if not media_type or operation not in ("extract", "copy"):
        raise typer.BadParameter(f"{text!r} is not TYPE:OPERATION, extract or copy", param_hint="--layer-selector")
    return {"mediaType": media_type, "operation": operation}


def _either(named: object, made: object, option: str) -> None:
    if named and made:
        raise typer.BadParameter("either a Secret, or what one is to hold", param_hint=option)


def _duration(text: str) -> str:
    if text:
        seconds(text, "--fetch-timeout")
    return text


def _other_than_generic(provider: str) -> str:
    return provider if provider != "generic" else ""
