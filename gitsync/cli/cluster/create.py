"""``gitsync create``: a release or a source from flags, into the cluster or (``--export``) onto standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gitsync.api.check import check
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import CLI_FIELD_MANAGER, HELM_API_VERSION, REQUESTED_AT_ANNOTATION, SOURCE_API_VERSION
from gitsync.cli.cluster.values import read_files
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import RELEASE, REPOSITORY, Kind
from gitsync.cli.common.objects import LiveObject, connected, is_suspended, new_token, origin_of, warn
from gitsync.cli.common.output import as_yaml, write
from gitsync.cli.common.verbs import Name, Verb
from gitsync.cli.common.waiting import answered
from gitsync.errors import FieldErrors, OwnedByAnother
from gitsync.logs import register_secret
from gitsync.settings import Settings

verb = Verb(
    "create",
    """Create or change a release or a source; or print YAML for a repository.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --export""",
    """Create or change a chart repository.

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

Source = Annotated[
    str,
    typer.Option("--source", metavar="KIND/NAME[.NAMESPACE]", help="Where the chart is, as HelmRepository/bitnami."),
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


@verb.of(RELEASE)
async def helm_release(
    settings: Settings,
    kind: Kind,
    name: Name,
    source: Source,
    chart: Chart,
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
        "chart": {"spec": _stated({"chart": chart, "version": chart_version, "sourceRef": _source(source)})},
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
    if not password:
        return None
    register_secret(password)
    metadata = {"name": name, "namespace": namespace}
    data = {"username": username, "password": password}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def _listed(texts: list[str] | None) -> list[str]:
    """What was given in several options, or in one with commas."""
    return [item.strip() for text in texts or () for item in text.split(",") if item.strip()]


def _reference(name: str) -> dict[str, str]:
    return {"name": name} if name else {}


def _dependency(text: str) -> dict[str, str]:
    namespace, _, name = text.rpartition("/")
    return _stated({"name": name, "namespace": namespace})


def _source(text: str) -> dict[str, str]:
    """``KIND/NAME.NAMESPACE``, as Flux's own command takes it. A namespace holds no dot, so the last one decides."""
    reference = _kind_and_name(text, "--source")
    name, _, namespace = reference["name"].rpartition(".")
    return {**reference, "name": name, "namespace": namespace} if name else reference


def _kind_and_name(text: str, option: str) -> dict[str, str]:
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise typer.BadParameter(f"{text!r} is not KIND/NAME", param_hint=option)
    return {"kind": kind, "name": name}
