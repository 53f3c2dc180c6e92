"""What a commit wants: its YAML files read into desired objects, each with file, line and column, and errors that name
theirs. Files are parsed once and known by their blob; a commit that changes one file costs one file."""

from gitsync.manifests.content import Desired, DesiredObject, FileContent, ManifestWarning
from gitsync.manifests.parse import parse_file
from gitsync.manifests.reader import ManifestReader
from gitsync.manifests.unread import Unread, unread_errors

__all__ = [
    "Desired",
    "DesiredObject",
    "FileContent",
    "ManifestReader",
    "ManifestWarning",
    "Unread",
    "parse_file",
    "unread_errors",
]
