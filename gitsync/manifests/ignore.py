"""Which files a repository wants left out: ``.sourceignore`` and Flux's default exclusions."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pathspec import GitIgnoreSpec

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests.limits import MAX_IGNORE_BYTES, MAX_IGNORE_PATTERNS
from gitsync.manifests.placeholders import LFS_POINTER, is_lfs_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IGNORE_FILE: Final = ".sourceignore"

#: What Flux leaves out by default (source-controller, GitRepository, "Excluding files"), as far as it could hold
#: manifests. A pattern of a .sourceignore may bring them back.
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
#: What Flux leaves out of every artifact (fluxcd/pkg, sourceignore), whatever else is said.
_GIT_FILES: Final = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
#: What it leaves out besides as long as neither a .sourceignore nor spec.ignore says anything.
_ARTIFACT_DEFAULTS: Final = (
    *_GIT_FILES,
    *_DEFAULTS,
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
)
#: What errors in spec.ignore name as their file.
_SPEC: Final = "spec.ignore"
#: Answers kept; files come and go while the rules stay.
_MAX_KNOWN: Final = 20_000
#: Inside brackets, what Python's and RE2's character classes do not read alike.
_ODD_SET: Final = re.compile(r"\[[^\]]*(\[|--|&&|~~|\|\|)")


class IgnoreRules:
    """Whether a file is left out, by its path. ``files`` are the .sourceignore files by path; ``errors`` what is wrong
    with them, ``broken`` the directories (``apps/``, "" for the root) whose rules are therefore not known. The rules of
    a file count below its directory, the deeper file's first; before all of them ``overruling``, patterns for the whole
    repository, after them ``defaults``.

    Patterns are matched by RE2, in time linear in the path: with Python's own expressions one pattern of four stars
    takes seconds on one path.
    """

    def __init__(
        self, files: Mapping[str, bytes], *, defaults: Sequence[str] = _DEFAULTS, overruling: str | None = None
    ) -> None:
        self.errors: list[ManifestError] = []
        self.broken: set[str] = set()
        self._defaults = _spec(defaults)
        self._specs: dict[str, GitIgnoreSpec] = {}
        self._overruling: GitIgnoreSpec | None = None
        self._decided = lru_cache(_MAX_KNOWN)(self._decide)
        for path in sorted(files):
            if spec := self._read(path, files[path]):
                self._specs[path.removesuffix(IGNORE_FILE)] = spec
        if overruling is not None:
            self._overruling = self._read(_SPEC, overruling.encode())

    @classmethod
    def of_artifact(cls, files: Mapping[str, bytes], ignore: str | None) -> IgnoreRules:
        """As Flux has them for an artifact, of which ``ignore`` is the ``spec.ignore``: that has the last word, and
        where there is one or any .sourceignore, only Git's own files are left out without being named."""
        rules = cls(files, defaults=_GIT_FILES, overruling=ignore)
        if ignore is None and not rules.errors and not any(len(spec) for spec in rules._specs.values()):
            return cls({}, defaults=_ARTIFACT_DEFAULTS)
        return rules

    def ignored(self, path: str) -> bool:
        """Whether the file is to be left out."""
        return self._decided(path)

    def _decide(self, path: str) -> bool:
        if self._overruling is not None and (said := self._overruling.check_file(path).include) is not None:
            return said
        directory = path
        while self._specs and directory:
            directory = directory[: directory.rstrip("/").rfind("/") + 1]
            spec = self._specs.get(directory)
            if spec is not None and (said := spec.check_file(path[len(directory) :]).include) is not None:
                return said
        return bool(self._defaults.check_file(path).include)

    def _read(self, path: str, data: bytes) -> GitIgnoreSpec | None:
        if is_lfs_pointer(data):
            self.refuse(path, 1, LFS_POINTER)
            return None
        if len(data) > MAX_IGNORE_BYTES:
            self.refuse(path, 0, f"over {MAX_IGNORE_BYTES // 1024} KiB")
            return None
        lines: list[str] = []
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if len(lines) == MAX_IGNORE_PATTERNS:
                self.refuse(path, number, f"more than {MAX_IGNORE_PATTERNS} patterns")
                return None
            if not _is_usable(line):
                self.refuse(path, number, "not a pattern as in a .gitignore file")
                return None
            lines.append(line)
        try:
            return _spec(lines)
        except Exception:  # RE2's, for expressions that are too large together
            self.refuse(path, 0, "patterns that are too large together")
            return None

    def refuse(self, path: str, line: int, message: str) -> None:
        """Notes a fault in the file ``path``, and that the rules for its directory are therefore not known."""
        self.broken.add(path.removesuffix(IGNORE_FILE))
        hint = "nothing below this directory is applied or pruned until it is put right"
        self.errors.append(ManifestError(message, origin=Origin(path, line), hint=hint))


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(lines, backend="re2")


def _is_usable(line: str) -> bool:
    if _ODD_SET.search(line):
        return False
    try:
        _spec([line])
    except Exception:  # pathspec's, re's and RE2's errors share no base
        return False
    return True
