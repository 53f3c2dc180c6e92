"""Receivers (``notification.toolkit.fluxcd.io`` v1, v1beta2, v1beta1), typed: webhooks that ask for objects to be
looked at."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, Duration, Items, LocalReference, Name, StringMap, cel_rules, words_for
from gitsync.api.identity import ObjectKey, group_of
from gitsync.api.kinds import IMAGE_GROUP, NOTIFICATION_GROUP, SOURCE_EXTENSIONS_GROUP, FluxKind
from gitsync.api.names import HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP
from gitsync.api.resource import Resource
from gitsync.api.status import SourceStatus

#: Seconds between two looks at a Receiver's Secret, which is watched as well.
DEFAULT_RECEIVER_INTERVAL: Final = 600.0
#: What a token has to be for, where a provider of ``generic-oidc`` says nothing: Flux's own word.
DEFAULT_AUDIENCE: Final = "notification-controller"
#: What stands for every name, beside matchLabels.
ANY_NAME: Final = "*"
GENERIC_OIDC: Final = "generic-oidc"

_ISSUER = words_for(r"^https?://", "must be a URL that begins with https:// or http://")
_MATCH = "the labels must be given in matchLabels where name is *"

#: ``gitea`` is gitsync's own word: Flux takes ``github`` for it, as we do, too.
ReceiverType = Literal[
    "generic",
    "generic-hmac",
    "generic-oidc",
    "github",
    "gitea",
    "gitlab",
    "bitbucket",
    "harbor",
    "dockerhub",
    "quay",
    "gcr",
    "nexus",
    "acr",
    "cdevents",
]
_OTHER_GROUPS: Final = {
    "Kustomization": KUSTOMIZE_GROUP,
    "HelmRelease": HELM_GROUP,
    "ImageRepository": IMAGE_GROUP,
    "ImagePolicy": IMAGE_GROUP,
    "ImageUpdateAutomation": IMAGE_GROUP,
    "ArtifactGenerator": SOURCE_EXTENSIONS_GROUP,
}


class ReceiverResource(ApiModel):
    """An object, or several of a kind, that a delivery asks for."""

    api_version: str = Field("", description="API version of the object; not needed.")
    kind: FluxKind = Field(description="Kind of the object.")
    name: Name = Field(description="Name of the object; * for all that have the labels of matchLabels.")
    namespace: Name | None = Field(None, description="Namespace of the object; the Receiver's own when unset.")
    match_labels: StringMap | None = Field(None, description="Labels that the objects must have; with name *.")
    filter: str = Field("", description="As resourceFilter, for this entry alone.")

    @property
    def group(self) -> str:
        """The API group that the kind is of."""
        return _OTHER_GROUPS.get(self.kind, SOURCE_GROUP)

    @property
    def is_foreign(self) -> bool:
        """Whether apiVersion names another group than the kind's own."""
        return bool(self.api_version) and group_of(self.api_version) != self.group


class OIDCVariable(ApiModel):
    """An expression with a name."""

    name: Annotated[str, Field(min_length=1)] = Field(description="What it is called: vars.<name>.")
    expression: Annotated[str, Field(min_length=1)] = Field(description="A CEL expression over claims and vars.")


class OIDCValidation(ApiModel):
    """What has to be true of a token."""

    expression: Annotated[str, Field(min_length=1)] = Field(description="A CEL expression over claims and vars.")
    message: Annotated[str, Field(min_length=1)] = Field(description="What is answered when it is false.")


class OIDCProvider(ApiModel):
    """Who issues tokens, and which of them are taken."""

    issuer_url: Annotated[str, Field(pattern=_ISSUER)] = Field(
        alias="issuerURL", description="URL of the issuer, the claim iss of its tokens."
    )
    audience: str = Field("", description="The claim aud; notification-controller when unset.")
    variables: Items[OIDCVariable] = Field((), description="Expressions with names, for validations.")
    validations: Annotated[Items[OIDCValidation], Field(min_length=1)] = Field(
        description="What has to be true of a token: its signature alone says only who issued it."
    )

    @property
    def wanted_audience(self) -> str:
        """The audience that a token must have."""
        return self.audience or DEFAULT_AUDIENCE


_RULES = (
    (
        "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)",
        "generic-oidc receivers must define at least one oidcProvider",
    ),
    (
        "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0",
        "oidcProviders can only be set when type is generic-oidc",
    ),
    (
        "self.type != 'generic-oidc' || !has(self.secretRef)",
        "secretRef cannot be set when type is generic-oidc",
    ),
    (
        "self.type == 'generic-oidc' || has(self.secretRef)",
        "secretRef is required when type is not generic-oidc",
    ),
)


class ReceiverSpec(ApiModel):
    """Who may ask, and for what."""

    model_config = cel_rules(*_RULES)

    type: ReceiverType = Field(description="Who sends, which says how a delivery is verified.")
    interval: Duration = Field(
        DEFAULT_RECEIVER_INTERVAL, description="How often the Secret is looked at; 10m when unset."
    )
    events: Items[str] = Field((), description="Events that count, such as push; all when unset.")
    resources: Items[ReceiverResource] = Field(description="What is asked for.")
    resource_filter: str = Field(
        "",
        description="A CEL expression over res (an object's metadata), req (the body) and, of generic-oidc, claims; "
        "objects of which it is false are not asked for.",
    )
    secret_ref: LocalReference | None = Field(
        None, description="Secret with token; for gcr also with email and audience."
    )
    oidc_providers: Items[OIDCProvider] = Field((), description="Whose tokens generic-oidc takes.")
    suspend: bool = Field(False, description="Take no deliveries.")


class ReceiverStatus(SourceStatus):
    """Where deliveries go."""

    webhook_path: str = Field("", description="Path of the webhook: /hook/<sha256 of token, name and namespace>.")


class Receiver(Resource):
    """A webhook that asks for objects to be looked at."""

    group: ClassVar[str] = NOTIFICATION_GROUP
    versions: ClassVar[tuple[str, ...]] = ("v1", "v1beta2", "v1beta1")

    kind: Literal["Receiver"]
    spec: ReceiverSpec

    @cached_property
    def status(self) -> ReceiverStatus:
        """The status, typed; everything unset when there is none."""
        return ReceiverStatus.read(self.manifest.get("status"))

    @property
    def defect(self) -> str:
        """What keeps it from taking deliveries, beside the types of its fields; "" when nothing does."""
        return self.broken_rule or self._defect_of_resources()

    @property
    def broken_rule(self) -> str:
        """What the API server does not take, either; "" when that is nothing."""
        spec = self.spec
        if spec.type == GENERIC_OIDC:
            if not spec.oidc_providers:
                return _RULES[0][1]
            if spec.secret_ref is not None:
                return _RULES[2][1]
        elif spec.oidc_providers:
            return _RULES[1][1]
        elif spec.secret_ref is None:
            return _RULES[3][1]
        return ""

    def _defect_of_resources(self) -> str:
        for index, item in enumerate(self.spec.resources):
            if item.is_foreign:
                return f"spec.resources[{index}].apiVersion: {item.kind} is of the group {item.group}"
            if item.name == ANY_NAME and item.match_labels is None:
                return f"spec.resources[{index}]: {_MATCH}"
        issuers = [provider.issuer_url for provider in self.spec.oidc_providers]
        twice = next((url for url in issuers if issuers.count(url) > 1), "")
        return f"spec.oidcProviders names {twice} twice" if twice else ""

    def key_of(self, item: ReceiverResource) -> ObjectKey:
        """The object that an entry names, or of which kind and namespace it names all."""
        return ObjectKey(item.group, item.kind, item.namespace or self.metadata.namespace, item.name)
