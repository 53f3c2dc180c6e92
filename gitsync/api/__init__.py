"""The API: identity of objects, our own kinds typed (HelmRelease and its sources), their checks, conditions and names.

Pure data and pure functions; everything else in gitsync stands on it. A kind, or a group of kinds, is a module, with
``parts`` of their specs beside; ``checking`` says what is wrong with a manifest. The CustomResourceDefinitions are made
by ``gitsync.api.crds``, the words are in ``gitsync.api.names``.
"""

from gitsync.api.checking.check import RESOURCES, check, drop_nulls
from gitsync.api.conditions import get_condition, is_ready, remove_condition, rfc3339, set_condition
from gitsync.api.duration import format_duration, parse_duration
from gitsync.api.fields import FieldError, FieldPath, dotted
from gitsync.api.helmrelease import ActionName, DependencyRef, HelmRelease, HelmReleaseSpec
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin, group_of
from gitsync.api.kustomization import Kustomization
from gitsync.api.resource import Metadata, Resource
from gitsync.api.sources import Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository
from gitsync.api.status import Condition, HelmReleaseStatus, HelmRepositoryStatus, Snapshot

__all__ = [
    "RESOURCES",
    "ActionName",
    "Bucket",
    "CommitInfo",
    "Condition",
    "DependencyRef",
    "FieldError",
    "FieldPath",
    "GitRepository",
    "HelmChart",
    "HelmRelease",
    "HelmReleaseSpec",
    "HelmReleaseStatus",
    "HelmRepository",
    "HelmRepositoryStatus",
    "Kustomization",
    "Manifest",
    "Metadata",
    "OCIRepository",
    "ObjectKey",
    "Origin",
    "Resource",
    "Snapshot",
    "check",
    "dotted",
    "drop_nulls",
    "format_duration",
    "get_condition",
    "group_of",
    "is_ready",
    "parse_duration",
    "remove_condition",
    "rfc3339",
    "set_condition",
]
