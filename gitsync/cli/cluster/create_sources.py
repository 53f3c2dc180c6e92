"""``gitsync create source``: a HelmRepository, OCIRepository, GitRepository, Bucket or HelmChart from flags."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from gitsync.api.identity import Manifest
from gitsync.api.names import (
    SOURCE_API_VERSION,
)
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
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import BUCKET, CHART, GIT, OCI, REPOSITORY, Kind
from gitsync.cli.common.verbs import Name
from gitsync.logs import register_secret
from gitsync.settings import Settings

Url = Annotated[str, typer.Option("--url", metavar="URL", help="Where the repository is: http, https or oci.")]
SecretRef = Annotated[str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with username and password.")]
Username = Annotated[str, typer.Option("--username", "-u", metavar="NAME", help="Of a login, kept in a Secret NAME.")]
Password = Annotated[str, typer.Option("--password", "-p", metavar="PASSWORD", help="Of the same login.")]
CertSecretRef = Annotated[str, typer.Option("--cert-secret-ref", metavar="NAME", help="A Secret with ca.crt, tls.*.")]
PassCredentials = Annotated[
    bool, typer.Option("--pass-credentials", help="Send the credentials to wherever the index leads, too.")
]

#: What helm calls the layer of a chart that it pushes.
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
OciUrl = Annotated[str, typer.Option("--url", metavar="URL", help="The repository in its registry: oci://...")]
Tag = Annotated[str, typer.Option("--tag", metavar="TAG", help="The tag; latest when nothing is said.")]
TagSemver = Annotated[
    str, typer.Option("--tag-semver", metavar="RANGE", help="The highest tag in a range of versions.")
]
TagSemverFilter = Annotated[
    str, typer.Option("--tag-semver-filter", metavar="REGEX", help="Only tags that this finds count for the range.")
]
Digest = Annotated[str, typer.Option("--digest", metavar="SHA256", help="The digest, whatever tags say.")]
MediaType = Annotated[
    str, typer.Option("--layer-selector-media-type", metavar="TYPE", help='The layer; "" for the first one.')
]
Operation = Annotated[
    Literal["extract", "copy"], typer.Option("--layer-selector-operation", help="What is done with the layer.")
]
DockerSecretRef = Annotated[
    str, typer.Option("--secret-ref", metavar="NAME", help="A Secret of type kubernetes.io/dockerconfigjson.")
]
PullAccount = Annotated[
    str, typer.Option("--service-account", metavar="NAME", help="A ServiceAccount, for its imagePullSecrets.")
]
ProxySecretRef = Annotated[
    str, typer.Option("--proxy-secret-ref", metavar="NAME", help="A Secret with a proxy's address.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Speak plain HTTP.")]

BucketName = Annotated[str, typer.Option("--bucket-name", metavar="NAME", help="The bucket.")]
Endpoint = Annotated[str, typer.Option("--endpoint", metavar="HOST", help="Its server: a host, or HOST:PORT.")]
Provider = Annotated[Literal["generic", "aws"], typer.Option("--provider", help="Whose server it is.")]
Region = Annotated[str, typer.Option("--region", metavar="NAME", help="The region of the bucket.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="KEY", help="Only objects whose keys begin with this.")]
AccessKey = Annotated[str, typer.Option("--access-key", metavar="KEY", help="Of a login, kept in a Secret NAME.")]
SecretKey = Annotated[str, typer.Option("--secret-key", metavar="KEY", help="Of the same login.")]
KeysSecretRef = Annotated[
    str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with accesskey and secretkey.")
]

GitUrl = Annotated[str, typer.Option("--url", metavar="URL", help="The repository: https://, http:// or ssh://.")]
Branch = Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch; master when nothing is said.")]
GitTag = Annotated[str, typer.Option("--tag", metavar="NAME", help="The tag; wins over a branch.")]
RefName = Annotated[
    str, typer.Option("--ref-name", metavar="REF", help="A full reference, as refs/pull/1/head; wins over tags.")
]
Commit = Annotated[str, typer.Option("--commit", metavar="ID", help="The one commit to stay at.")]
GitSecretRef = Annotated[
    str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with a login, or identity and known_hosts.")
]
RecurseSubmodules = Annotated[bool, typer.Option("--recurse-submodules", help="Read submodules, too.")]
Sparse = Annotated[
    list[str] | None,
    typer.Option("--sparse-checkout-paths", metavar="PATH", help="A directory to read; may be repeated."),
]
IgnorePaths = Annotated[
    list[str] | None,
    typer.Option("--ignore-paths", metavar="PATTERN", help="What to leave out, as in .gitignore; may be repeated."),
]


@verb.of(REPOSITORY)
async def helm_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    url: Url,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: SecretRef = "",
    username: Username = "",
    password: Password = "",
    cert_secret_ref: CertSecretRef = "",
    pass_credentials: PassCredentials = False,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a HelmRepository, and wait until its index is read.

    With --username and --password, a Secret of its name holds the login; it is not part of what --export prints.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --interval 10m
    """
    login = _login(namespace, name, username, password)
    if login and secret_ref:
        raise typer.BadParameter("either a Secret or a login", param_hint="--secret-ref")
    spec = {
        "interval": interval,
        "url": url,
        "type": "oci" if url.startswith("oci://") else "",
        "secretRef": reference(secret_ref or (name if login else "")),
        "certSecretRef": reference(cert_secret_ref),
        "passCredentials": pass_credentials,
    }
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, export, seconds(patience) if wait else None, login)


@verb.of(OCI)
async def oci_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    url: OciUrl,
    tag: Tag = "",
    tag_semver: TagSemver = "",
    tag_semver_filter: TagSemverFilter = "",
    digest: Digest = "",
    layer_selector_media_type: MediaType = CHART_LAYER,
    layer_selector_operation: Operation = "copy",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: DockerSecretRef = "",
    service_account: PullAccount = "",
    cert_secret_ref: CertSecretRef = "",
    proxy_secret_ref: ProxySecretRef = "",
    insecure: Insecure = False,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change an OCIRepository, and wait until its artifact is there.

    Example: gitsync create source oci podinfo --url oci://registry.example/charts/podinfo --tag-semver 6.x
    """
    selector = {"mediaType": layer_selector_media_type, "operation": layer_selector_operation}
    spec = {
        "interval": interval,
        "url": url,
        "ref": stated({"tag": tag, "semver": tag_semver, "semverFilter": tag_semver_filter, "digest": digest}),
        "layerSelector": selector if layer_selector_media_type else {},
        "secretRef": reference(secret_ref),
        "serviceAccountName": service_account,
        "certSecretRef": reference(cert_secret_ref),
        "proxySecretRef": reference(proxy_secret_ref),
        "insecure": insecure,
    }
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, export, seconds(patience) if wait else None)


@verb.of(GIT)
async def git_repository(
    settings: Settings,
    kind: Kind,
    name: Name,
    url: GitUrl,
    branch: Branch = "",
    tag: GitTag = "",
    tag_semver: TagSemver = "",
    ref_name: RefName = "",
    commit: Commit = "",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: GitSecretRef = "",
    username: Username = "",
    password: Password = "",
    proxy_secret_ref: ProxySecretRef = "",
    recurse_submodules: RecurseSubmodules = False,
    sparse_checkout_paths: Sparse = None,
    ignore_paths: IgnorePaths = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a GitRepository, and wait until its artifact is there.

    With --username and --password, a Secret of its name holds the login; it is not part of what --export prints.

    Example: gitsync create source git podinfo --url https://github.com/stefanprodan/podinfo --tag-semver 6.x
    """
    login = _login(namespace, name, username, password)
    if login and secret_ref:
        raise typer.BadParameter("either a Secret or a login", param_hint="--secret-ref")
    ref = {"branch": branch, "tag": tag, "semver": tag_semver, "name": ref_name, "commit": commit}
    spec = {
        "interval": interval,
        "url": url,
        "ref": stated(ref),
        "secretRef": reference(secret_ref or (name if login else "")),
        "proxySecretRef": reference(proxy_secret_ref),
        "recurseSubmodules": recurse_submodules,
        "sparseCheckout": listed(sparse_checkout_paths),
        "ignore": "\n".join(listed(ignore_paths)),
    }
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, export, seconds(patience) if wait else None, login)


@verb.of(BUCKET)
async def bucket(
    settings: Settings,
    kind: Kind,
    name: Name,
    bucket_name: BucketName,
    endpoint: Endpoint,
    provider: Provider = "generic",
    region: Region = "",
    prefix: Prefix = "",
    interval: Interval = "1m",
    namespace: Namespace = "default",
    secret_ref: KeysSecretRef = "",
    access_key: AccessKey = "",
    secret_key: SecretKey = "",
    cert_secret_ref: CertSecretRef = "",
    proxy_secret_ref: ProxySecretRef = "",
    insecure: Insecure = False,
    ignore_paths: IgnorePaths = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a Bucket, and wait until its artifact is there.

    With --access-key and --secret-key, a Secret of its name holds them; it is not part of what --export prints.

    Example: gitsync create source bucket apps --bucket-name apps --endpoint s3.example --secret-ref apps-keys
    """
    login = _keys(namespace, name, access_key, secret_key)
    if login and secret_ref:
        raise typer.BadParameter("either a Secret or keys", param_hint="--secret-ref")
    spec = {
        "interval": interval,
        "provider": provider,
        "bucketName": bucket_name,
        "endpoint": endpoint,
        "region": region,
        "prefix": prefix,
        "secretRef": reference(secret_ref or (name if login else "")),
        "certSecretRef": reference(cert_secret_ref),
        "proxySecretRef": reference(proxy_secret_ref),
        "insecure": insecure,
        "ignore": "\n".join(listed(ignore_paths)),
    }
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, export, seconds(patience) if wait else None, login)


ChartName = Annotated[str, typer.Option("--chart", metavar="CHART", help="Its name, or its path in Git or a bucket.")]
ChartVersion = Annotated[str, typer.Option("--chart-version", metavar="RANGE", help="Version or range.")]
ChartSource = Annotated[
    str, typer.Option("--source", metavar="KIND/NAME", help="A HelmRepository, GitRepository or Bucket.")
]
Strategy = Annotated[
    Literal["ChartVersion", "Revision"],
    typer.Option("--reconcile-strategy", help="What makes it another one."),
]
ValuesFiles = Annotated[
    list[str] | None,
    typer.Option("--values-files", metavar="PATH", help="A file with default values; may be repeated."),
]
IgnoreMissing = Annotated[bool, typer.Option("--ignore-missing-values-files", help="Pass over those that are missing.")]


@verb.of(CHART)
async def helm_chart(
    settings: Settings,
    kind: Kind,
    name: Name,
    source: ChartSource,
    chart: ChartName,
    chart_version: ChartVersion = "",
    reconcile_strategy: Strategy = "ChartVersion",
    values_files: ValuesFiles = None,
    ignore_missing_values_files: IgnoreMissing = False,
    interval: Interval = "1m",
    namespace: Namespace = "default",
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a HelmChart, and wait until its chart is there. A HelmRelease names it by chartRef.

    Example: gitsync create source chart podinfo --source HelmRepository/podinfo --chart podinfo --chart-version 6.x
    """
    spec = {
        "interval": interval,
        "chart": chart,
        "version": chart_version,
        "sourceRef": kind_and_name(source, "--source"),
        "reconcileStrategy": reconcile_strategy if reconcile_strategy != "ChartVersion" else "",
        "valuesFiles": listed(values_files),
        "ignoreMissingValuesFiles": ignore_missing_values_files,
    }
    manifest = manifest_of(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, export, seconds(patience) if wait else None)


def _login(namespace: str, name: str, username: str, password: str) -> Manifest | None:
    """The Secret for a login, as ``flux create source helm`` makes it. Raises: typer.BadParameter."""
    if bool(username) != bool(password):
        raise typer.BadParameter("--username and --password go together", param_hint="--username")
    return _secret(namespace, name, {"username": username, "password": password}, password)


def _keys(namespace: str, name: str, access: str, secret: str) -> Manifest | None:
    """The same for a bucket's keys, as ``flux create source bucket`` makes it. Raises: typer.BadParameter."""
    if bool(access) != bool(secret):
        raise typer.BadParameter("--access-key and --secret-key go together", param_hint="--access-key")
    return _secret(namespace, name, {"accesskey": access, "secretkey": secret}, secret)


def _secret(namespace: str, name: str, data: dict[str, str], secret: str) -> Manifest | None:
    """A Secret; None where there is nothing to keep ``secret``."""
    if not secret:
        return None
    register_secret(secret)
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
