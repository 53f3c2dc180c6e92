"""Bounds of one build. What kustomize may take on top of them is in ``gitsync.kustomize``."""

from __future__ import annotations

from typing import Final

from gitsync.kustomize import MAX_TEXT

#: Files that one run of kustomize may read, and their bytes together.
MAX_FILES: Final = 5_000
MAX_BYTES: Final = MAX_TEXT
#: What a part of a directory of plain manifests has, about. kustomize needs the square of the number of objects (0.2 s
#: for 100, 7 s for 1,500), and a commit that changes one file is to cost one part. All parts together may be as much as
#: manifests that are read without kustomize.
PART_FILES: Final = 64
PART_BYTES: Final = 2 << 20
#: Bytes that the files of all builds under way may take, and those of one namespace; and what each namespace may take
#: whatever the others have.
INPUTS: Final = 40 << 20
INPUTS_OF_OWNER: Final = 24 << 20
ALWAYS: Final = 1 << 20
#: Kustomizations that one build may come to: the directory's own, its bases and components.
MAX_KUSTOMIZATIONS: Final = 500
#: Remote bases and files that one build may fetch, and the bytes of such a file.
MAX_REMOTES: Final = 32
MAX_REMOTE_FILE: Final = 8 << 20
#: Errors that are reported of one build.
MAX_ERRORS: Final = 100
#: Bytes that are remembered of builds: of kustomize's output with the documents that it came from (OUTPUT); of the
#: objects made of that (OBJECTS), which take about OBJECTS_WEIGHT times their text; of the kustomizations and documents
#: of files (BYTES). All caches share one room, too (``gitsync.runtime.cache``).
REMEMBERED_OUTPUT: Final = 48 << 20
REMEMBERED_OBJECTS: Final = 64 << 20
OBJECTS_WEIGHT: Final = 10
REMEMBERED_BYTES: Final = 16 << 20
