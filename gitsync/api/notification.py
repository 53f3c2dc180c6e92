"""Flux's Provider and Alert (``notification.toolkit.fluxcd.io/v1beta3``), typed. Neither has a status."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import Field

from gitsync.api.fields import ApiModel, Duration, Items, LocalReference, Namespace, StringMap, words_for
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import NOTIFICATION_GROUP, FluxKind
from gitsync.api.names import PROVIDER
from gitsync.api.resource import Resource

#: What a Provider's type may be with Flux; those of ``SERVED_TYPES`` are sent to.
ProviderType = Literal[
    "generic",
    "generic-hmac",
    "slack",
    "discord",
    "msteams",
    "rocket",
    "googlechat",
    "googlepubsub",
    "webex",
    "sentry",
    "azureeventhub",
    "telegram",
    "lark",
    "matrix",
    "opsgenie",
    "alertmanager",
    "grafana",
    "pagerduty",
    "datadog",
    "nats",
    "zulip",
    "otel",
    "zoom",
    "incidentio",
    "githubdispatch",
    "github",
    "gitlab",
    "gitea",
    "bitbucket",
    "bitbucketserver",
    "azuredevops",
    "githubpullrequestcomment",
    "gitlabmergerequestcomment",
    "giteapullrequestcomment",
]
#: The types that give a commit its status.
COMMIT_STATUS_TYPES: Final = frozenset({"github", "gitlab", "gitea", "bitbucket", "azuredevops"})
SERVED_TYPES: Final = COMMIT_STATUS_TYPES | frozenset(
    {
        "generic",
        "generic-hmac",
        "slack",
        "discord",
        "msteams",
        "googlechat",
        "telegram",
        "matrix",
        "alertmanager",
        "grafana",
        "pagerduty",
        "opsgenie",
    }
)
#: Of an event source's name: every object of the kind.
EVERY: Final = "*"
_PROXY = words_for(r"^(http|https)://.*$", "must be an http:// or https:// address")
#: Others than Flux's own too: what comes with Flux, as its operator, adds its kinds to the definition of Alerts.
_KIND = words_for(r"^[A-Z][A-Za-z0-9]*$", "must be the name of a kind")
_Text = Annotated[str, Field(max_length=2048)]


def is_told_of(kind: str) -> bool:
    """Whether there are events of objects of a kind."""
    return kind in get_args(FluxKind)


def kind_meant(kind: str) -> str:
    """The kind with events that one without any is likely to stand for; "" for none."""
    known = {name.lower(): name for name in get_args(FluxKind)}
    close = get_close_matches(kind.lower(), known, 1, 0.8)
    return known[close[0]] if close else ""


class ProviderSpec(ApiModel):
    """Who is notified, and how."""

    type: ProviderType = Field(description="Kind of service.")
    interval: Duration | None = Field(None, description="Accepted and without effect, as with Flux.")
    channel: _Text = Field("", description="Channel, chat, room or routing key, as the service calls it.")
    username: _Text = Field("", description="Name to post as.")
    address: _Text = Field("", description="http(s):// address of the service, or of a Git repository.")
    timeout: Duration | None = Field(None, description="How long the service may take to answer; 15s when unset.")
    proxy: Annotated[str, Field(pattern=_PROXY, max_length=2048)] | None = Field(
        None, description="Deprecated: address of a proxy; use proxySecretRef."
    )
    proxy_secret_ref: LocalReference | None = Field(None, description="Secret with the address of a proxy.")
    secret_ref: LocalReference | None = Field(
        None, description="Secret with address, token, headers, username, password or proxy."
    )
    cert_secret_ref: LocalReference | None = Field(None, description="Secret with ca.crt, and tls.crt with tls.key.")
    service_account_name: str | None = Field(None, description="Of types that log in to a cloud; none is served.")
    suspend: bool = Field(False, description="Send nothing.")
    commit_status_expr: str = Field(
        "", description="CEL for the name of a commit's status, of event, alert and provider."
    )


class EventSource(ApiModel):
    """Whose events are meant."""

    api_version: str = Field("", description="API version of the objects; not needed.")
    kind: Annotated[str, Field(pattern=_KIND, max_length=63)] = Field(description="Kind of the objects.")
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name of the object, or * for all.")
    namespace: Namespace | None = Field(None, description="Namespace of the objects; the alert's own when unset.")
    match_labels: StringMap = Field(default_factory=dict, description="Labels of the objects; with the name *.")


class AlertSpec(ApiModel):
    """Which events go to a Provider."""

    provider_ref: LocalReference = Field(description="The Provider, in the same namespace.")
    event_severity: Literal["info", "error"] = Field("info", description="error leaves out what is not one.")
    event_sources: Annotated[Items[EventSource], Field(min_length=1)] = Field(description="Whose events are meant.")
    inclusion_list: Items[str] = Field((), description="Regular expressions; one of them has to match the message.")
    exclusion_list: Items[str] = Field((), description="Regular expressions; none of them may match the message.")
    event_metadata: StringMap = Field(default_factory=dict, description="What is added to the metadata of each event.")
    summary: Annotated[str, Field(max_length=255)] = Field("", description="A few words that go with each event.")
    suspend: bool = Field(False, description="Pass nothing on.")


class _Notification(Resource):
    group: ClassVar[str] = NOTIFICATION_GROUP
    versions: ClassVar[tuple[str, ...]] = ("v1beta3", "v1beta2", "v1beta1")


class Provider(_Notification):
    """Somebody to notify."""

    kind: Literal["Provider"]
    spec: ProviderSpec


class Alert(_Notification):
    """Which events somebody is notified of."""

    kind: Literal["Alert"]
    spec: AlertSpec

    @cached_property
    def provider(self) -> ObjectKey:
        """Whom it notifies."""
        return ObjectKey(NOTIFICATION_GROUP, PROVIDER, self.metadata.namespace, self.spec.provider_ref.name)
