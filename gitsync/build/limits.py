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
#: What the files of all builds take that wait or are done, and of those of one namespace, in bytes; what there is for
#: each namespace whatever the others have.
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
#: What is remembered of builds, in bytes: of kustomize's output with the files it came from, and of the objects that
#: were made of it, each of which takes some ten times its text. Then of kustomizations, and of the documents of other
#: files. Together they have no more than there is room for (``gitsync.runtime.cache``).
REMEMBERED_OUTPUT: Final = 48 << 20
REMEMBERED_OBJECTS: Final = 64 << 20
OBJECTS_WEIGHT: Final = 10
REMEMBERED_BYTES: Final = 16 << 20
