"""What all of ``gitsync create`` has in common: from flags into the cluster, or (``--export``) onto standard output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gitsync.api.checking.check import check
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_suspended
from gitsync.api.names import (
    CLI_FIELD_MANAGER,
    REQUESTED_AT_ANNOTATION,
)
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import Kind
from gitsync.cli.common.liveobject import LiveObject, connected, warn
from gitsync.cli.common.options import FlagGroup
from gitsync.cli.common.output import as_yaml, write
from gitsync.cli.common.verbs import Verb
from gitsync.cli.common.waiting import answered
from gitsync.errors import FieldErrors, OwnedByAnother
from gitsync.live.requests import new_token, origin_of
from gitsync.settings import Settings

verb = Verb(
    "create",
    """Create or change a release, a Kustomization, a source, or who is notified; or print YAML for a repository.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --export""",
    """Create or change a source.

    Example: gitsync create source helm bitnami --url https://charts.bitnami.com/bitnami --interval 10m""",
)

Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to put it in.")]
Interval = Annotated[str, typer.Option("--interval", metavar="DURATION", help="How often to look.")]
Export = Annotated[bool, typer.Option("--export", help="Print the YAML, for a repository; touch no cluster.")]


@dataclass(frozen=True)
class Applying(FlagGroup):
    """Whether what is made goes into the cluster, and how long it is waited for there."""

    export: Export = False
    wait: Wait = True
    patience: Timeout = "5m"


async def create(settings: Settings, manifest: Manifest, applying: Applying, login: Manifest | None = None) -> int:
    """``login`` is a Secret that goes into the cluster as well, before it."""
    if errors := check(manifest):
        raise FieldErrors(errors)
    if not applying.export:
        return await _apply(settings, manifest, seconds(applying.patience) if applying.wait else None, login)
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


def manifest_of(api_version: str, kind: Kind, namespace: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": api_version,
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": stated(spec),
    }


def stated(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what nobody said anything about."""
    return {name: value for name, value in fields.items() if value}


def listed(texts: list[str] | None) -> list[str]:
    """What was given in several options, or in one with commas."""
    return [item.strip() for text in texts or () for item in text.split(",") if item.strip()]


def reference(name: str) -> dict[str, str]:
    """To an object of the same namespace; empty without a name."""
    return {"name": name} if name else {}


def with_namespace(text: str, option: str) -> dict[str, str]:
    """``KIND/NAME.NAMESPACE``, as Flux's own command takes it. A namespace holds no dot, so the last one decides."""
    found = kind_and_name(text, option)
    name, _, namespace = found["name"].rpartition(".")
    return {**found, "name": name, "namespace": namespace} if name else found


def kind_and_name(text: str, option: str) -> dict[str, str]:
    """``KIND/NAME``, as an ``option`` has it. Raises: typer.BadParameter."""
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise typer.BadParameter(f"{text!r} is not KIND/NAME", param_hint=option)
    return {"kind": kind, "name": name}
