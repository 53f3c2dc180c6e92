"""Where a release's chart comes from: ``spec.chart`` and ``spec.chartRef``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, Duration, Items, LocalReference, Name, Namespace, StringMap

ReconcileStrategy = Literal["ChartVersion", "Revision"]


class SourceReference(ApiModel):
    """The source that holds the chart."""

    api_version: str = Field("", description="API version of the source; not needed.")
    kind: Literal["HelmRepository", "GitRepository", "Bucket"] = Field(description="Kind of the source.")
    name: Name = Field(description="Name of the source.")
    namespace: Namespace | None = Field(None, description="Namespace of the source; the release's own when unset.")


class ChartReference(ApiModel):
    """An object that already stands for one chart."""

    api_version: str = Field("", description="API version of the object; not needed.")
    kind: Literal["OCIRepository", "HelmChart", "ExternalArtifact"] = Field(description="Kind of the object.")
    name: Name = Field(description="Name of the object.")
    namespace: Namespace | None = Field(None, description="Namespace of the object; the release's own when unset.")


class OidcIdentity(ApiModel):
    """Who may have signed, when signing was keyless."""

    issuer: str = Field(description="Regular expression over the issuer in the certificate.")
    subject: str = Field(description="Regular expression over the subject in the certificate.")


class Verification(ApiModel):
    """Whether and how a signature is checked. Charts: only those of OCI repositories."""

    provider: Literal["cosign", "notation"] = Field("cosign", description="The tool that signed; cosign when unset.")
    secret_ref: LocalReference | None = Field(None, description="Secret with the trusted public keys.")
    match_oidc_identity: Items[OidcIdentity] = Field(
        (), alias="matchOIDCIdentity", description="Identities trusted for keyless signatures; one match is enough."
    )
    trusted_root_secret_ref: LocalReference | None = Field(
        None, description="Secret with trusted_root.json, for a Sigstore of your own."
    )


class ChartMetadata(ApiModel):
    """Labels and annotations for the HelmChart object that is made for the release."""

    labels: StringMap = Field(default_factory=dict, description="Labels of the HelmChart.")
    annotations: StringMap = Field(default_factory=dict, description="Annotations of the HelmChart.")


class ChartChoice(ApiModel):
    """Which chart of a source, in which version, with which default values."""

    chart: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="Name of the chart, or its path in a Git repository or bucket."
    )
    version: str = Field(
        "*", description="Version or semver range, for HelmRepositories; * means the newest that is no prerelease."
    )
    reconcile_strategy: ReconcileStrategy = Field(
        "ChartVersion", description="What makes a chart new: its version (default), or any new revision of its source."
    )
    values_files: Items[str] = Field(
        (), description="Files of the chart to take values from in place of values.yaml; later ones win."
    )
    values_file: str = Field("", description="Deprecated: merged before valuesFiles, which replace it.")
    ignore_missing_values_files: bool = Field(False, description="Pass over valuesFiles that do not exist.")
    verify: Verification | None = Field(None, description="Check the chart's signature; OCI repositories only.")

    def all_values_files(self) -> tuple[str, ...]:
        """``valuesFiles``, after the deprecated ``valuesFile``."""
        return (self.values_file, *self.values_files) if self.values_file else self.values_files

    @property
    def choice(self) -> ChartChoice:
        """The same and nothing more."""
        return ChartChoice.model_construct(**{name: getattr(self, name) for name in ChartChoice.model_fields})


class ChartSpec(ChartChoice):
    """Which chart of which source."""

    source_ref: SourceReference = Field(description="The source that holds the chart.")
    interval: Duration | None = Field(
        None, description="How often to look for a new version; the release's interval when unset."
    )


class ChartTemplate(ApiModel):
    """The release's chart, named in place."""

    metadata: ChartMetadata | None = Field(None, description="Labels and annotations of the HelmChart.")
    spec: ChartSpec = Field(description="Which chart of which source, in which version.")
