"""Which files a repository wants left out: ``.sourceignore`` and Flux's default exclusions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pathspec import GitIgnoreSpec

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests.limits import MAX_IGNORE_BYTES, MAX_IGNORE_PATTERNS

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
#: Inside brackets, what Python's and RE2's character classes do not read alike.
_ODD_SET: Final = re.compile(r"\[[^\]]*(\[|--|&&|~~|\|\|)")


class IgnoreRules:
    """Decides for paths, and remembers. ``files`` are the .sourceignore files by path; ``errors`` what is wrong with
    them. The rules of a file count below its directory, the deeper file's first.

    Patterns are matched by RE2, in time linear in the path: with Python's own expressions one pattern of four stars
    takes seconds on one path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.errors: list[ManifestError] = []
        self._defaults = _spec(_DEFAULTS)
        self._specs: dict[str, GitIgnoreSpec] = {}
        self._known: dict[str, bool] = {}
        for path in sorted(files):
            spec = self._read(path, files[path])
            if spec is not None:
                self._specs[path.removesuffix(IGNORE_FILE)] = spec

    def ignored(self, path: str) -> bool:
        """Whether the file is to be left out."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._decide(path)
        return known

    def forget(self, paths: set[str]) -> None:
        """Keeps only what was decided about ``paths``."""
        if len(self._known) > 2 * len(paths):
            self._known = {path: known for path, known in self._known.items() if path in paths}

    def _decide(self, path: str) -> bool:
        directory = path
        while self._specs and directory:
            directory = directory[: directory.rstrip("/").rfind("/") + 1]
            spec = self._specs.get(directory)
            if spec is not None and (said := spec.check_file(path[len(directory) :]).include) is not None:
                return said
        return bool(self._defaults.check_file(path).include)

    def _read(self, path: str, data: bytes) -> GitIgnoreSpec | None:
        if len(data) > MAX_IGNORE_BYTES:
            self._error(path, 0, f"over {MAX_IGNORE_BYTES // 1024} KiB, so none of it is used")
            return None
        lines: list[str] = []
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if len(lines) == MAX_IGNORE_PATTERNS:
                self._error(path, number, f"more than {MAX_IGNORE_PATTERNS} patterns; the rest is not used")
                break
            if _is_usable(line):
                lines.append(line)
            else:
                self._error(path, number, "not a pattern that .gitignore files know")
        try:
            return _spec(lines)
        except Exception:  # RE2's error for expressions that are too large together has no public class
            self._error(path, 0, "the patterns are too large, so none of them is used")
            return None

    def _error(self, path: str, line: int, message: str) -> None:
        self.errors.append(ManifestError(message, origin=Origin(path, line)))


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
