"""What a commit wants: its YAML files read into desired objects. Objects and errors have file, line and column. Files
are parsed once and known by their blob, so a commit that changes one file costs one file."""

from gitsync.manifests.content import Desired, DesiredObject, FileContent, ManifestWarning, Source
from gitsync.manifests.desired import assemble
from gitsync.manifests.faults import is_manifest
from gitsync.manifests.ignore import IgnoreRules
from gitsync.manifests.limits import MAX_FILES, MAX_TOTAL_BYTES
from gitsync.manifests.parse import Place, parse_file, parse_value
from gitsync.manifests.placeholders import (
    ENCRYPTED,
    LFS_POINTER,
    as_it_stays,
    is_encrypted,
    is_lfs_pointer,
    stays_encrypted,
)
from gitsync.manifests.reader import ManifestReader
from gitsync.manifests.rules import RulesReader
from gitsync.manifests.select import Selection
from gitsync.manifests.unread import Unread, unread_errors

__all__ = [
    "ENCRYPTED",
    "LFS_POINTER",
    "MAX_FILES",
    "MAX_TOTAL_BYTES",
    "Desired",
    "DesiredObject",
    "FileContent",
    "IgnoreRules",
    "ManifestReader",
    "ManifestWarning",
    "Place",
    "RulesReader",
    "Selection",
    "Source",
    "Unread",
    "as_it_stays",
    "assemble",
    "is_encrypted",
    "is_lfs_pointer",
    "is_manifest",
    "parse_file",
    "parse_value",
    "stays_encrypted",
    "unread_errors",
]
