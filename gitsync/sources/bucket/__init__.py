"""Artifacts out of buckets: which objects one has, fetched when they changed, kept by digest, and read as a tree."""

from gitsync.sources.bucket.artifacts import BucketArtifacts
from gitsync.sources.bucket.spec import BucketArtifact, BucketSpec

__all__ = ["BucketArtifact", "BucketArtifacts", "BucketSpec"]
