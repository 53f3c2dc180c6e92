"""What a commit wants: its YAML and JSON files read into desired objects, each with file, line and column, and errors
that name theirs. Files are parsed once and known by their blob; a commit that changes one file costs one file."""

from gitsync.manifests.content import Desired, DesiredObject, Entry, FileContent
from gitsync.manifests.parse import parse_file
from gitsync.manifests.reader import ManifestReader

__all__ = ["Desired", "DesiredObject", "Entry", "FileContent", "ManifestReader", "parse_file"]
