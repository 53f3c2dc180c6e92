"""Statuses, typed: what gitsync and Flux write there, and what the CRDs let through."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from gitsync.api.fields import ApiModel, Items, StringMap

_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)

ConditionStatus = Literal["True", "False", "Unknown"]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def _merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch from one to the other, in which what stays is given again."""
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        was = before.get(name)
        patch[name] = _merge_patch(was, value) if isinstance(was, dict) and isinstance(value, dict) else value
    return patch


def _only(fields: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}


class StatusPart(ApiModel):
    """Base of what a status is made of. gitsync makes these itself, by the names of the fields here."""

    model_config = ConfigDict(validate_by_name=True)


class StatusModel(StatusPart):
    """Base of the statuses."""

    @classmethod
    def read(cls, status: object) -> Self:
        """The typed form of a manifest's ``status``. A field that cannot be read is taken for unset: a status that
        somebody has edited by hand never keeps an object from being reconciled."""
        fields = status if isinstance(status, dict) else {}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            bad = {detail["loc"][0] for detail in error.errors(include_url=False, include_input=False)}
            return cls.model_validate({name: value for name, value in fields.items() if name not in bad})

    def patch_from(self, old: Self) -> dict[str, Any]:
        """The JSON merge patch that makes ``old`` this one; {} when they are equal. Fields of the manifest that are not
        in the model stay as they are."""
        before, after = (item.model_dump(by_alias=True, exclude_defaults=True) for item in (old, self))
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        return dict.fromkeys(changed) | _merge_patch(_only(before, changed), _only(after, changed))


class Condition(StatusPart):
    """Kubernetes' metav1.Condition."""

    type: Annotated[str, Field(max_length=316, pattern=_TYPE)] = Field(description="What is judged.")
    status: ConditionStatus = Field(description="The judgement.")
    observed_generation: Annotated[int, Field(ge=0)] = Field(0, description="The generation that was judged.")
    last_transition_time: Time = Field(description="When the status last changed.")
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=_REASON)] = Field(
        description="Why, in one word for programs."
    )
    message: Annotated[str, Field(max_length=32768)] = Field(description="Why, for people.")


class HookRun(StatusPart):
    """How a test hook went."""

    last_started: Time = Field("", description="When it was started.")
    last_completed: Time = Field("", description="When it ended.")
    phase: str = Field("", description="Unknown, Running, Succeeded or Failed.")


class Snapshot(StatusPart):
    """One revision of a release, as it was recorded."""

    api_version: str = Field("", description="How the digest was calculated.")
    digest: str = Field(description="Checksum of Helm's record, <algorithm>:<checksum>.")
    name: str = Field(description="Name of the Helm release.")
    namespace: str = Field(description="Namespace released to.")
    version: int = Field(description="Revision of the Helm release.")
    status: str = Field(description="Helm's status of the revision.")
    chart_name: str = Field(description="Name of the chart.")
    chart_version: str = Field(description="Version of the chart.")
    app_version: str = Field("", description="Version of the application in the chart.")
    config_digest: str = Field(description="Checksum of the values, <algorithm>:<checksum>.")
    first_deployed: Time = Field(description="When the release was first deployed.")
    last_deployed: Time = Field(description="When this revision was deployed.")
    deleted: Time = Field("", description="When the release was uninstalled.")
    test_hooks: dict[str, HookRun] | None = Field(None, description="How the tests went, by the hook's name.")
    oci_digest: str = Field("", description="Digest of the OCI artifact.")
    action: str = Field("", description="The action that brought this revision about.")


class ResourceRef(StatusPart):
    """An object of the release, or of the Kustomization."""

    id: str = Field(description="<namespace>_<name>_<group>_<kind>.")
    v: str = Field(description="API version of the kind.")


class ResourceInventory(StatusPart):
    """The objects of the release (CRDs too, hooks not), or of the Kustomization."""

    entries: Items[ResourceRef] = Field(description="The objects.")


class SourceStatus(StatusModel):
    """What every kind's status has."""

    observed_generation: int = Field(0, description="The generation last dealt with.")
    conditions: Items[Condition] = Field((), description="The judgements.")
    last_handled_reconcile_at: str = Field("", description="The last requestedAt that was dealt with.")


class HelmReleaseStatus(SourceStatus):
    """How the release is."""

    observed_post_renderers_digest: str = Field("", description="Checksum of postRenderers, last success.")
    observed_common_metadata_digest: str = Field("", description="Checksum of commonMetadata, last success.")
    last_attempted_generation: int = Field(0, description="The generation last tried.")
    helm_chart: str = Field("", description="<namespace>/<name> of the HelmChart, where there is one.")
    storage_namespace: str | None = Field(None, min_length=1, max_length=63, description="Where the records are.")
    history: Items[Snapshot] = Field((), description="Revisions, newest first, back to the last that succeeded.")
    inventory: ResourceInventory | None = Field(None, description="The objects of the release.")
    last_attempted_release_action: Literal["install", "upgrade"] | None = Field(
        None, description="The action last tried; it decides which remediation applies."
    )
    last_attempted_release_action_duration: str = Field("", description="How long that took.")
    failures: int = Field(0, description="Failures since the last success or change.")
    install_failures: int = Field(0, description="Failed installs since the last success or change.")
    upgrade_failures: int = Field(0, description="Failed upgrades since the last success or change.")
    last_attempted_revision: str = Field("", description="Chart version last tried.")
    last_attempted_revision_digest: str = Field("", description="Digest of the OCI artifact last tried.")
    last_attempted_config_digest: str = Field("", description="Checksum of the values last tried.")
    last_attempted_values_checksum: str = Field("", description="Deprecated: lastAttemptedConfigDigest replaces it.")
    last_release_revision: int = Field(0, description="Deprecated: history replaces it.")
    last_applied_revision: str = Field("", description="Deprecated: history replaces it.")
    last_handled_force_at: str = Field("", description="The last forceAt that was dealt with.")
    last_handled_reset_at: str = Field("", description="The last resetAt that was dealt with.")
    last_handled_commit: str = Field("", description="The Git commit last dealt with; gitsync's own field.")


class Artifact(StatusPart):
    """What was last read from a source."""

    path: str = Field("", description="Path of the artifact in its store.")
    url: str = Field("", description="Where the artifact can be fetched.")
    revision: str = Field("", description="Revision of the source.")
    digest: str = Field("", description="Checksum of the artifact, <algorithm>:<checksum>.")
    checksum: str = Field("", description="Deprecated: digest replaces it.")
    last_update_time: Time = Field("", description="When the artifact changed.")
    size: int | None = Field(None, description="Its size in bytes.")
    metadata: StringMap = Field(default_factory=dict, description="What the source says of it.")


class HelmRepositoryStatus(SourceStatus):
    """How the repository is."""

    url: str = Field("", description="Where the index was read.")
    artifact: Artifact | None = Field(None, description="The index last read.")


class OCIRepositoryStatus(HelmRepositoryStatus):
    """How the OCI repository is."""

    content_config_checksum: str = Field("", description="Deprecated: of older Flux versions.")
    observed_ignore: str | None = Field(None, description="The ignore rules in use.")
    observed_layer_selector: dict[str, str] | None = Field(None, description="The layer selector in use.")


class BucketStatus(HelmRepositoryStatus):
    """How the bucket is."""

    observed_ignore: str | None = Field(None, description="The ignore rules in use.")


class HelmChartStatus(HelmRepositoryStatus):
    """How the chart is."""

    observed_source_artifact_revision: str = Field("", description="Revision of the source.")
    observed_chart_name: str = Field("", description="Name of the chart that was found.")
    observed_values_files: Items[str] = Field((), description="Files merged.")


class GitRepositoryStatus(HelmRepositoryStatus):
    """How the Git repository is."""

    content_config_checksum: str = Field("", description="Deprecated: of older Flux versions.")
    included_artifacts: Items[Artifact] = Field((), description="What was included.")
    observed_ignore: str | None = Field(None, description="The ignore rules in use.")
    observed_recurse_submodules: bool = Field(False, description="Whether submodules were read.")
    observed_include: Items[dict[str, Any]] = Field((), description="The includes in use.")
    observed_sparse_checkout: Items[str] = Field((), description="The directories in use.")
    source_verification_mode: str = Field("", description="What was verified.")


class KustomizationStatus(SourceStatus):
    """How the Kustomization is."""

    last_applied_revision: str = Field("", description="The revision last applied, and healthy if that was waited for.")
    last_applied_origin_revision: str = Field("", description="The commit that an OCI artifact was made of.")
    last_attempted_revision: str = Field("", description="The revision last tried.")
    last_applied_digest: str = Field("", description="Checksum of the objects last applied; gitsync's own field.")
    inventory: ResourceInventory | None = Field(None, description="The objects that are there for it.")
    history: Items[dict[str, Any]] = Field((), description="The last five reconciliations, newest first.")
