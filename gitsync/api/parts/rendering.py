"""What goes into a rendering and what is done to it: values, post-renderers, common metadata; and drift, health."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, FreeForm, Items, Name, Selector, StringMap, words_for

_VALUES_KEY = words_for(r"^[\-._a-zA-Z0-9]+$", "must be a key of a ConfigMap or Secret: letters, digits, - _ .")
_TARGET_PATH = words_for(
    r"^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$",
    "must be a path as helm --set takes it: letters, digits, - _ . / \\ and [index]",
)


class ValuesReference(ApiModel):
    """Values kept in a ConfigMap or Secret of the release's namespace."""

    kind: Literal["Secret", "ConfigMap"] = Field(description="Kind of the object.")
    name: Name = Field(description="Name of the object, in the release's namespace.")
    values_key: Annotated[str, Field(max_length=253, pattern=_VALUES_KEY)] = Field(
        "values.yaml", description="Key that holds the values, or the one value of targetPath; values.yaml when unset."
    )
    target_path: Annotated[str, Field(max_length=250, pattern=_TARGET_PATH)] | None = Field(
        None, description="Where the one value goes, in the grammar of helm --set; unset: the whole is merged."
    )
    literal: bool = Field(False, description="Take the value of targetPath as it is, not by the grammar of --set.")
    optional: bool = Field(False, description="Go on when the object or its key is missing.")


class Patch(ApiModel):
    """A strategic merge patch or JSON 6902 patch, as text."""

    patch: str = Field(description="The patch, in YAML or JSON.")
    target: Selector | None = Field(None, description="Which objects to patch.")


class JsonPatchOperation(ApiModel):
    """One operation of RFC 6902."""

    op: Literal["test", "remove", "add", "replace", "move", "copy"] = Field(description="What to do.")
    path: str = Field(description="JSON pointer to where.")
    from_: str | None = Field(None, alias="from", description="JSON pointer to the source, for move and copy.")
    value: FreeForm = Field(None, description="The value, for add, replace and test.")


class JsonPatch(ApiModel):
    """A JSON 6902 patch, written out."""

    patch: Items[JsonPatchOperation] = Field(description="The operations.")
    target: Selector = Field(description="Which objects to patch.")


class Image(ApiModel):
    """A change of an image's name, tag or digest."""

    name: str = Field(description="Name of the image to change, without tag.")
    new_name: str = Field("", description="The name to put in its place.")
    new_tag: str = Field("", description="The tag to put in its place.")
    digest: str = Field("", description="The digest to put in the tag's place; wins over newTag.")


class Kustomize(ApiModel):
    """Changes that kustomize makes to the rendered objects."""

    patches: Items[Patch] = Field((), description="Patches, in this order.")
    patches_strategic_merge: Items[FreeForm] = Field((), description="Deprecated: patches replace it.")
    patches_json6902: Items[JsonPatch] = Field(
        (), alias="patchesJson6902", description="Deprecated: patches replace it."
    )
    images: Items[Image] = Field((), description="Changes of images.")


class PostRenderer(ApiModel):
    """One step between rendering and applying."""

    kustomize: Kustomize | None = Field(None, description="Changes that kustomize makes.")


#: Which of a chart's hooks post-rendering sees: all, together with the objects or by themselves, or none.
PostRenderStrategy = Literal["nohooks", "combined", "separate"]


class CommonMetadata(ApiModel):
    """Labels and annotations for every object of the release; they win over the chart's."""

    labels: StringMap = Field(default_factory=dict, description="Labels to set.")
    annotations: StringMap = Field(default_factory=dict, description="Annotations to set.")


class IgnoreRule(ApiModel):
    """Fields that are left to others: that they differ does not count."""

    paths: Items[str] = Field(description="JSON pointers to the fields.")
    target: Selector | None = Field(None, description="Which objects; all when unset.")


class DriftDetection(ApiModel):
    """What to do when live objects differ from what the release applied."""

    mode: Literal["enabled", "warn", "disabled"] = Field(
        "disabled", description="enabled: report and correct; warn: report; disabled (default)."
    )
    ignore: Items[IgnoreRule] = Field((), description="What does not count.")


class WaitStrategy(ApiModel):
    """How readiness is judged."""

    name: Literal["poller", "legacy"] = Field(
        "poller", description="poller: by kstatus' rules (default); legacy: by those of Helm 3."
    )


class HealthCheck(ApiModel):
    """Readiness of a kind, in CEL over the object's fields. ``in_progress`` is asked first, then ``failed``."""

    api_version: str = Field(description="API version of the kind, of which the group counts.")
    kind: str = Field("", description="The kind; all kinds of the group without one of their own when unset.")
    in_progress: str = Field("", description="True while the object is on its way.")
    failed: str = Field("", description="True when the object has failed.")
    current: str = Field(description="True when the object is as it should be.")
