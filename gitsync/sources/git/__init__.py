"""Git repositories as sources: one mirror for all that name the same, their references resolved by one question, and
what of a commit their artifacts hold; whose signatures a commit must have, and has."""

from gitsync.sources.git.artifacts import GitArtifacts
from gitsync.sources.git.spec import Content, GitArtifact, GitPlace, GitSpec, Include, Part
from gitsync.sources.git.verification import Verification, verified

__all__ = [
    "Content",
    "GitArtifact",
    "GitArtifacts",
    "GitPlace",
    "GitSpec",
    "Include",
    "Part",
    "Verification",
    "verified",
]
