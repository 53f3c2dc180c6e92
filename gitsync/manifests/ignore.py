"""Which files a repository wants left out: ``.sourceignore`` and Flux's default exclusions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pathspec import GitIgnoreSpec

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests.limits import MAX_IGNORE_BYTES, MAX_IGNORE_PATTERNS
from gitsync.manifests.placeholders import LFS_POINTER, is_lfs_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

IGNORE_FILE: Final = ".sourceignore"

#: What Flux leaves out when nothing is said (source-controller, GitRepository, "Excluding files"), as far as it could
#: hold manifests. A pattern of a .sourceignore may bring them back.
_DEFAULTS: Final = (
    ".git/",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    ".goreleaser.yml",
    ".sops.yaml",
    ".flux.yaml",
)
#: Answers kept; files come and go while the rules stay.
_MAX_KNOWN: Final = 100_000
#: Inside brackets, what Python's and RE2's character classes do not read alike.
_ODD_SET: Final = re.compile(r"\[[^\]]*(\[|--|&&|~~|\|\|)")


class IgnoreRules:
    """Whether a file is left out, by its path. ``files`` are the .sourceignore files by path; ``errors`` what is wrong
    with them, ``broken`` the directories (``apps/``, "" for the root) whose rules are therefore not known. The rules of
    a file count below its directory, the deeper file's first.

    Patterns are matched by RE2, in time linear in the path: with Python's own expressions one pattern of four stars
    takes seconds on one path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.errors: list[ManifestError] = []
        self.broken: set[str] = set()
        self._defaults = _spec(_DEFAULTS)
        self._specs: dict[str, GitIgnoreSpec] = {}
        self._known: dict[str, bool] = {}
        for path in sorted(files):
            self._read(path, files[path])

    def ignored(self, path: str) -> bool:
        """Whether the file is to be left out."""
        known = self._known.get(path)
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            known = self._known[path] = self._decide(path)
        return known

    def _decide(self, path: str) -> bool:
        directory = path
        while self._specs and directory:
            directory = directory[: directory.rstrip("/").rfind("/") + 1]
            spec = self._specs.get(directory)
            if spec is not None and (said := spec.check_file(path[len(directory) :]).include) is not None:
                return said
        return bool(self._defaults.check_file(path).include)

    def _read(self, path: str, data: bytes) -> None:
        directory = path.removesuffix(IGNORE_FILE)
        if is_lfs_pointer(data):
            self.refuse(path, 1, LFS_POINTER)
            return
        if len(data) > MAX_IGNORE_BYTES:
            self.refuse(path, 0, f"over {MAX_IGNORE_BYTES // 1024} KiB")
            return
        lines: list[str] = []
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if len(lines) == MAX_IGNORE_PATTERNS:
                self.refuse(path, number, f"more than {MAX_IGNORE_PATTERNS} patterns")
                return
            if not _is_usable(line):
                self.refuse(path, number, "not a pattern as in a .gitignore file")
                return
            lines.append(line)
        try:
            self._specs[directory] = _spec(lines)
        except Exception:  # RE2's, for expressions that are too large together
            self.refuse(path, 0, "patterns that are too large together")

    def refuse(self, path: str, line: int, message: str) -> None:
        """Notes a fault in the file ``path``, and that the rules for its directory are therefore not known."""
        self.broken.add(path.removesuffix(IGNORE_FILE))
        hint = "nothing below this directory is applied or pruned until it is put right"
        self.errors.append(ManifestError(message, origin=Origin(path, line), hint=hint))


def _spec(lines: list[str] | tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(lines, backend="re2")


def _is_usable(line: str) -> bool:
    if _ODD_SET.search(line):
        return False
    try:
        _spec([line])
    except Exception:  # pathspec's, re's and RE2's errors share no base
        return False
    return True
