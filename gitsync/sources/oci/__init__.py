"""Artifacts out of registries: which one a reference means, its layer fetched, kept by digest, and read as a chart."""

from gitsync.sources.oci.artifacts import OciArtifacts
from gitsync.sources.oci.spec import ArtifactSpec, OciArtifact
from gitsync.sources.oci.verification import CosignVerification

__all__ = ["ArtifactSpec", "CosignVerification", "OciArtifact", "OciArtifacts"]
