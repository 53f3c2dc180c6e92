"""``gitsync create``: a release, a Kustomization or a source from flags, into the cluster, or (``--export``) onto
standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gitsync.api.check import check
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    CLI_FIELD_MANAGER,
    HELM_API_VERSION,
    KUSTOMIZE_API_VERSION,
    REQUESTED_AT_ANNOTATION,
    SOURCE_API_VERSION,
)
from gitsync.cli.cluster.values import read_files
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import BUCKET, GIT, KUSTOMIZATION, OCI, RELEASE, REPOSITORY, Kind
from gitsync.cli.common.liveobject import LiveObject, connected, is_suspended, new_token, origin_of, warn
from gitsync.cli.common.output import as_yaml, write
from gitsync.cli.common.verbs import Name, Verb
from gitsync.cli.common.waiting import answered
from gitsync.errors import FieldErrors, OwnedByAnother
from gitsync.logs import register_secret
from gitsync.settings import Settings

verb = Verb(
    "create",
    """Create or change a release, a Kustomization or a source; or print YAML for a repository.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --export""",
    """Create or change a source.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --interval 10m""",
)
app = verb.app

Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to put it in.")]
Interval = Annotated[str, typer.Option("--interval", metavar="DURATION", help="How often to look.")]
Export = Annotated[bool, typer.Option("--export", help="Print the YAML, for a repository; touch no cluster.")]

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

Source = Annotated[
    str,
    typer.Option("--source", metavar="KIND/NAME[.NAMESPACE]", help="Where the chart is, as HelmRepository/bitnami."),
]
ChartRef = Annotated[
    str,
    typer.Option(
        "--chart-ref", metavar="KIND/NAME[.NAMESPACE]", help="What stands for the chart, as OCIRepository/app."
    ),
]
Chart = Annotated[str, typer.Option("--chart", metavar="NAME", help="The chart's name.")]
ChartVersion = Annotated[str, typer.Option("--chart-version", metavar="RANGE", help="Its version, or a range.")]
DependsOn = Annotated[
    list[str] | None,
    typer.Option("--depends-on", metavar="[NAMESPACE/]NAME", help="A release to be ready first; may be repeated."),
]
ValuesFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--values", metavar="FILE", exists=True, dir_okay=False, help="A file of values; may be repeated, later wins."
    ),
]
ValuesFrom = Annotated[
    list[str] | None,
    typer.Option("--values-from", metavar="KIND/NAME", help="A ConfigMap or Secret with values; may be repeated."),
]
ReleaseName = Annotated[str, typer.Option("--release-name", metavar="NAME", help="The Helm release's name.")]
TargetNamespace = Annotated[
    str, typer.Option("--target-namespace", metavar="NAME", help="The namespace to install into.")
]
ServiceAccount = Annotated[
    str, typer.Option("--service-account", metavar="NAME", help="The ServiceAccount to work on it as.")
]
Policy = Literal["Skip", "Create", "CreateReplace"]
Crds = Annotated[
    Policy | None, typer.Option("--crds", help="What becomes of the chart's definitions, in installs and upgrades.")
]
CreateTarget = Annotated[bool, typer.Option("--create-target-namespace", help="Create that namespace.")]

TreeSource = Annotated[
    str,
    typer.Option("--source", metavar="KIND/NAME[.NAMESPACE]", help="Where the files are, as GitRepository/fleet."),
]
TreePath = Annotated[str, typer.Option("--path", metavar="PATH", help="The directory of the source to apply.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what left the source.")]
HealthChecks = Annotated[
    list[str] | None,
    typer.Option("--health-check", metavar="KIND/NAME.NAMESPACE", help="An object to wait for; may be repeated."),
]
HealthCheckTimeout = Annotated[
    str, typer.Option("--health-check-timeout", metavar="DURATION", help="How long applying and waiting may take.")
]
WaitForAll = Annotated[bool, typer.Option("--wait", help="It is ready when all that it applies is.")]
NeedsTree = Annotated[
    list[str] | None,
    typer.Option(
        "--depends-on", metavar="[NAMESPACE/]NAME", help="A Kustomization to be ready first; may be repeated."
    ),
]
IntoNamespace = Annotated[
    str, typer.Option("--target-namespace", metavar="NAME", help="The namespace to put all objects into.")
]
RetryInterval = Annotated[
    str, typer.Option("--retry-interval", metavar="DURATION", help="When to try again what failed.")
]
ApplyAs = Annotated[str, typer.Option("--service-account", metavar="NAME", help="The ServiceAccount to apply it as.")]
DeletionPolicy = Annotated[
    Literal["MirrorPrune", "Delete", "WaitForTermination", "Orphan"] | None,
    typer.Option("--deletion-policy", help="What becomes of the objects when it is deleted."),
]
#: Kinds by the words that --health-check takes, as in Flux's own command; any other kind has to come with its group.
_HEALTH_CHECKED = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "HelmRelease": HELM_API_VERSION,
    "Kustomization": KUSTOMIZE_API_VERSION,
}


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
        "secretRef": _reference(secret_ref or (name if login else "")),
        "certSecretRef": _reference(cert_secret_ref),
        "passCredentials": pass_credentials,
    }
    manifest = _manifest(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await _create(settings, manifest, export, seconds(patience) if wait else None, login)


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
        "ref": _stated({"tag": tag, "semver": tag_semver, "semverFilter": tag_semver_filter, "digest": digest}),
        "layerSelector": selector if layer_selector_media_type else {},
        "secretRef": _reference(secret_ref),
        "serviceAccountName": service_account,
        "certSecretRef": _reference(cert_secret_ref),
        "proxySecretRef": _reference(proxy_secret_ref),
        "insecure": insecure,
    }
    manifest = _manifest(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await _create(settings, manifest, export, seconds(patience) if wait else None)


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
        "ref": _stated(ref),
        "secretRef": _reference(secret_ref or (name if login else "")),
        "proxySecretRef": _reference(proxy_secret_ref),
        "recurseSubmodules": recurse_submodules,
        "sparseCheckout": _listed(sparse_checkout_paths),
        "ignore": "\n".join(_listed(ignore_paths)),
    }
    manifest = _manifest(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await _create(settings, manifest, export, seconds(patience) if wait else None, login)


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
        "secretRef": _reference(secret_ref or (name if login else "")),
        "certSecretRef": _reference(cert_secret_ref),
        "proxySecretRef": _reference(proxy_secret_ref),
        "insecure": insecure,
        "ignore": "\n".join(_listed(ignore_paths)),
    }
    manifest = _manifest(SOURCE_API_VERSION, kind, namespace, name, spec)
    return await _create(settings, manifest, export, seconds(patience) if wait else None, login)


@verb.of(RELEASE)
async def helm_release(
    settings: Settings,
    kind: Kind,
    name: Name,
    source: Source = "",
    chart: Chart = "",
    chart_ref: ChartRef = "",
    chart_version: ChartVersion = "",
    depends_on: DependsOn = None,
    values: ValuesFiles = None,
    values_from: ValuesFrom = None,
    interval: Interval = "5m",
    namespace: Namespace = "default",
    release_name: ReleaseName = "",
    target_namespace: TargetNamespace = "",
    create_target_namespace: CreateTarget = False,
    service_account: ServiceAccount = "",
    crds: Crds = None,
    export: Export = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> int:
    """Create or change a HelmRelease, and wait until it is ready.

    Example: gitsync create helmrelease backend --source HelmRepository/podinfo --chart podinfo --depends-on redis
    """
    spec = {
        "interval": interval,
        "dependsOn": [_dependency(item) for item in _listed(depends_on)],
        **_chart(source, chart, chart_version, chart_ref),
        "releaseName": release_name,
        "targetNamespace": target_namespace,
        "serviceAccountName": service_account,
        "install": _stated({"crds": crds, "createNamespace": create_target_namespace}),
        "upgrade": _stated({"crds": crds}),
        "valuesFrom": [_kind_and_name(item, "--values-from") for item in _listed(values_from)],
        "values": read_files(values or ()),
    }
    manifest = _manifest(HELM_API_VERSION, kind, namespace, name, spec)
    return await _create(settings, manifest, export, seconds(patience) if wait else None)


@verb.of(KUSTOMIZATION)
async def kustomization(
    settings: Settings,
    kind: Kind,
    name: Name,
    source: TreeSource,
    path: TreePath = "./",
    prune: Prune = False,
    depends_on: NeedsTree = None,
    wait_for_all: WaitForAll = False,
    health_check: HealthChecks = None,
    health_check_timeout: HealthCheckTimeout = "",
    interval: Interval = "1m",
    retry_interval: RetryInterval = "",
    namespace: Namespace = "default",
    target_namespace: IntoNamespace = "",
    service_account: ApplyAs = "",
    deletion_policy: DeletionPolicy = None,
    export: Export = False,
    patience: Timeout = "5m",
) -> int:
    """Create or change a Kustomization, and wait until it is applied.

    Example: gitsync create kustomization apps --source GitRepository/fleet --path ./apps --prune --wait --export
    """
    checks = [_health_check(item, namespace) for item in _listed(health_check)]
    if checks and wait_for_all:
        raise typer.BadParameter("either --wait, which is for all objects, or some", param_hint="--health-check")
    spec = {
        "interval": interval,
        "retryInterval": retry_interval,
        "timeout": health_check_timeout,
        "dependsOn": [_dependency(item) for item in _listed(depends_on)],
        "sourceRef": _stated(_source(source)),
        "path": path,
        "targetNamespace": target_namespace,
        "serviceAccountName": service_account,
        "wait": wait_for_all,
        "healthChecks": checks,
        "deletionPolicy": deletion_policy,
    }
    manifest = _manifest(KUSTOMIZE_API_VERSION, kind, namespace, name, spec)
    manifest["spec"]["prune"] = prune  # it has to be said
    return await _create(settings, manifest, export, seconds(patience))


async def _create(
    settings: Settings, manifest: Manifest, export: bool, patience: float | None, login: Manifest | None = None
) -> int:
    if errors := check(manifest):
        raise FieldErrors(errors)
    if not export:
        return await _apply(settings, manifest, patience, login)
    write("---\n" + as_yaml(manifest))
    return 0


async def _apply(settings: Settings, manifest: Manifest, patience: float | None, login: Manifest | None) -> int:
    key, token = ObjectKey.of(manifest), new_token()
    async with connected(settings) as cluster:
        existing = await cluster.find(key)
        if existing is not None and (origin := origin_of(existing)):
            raise OwnedByAnother(f"{key} comes from Git, which would put it back", hint=f"change {origin}")
        if login is not None:
            await cluster.apply(login, manager=CLI_FIELD_MANAGER)
            write(f"{ObjectKey.of(login)} holds the login\n")
        asking = {**manifest["metadata"], "annotations": {REQUESTED_AT_ANNOTATION: token}}
        applied = await cluster.apply({**manifest, "metadata": asking}, manager=CLI_FIELD_MANAGER)
        write(f"{key} is {'changed' if existing else 'created'}\n")
        if is_suspended(applied):
            warn(f"{key} is suspended: nothing comes of it until it is resumed")
        if patience is None or is_suspended(applied):
            return 0
        return 0 if await answered(LiveObject(cluster, applied), token, patience) else 1


def _manifest(api_version: str, kind: Kind, namespace: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": api_version,
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": _stated(spec),
    }


def _stated(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what nobody said anything about."""
    return {name: value for name, value in fields.items() if value}


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


def _listed(texts: list[str] | None) -> list[str]:
    """What was given in several options, or in one with commas."""
    return [item.strip() for text in texts or () for item in text.split(",") if item.strip()]


def _reference(name: str) -> dict[str, str]:
    return {"name": name} if name else {}


def _dependency(text: str) -> dict[str, str]:
    namespace, _, name = text.rpartition("/")
    return _stated({"name": name, "namespace": namespace})


def _source(text: str, option: str = "--source") -> dict[str, str]:
    """``KIND/NAME.NAMESPACE``, as Flux's own command takes it. A namespace holds no dot, so the last one decides."""
    reference = _kind_and_name(text, option)
    name, _, namespace = reference["name"].rpartition(".")
    return {**reference, "name": name, "namespace": namespace} if name else reference


def _health_check(text: str, namespace: str) -> dict[str, str]:
    """``KIND/NAME.NAMESPACE``, as Flux's own command takes it. Raises: typer.BadParameter."""
    option = "--health-check"
    found = _source(text, option)
    api_version = _HEALTH_CHECKED.get(found["kind"])
    if api_version is None:
        known = ", ".join(_HEALTH_CHECKED)
        raise typer.BadParameter(f"{found['kind']} is none of {known}: write others into the YAML", param_hint=option)
    return {"apiVersion": api_version, **found, "namespace": found.get("namespace") or namespace}


def _chart(source: str, chart: str, version: str, reference: str) -> dict[str, Any]:
    """``chart``, or ``chartRef``. Raises: typer.BadParameter."""
    if reference:
        if source or chart or version:
            raise typer.BadParameter("either that, or a source and a chart", param_hint="--chart-ref")
        return {"chartRef": _stated(_source(reference, "--chart-ref"))}
    if not (source and chart):
        raise typer.BadParameter("a source and a chart are needed, or --chart-ref", param_hint="--source, --chart")
    return {"chart": {"spec": _stated({"chart": chart, "version": version, "sourceRef": _source(source)})}}


def _kind_and_name(text: str, option: str) -> dict[str, str]:
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise typer.BadParameter(f"{text!r} is not KIND/NAME", param_hint=option)
    return {"kind": kind, "name": name}
