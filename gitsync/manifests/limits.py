"""Bounds of one commit; those of a single file and document are in ``gitsync.kubeyaml``."""

from __future__ import annotations

from typing import Final

#: Bytes of all files of a commit that are looked at.
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024
#: Manifest files of a commit, and objects in them: what a file holds is kept in memory, and a repository of some
#: kilobytes may have one small file under any number of names.
MAX_FILES: Final = 20_000
MAX_OBJECTS: Final = 50_000
#: Bytes of one object as JSON: the API server takes no larger request, whoever asks.
MAX_OBJECT_BYTES: Final = 3 * 1024 * 1024
#: Errors, and warnings, reported of one file.
MAX_ERRORS: Final = 100
#: Bytes and patterns of one .sourceignore.
MAX_IGNORE_BYTES: Final = 16 * 1024
MAX_IGNORE_PATTERNS: Final = 200
#: .sourceignore files of one commit.
MAX_IGNORE_FILES: Final = 500
