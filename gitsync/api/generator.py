"""ArtifactGenerators (``source.extensions.fluxcd.io/v1beta1``) and the ExternalArtifacts that they make, typed."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, Items, Namespace, StringMap, words_for
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import EXTERNAL_ARTIFACT, SOURCE_GROUP
from gitsync.api.resource import Resource
from gitsync.api.status import Artifact, SourceStatus, StatusPart

_WORD = r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?"
_ALIAS = words_for(rf"^{_WORD}$", "must be of lower case letters, digits, - and _, with a letter or digit at both ends")
_AT_ALIAS = words_for(rf"^@({_WORD})$", "must be @ and the alias of a source")
_FROM = words_for(rf"^@({_WORD})/(.*)$", "must be @ and the alias of a source, / and a path or pattern")
_TO = words_for(r"^@(artifact)/(.*)$", "must begin with @artifact/")

_Reference = Annotated[str, Field(pattern=_AT_ALIAS, max_length=64)]


class CommonMetadata(ApiModel):
    """What every ExternalArtifact gets."""

    labels: StringMap = Field(default_factory=dict, description="Labels.")
    annotations: StringMap = Field(default_factory=dict, description="Annotations.")


class GeneratorSource(ApiModel):
    """A source, and what it is called here."""

    alias: Annotated[str, Field(pattern=_ALIAS, max_length=63)] = Field(description="What it is called here.")
    kind: Literal["Bucket", "GitRepository", "OCIRepository", "HelmChart", "ExternalArtifact"] = Field(
        description="Kind of the source."
    )
    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the source.")
    namespace: Namespace | None = Field(None, description="Namespace of the source; the generator's own when unset.")


class CopyOperation(ApiModel):
    """Files that are put into an artifact."""

    source: Annotated[str, Field(pattern=_FROM, min_length=1, max_length=1024)] = Field(
        alias="from", description="@alias/ and a path or a pattern: what to copy."
    )
    to: Annotated[str, Field(pattern=_TO, min_length=1, max_length=1024)] = Field(
        description="@artifact/ and a path: where to put it."
    )
    exclude: Annotated[Items[str], Field(max_length=100)] = Field((), description="Patterns of what to leave out.")
    strategy: Literal["Overwrite", "Merge", "Extract"] | None = Field(
        None,
        description="Overwrite (default), Merge YAML into a file that is there already, or Extract archives.",
    )


class OutputArtifact(ApiModel):
    """One artifact."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Name of the ExternalArtifact; with pathPattern it may hold captures, as {app}."
    )
    revision: _Reference | None = Field(
        None, description="@alias: has the revision of this source; by the content when unset."
    )
    origin_revision: _Reference | None = Field(
        None, description="@alias: the source whose revision says what the artifact was made of."
    )
    copy_: Annotated[Items[CopyOperation], Field(min_length=1)] = Field(
        alias="copy", description="What it holds; later files take the place of earlier ones."
    )


class ArtifactGeneratorSpec(ApiModel):
    """Artifacts that are made of the files of sources."""

    sources: Annotated[Items[GeneratorSource], Field(min_length=1, max_length=1000)] = Field(
        description="What the artifacts are made of."
    )
    artifacts: Annotated[Items[OutputArtifact], Field(min_length=1, max_length=1000)] = Field(
        description="What is made."
    )
    path_pattern: Annotated[str, Field(pattern=_FROM, max_length=1024)] | None = Field(
        None, description="@alias/ and a pattern of directories, as apps/{app}, each of which has artifacts of its own."
    )
    common_metadata: CommonMetadata | None = Field(None, description="What every ExternalArtifact gets.")


class MadeArtifact(StatusPart):
    """An ExternalArtifact that was made."""

    name: str = Field(description="Its name.")
    namespace: str = Field(description="Its namespace.")
    digest: str = Field(description="Checksum of its content, <algorithm>:<checksum>.")
    filename: str = Field("", description="Name of the file that it is stored as.")


class ArtifactGeneratorStatus(SourceStatus):
    """How the generator is."""

    inventory: Items[MadeArtifact] = Field((), description="What was made.")
    observed_sources_digest: str = Field("", description="Checksum of what it was made of.")


class ArtifactGenerator(Resource):
    """Artifacts that are made of the files of sources."""

    group: ClassVar[str] = SOURCE_EXTENSIONS_GROUP
    versions: ClassVar[tuple[str, ...]] = ("v1beta1",)

    kind: Literal["ArtifactGenerator"]
    spec: ArtifactGeneratorSpec

    @cached_property
    def status(self) -> ArtifactGeneratorStatus:
        """The status, typed; everything unset when there is none."""
        return ArtifactGeneratorStatus.read(self.manifest.get("status"))

    def source_key(self, source: GeneratorSource) -> ObjectKey:
        """Which object a source is."""
        return ObjectKey(SOURCE_GROUP, source.kind, source.namespace or self.metadata.namespace, source.name)

    def artifact_key(self, name: str) -> ObjectKey:
        """The ExternalArtifact of a name."""
        return ObjectKey(SOURCE_GROUP, EXTERNAL_ARTIFACT, self.metadata.namespace, name)


class ExternalArtifactSpec(ApiModel):
    """An artifact that something else than a source of this group has made."""

    source_ref: dict[str, Any] | None = Field(None, description="What has made it.")


class ExternalArtifactStatus(SourceStatus):
    """What it holds."""

    artifact: Artifact | None = Field(None, description="The artifact.")


class ExternalArtifact(Resource):
    """An artifact that something else than a source of this group has made."""

    group: ClassVar[str] = SOURCE_GROUP
    versions: ClassVar[tuple[str, ...]] = ("v1",)

    kind: Literal["ExternalArtifact"]
    spec: ExternalArtifactSpec
