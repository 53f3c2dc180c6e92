"""``gitsync create``: a Provider, an Alert or a Receiver from flags, which are those of Flux's own command."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from gitsync.api.kinds import NOTIFICATION_GROUP
from gitsync.api.notification import Provider, ProviderType, is_told_of, kind_meant
from gitsync.api.receiver import Receiver, ReceiverType
from gitsync.cli.cluster.create.creating import (
    Applying,
    Export,
    Namespace,
    create,
    listed,
    manifest_of,
    reference,
    stated,
    verb,
    with_namespace,
)
from gitsync.cli.common.kinds import ALERT, PROVIDER, RECEIVER, Kind
from gitsync.cli.common.liveobject import warn
from gitsync.cli.common.verbs import Name
from gitsync.settings import Settings

_API_VERSION = f"{NOTIFICATION_GROUP}/{Provider.versions[0]}"
_RECEIVER_API_VERSION = f"{NOTIFICATION_GROUP}/{Receiver.versions[0]}"

Service = Annotated[ProviderType, typer.Option("--type", help="What kind of service it is.")]
Address = Annotated[str, typer.Option("--address", metavar="URL", help="Of the service, or of a Git repository.")]
Channel = Annotated[str, typer.Option("--channel", metavar="NAME", help="Channel, chat, room or routing key.")]
Username = Annotated[str, typer.Option("--username", metavar="NAME", help="Name to post as.")]
SecretRef = Annotated[str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with address, token and such.")]

ProviderRef = Annotated[str, typer.Option("--provider-ref", metavar="NAME", help="The Provider to notify.")]
Severity = Annotated[Literal["info", "error"], typer.Option("--event-severity", help="error leaves out the rest.")]
EventSources = Annotated[
    list[str],
    typer.Option("--event-source", metavar="KIND/NAME[.NAMESPACE]", help="Whose events, * for all; may be repeated."),
]

Sender = Annotated[ReceiverType, typer.Option("--type", help="Who sends, which says how a delivery is verified.")]
Events = Annotated[
    list[str] | None, typer.Option("--event", metavar="NAME", help="An event that counts; may be repeated.")
]
Resources = Annotated[
    list[str],
    typer.Option("--resource", metavar="KIND/NAME[.NAMESPACE]", help="What a delivery asks for; may be repeated."),
]
TokenSecretRef = Annotated[str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with the token.")]


@verb.of(PROVIDER)
async def provider(
    settings: Settings,
    kind: Kind,
    name: Name,
    service: Service,
    address: Address = "",
    channel: Channel = "",
    username: Username = "",
    namespace: Namespace = "default",
    secret_ref: SecretRef = "",
    export: Export = False,
) -> int:
    """Create or change a Provider: a service that Alerts notify (also: alert-provider).

    An address that is a secret itself, as that of a webhook often is, belongs into the Secret.

    Example: gitsync create provider slack --type slack --channel general --secret-ref slack-webhook
    """
    spec = {
        "type": service,
        "address": address,
        "channel": channel,
        "username": username,
        "secretRef": reference(secret_ref),
    }
    return await create(settings, manifest_of(_API_VERSION, kind, namespace, name, spec), Applying(export, wait=False))


@verb.of(ALERT)
async def alert(
    settings: Settings,
    kind: Kind,
    name: Name,
    provider_ref: ProviderRef,
    event_source: EventSources,
    event_severity: Severity = "info",
    namespace: Namespace = "default",
    export: Export = False,
) -> int:
    """Create or change an Alert: which events a Provider is notified of.

    Example: gitsync create alert apps --provider-ref slack --event-source HelmRelease/backend
    """
    sources = [stated(with_namespace(item, "--event-source")) for item in listed(event_source)]
    for unheard in dict.fromkeys(source["kind"] for source in sources if not is_told_of(source["kind"])):
        meant = kind_meant(unheard)
        warn(f"gitsync has no events about a {unheard}" + (f": is {meant} meant?" if meant else ""))
    spec = {"providerRef": reference(provider_ref), "eventSeverity": event_severity, "eventSources": sources}
    return await create(settings, manifest_of(_API_VERSION, kind, namespace, name, spec), Applying(export, wait=False))


@verb.of(RECEIVER)
async def receiver(
    settings: Settings,
    kind: Kind,
    name: Name,
    sender: Sender,
    resource: Resources,
    secret_ref: TokenSecretRef,
    *,
    event: Events = None,
    namespace: Namespace = "default",
    applying: Applying,
) -> int:
    """Create or change a Receiver, and wait until it takes deliveries: the path of its webhook is printed then.

    Example: gitsync create receiver fleet --type github --resource GitRepository/flux-system --secret-ref webhook-token
    """
    spec = {
        "type": sender,
        "events": listed(event),
        "resources": [stated(with_namespace(item, "--resource")) for item in listed(resource)],
        "secretRef": reference(secret_ref),
    }
    manifest = manifest_of(_RECEIVER_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, applying)
