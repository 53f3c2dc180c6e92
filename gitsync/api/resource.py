"""A typed custom resource: its metadata, its spec, and the raw object that both were read from."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Self

from pydantic import Field, PrivateAttr, ValidationError

from gitsync.api.fields import ApiModel, Items, StringMap, explain
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.shapes import without_nulls
from gitsync.errors import FieldErrors


class Metadata(ApiModel):
    """The parts of Kubernetes' ObjectMeta that gitsync looks at."""

    name: str
    namespace: str = ""
    labels: StringMap = Field(default_factory=dict)
    annotations: StringMap = Field(default_factory=dict)
    generation: int = 0
    uid: str = ""
    resource_version: str = ""
    finalizers: Items[str] = ()
    creation_timestamp: str = ""
    #: "" unless the object is being deleted.
    deletion_timestamp: str = ""


class Resource(ApiModel):
    """Base of the typed kinds. Subclasses give ``kind`` its Literal and ``spec`` its type."""

    group: ClassVar[str]
    #: Versions understood, the stored one first.
    versions: ClassVar[tuple[str, ...]]

    api_version: str
    kind: str
    metadata: Metadata
    _manifest: Manifest = PrivateAttr()

    @classmethod
    def parse(cls, manifest: Manifest) -> Self:
        """The typed form of an object, from Git or from the cluster. A field set to null counts as unset.

        The manifest is kept, not copied. Unknown fields are passed over: ``check`` reports those.

        Raises: FieldErrors naming every field that cannot be read.
        """
        try:
            parsed = cls.model_validate(manifest)
        except ValidationError as error:
            parsed = cls._parse_without_nulls(manifest, error)
        parsed._manifest = manifest
        return parsed

    @classmethod
    def _parse_without_nulls(cls, manifest: Manifest, error: ValidationError) -> Self:
        # Few manifests hold a null, so only one that failed pays for the search.
        cleaned = without_nulls(manifest, cls)
        if cleaned is not manifest:
            try:
                return cls.model_validate(cleaned)
            except ValidationError as second:
                error = second
        details = error.errors(include_url=False)
        raise FieldErrors([explain(detail) for detail in details], key=_key_if_any(manifest)) from None

    @property
    def manifest(self) -> Manifest:
        """The object as it was given to ``parse``."""
        return self._manifest

    @cached_property
    def key(self) -> ObjectKey:
        """The object's identity; its namespace as the manifest has it."""
        return ObjectKey(self.group, self.kind, self.metadata.namespace, self.metadata.name)


def _key_if_any(manifest: Manifest) -> ObjectKey | None:
    try:
        return ObjectKey.of(manifest)
    except (KeyError, TypeError, AttributeError):
        return None
