"""What of a repository is wanted, and which commit that is at a moment. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitsync import semver
from gitsync.errors import GitRefused
from gitsync.text import shorten

HEAD = "HEAD"
_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"
_PEELED = "^{}"
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_SHOWN = 80
# What git-check-ref-format(1) forbids, as far as one level of names cannot have it.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/]|[/.]$|\.lock(/|$)|(^|/)\.|^@$")


@dataclass(frozen=True, slots=True)
class GitReference:
    """What of a repository is wanted. A later field wins over an earlier one, as in Flux's GitRepository: a branch, a
    tag, the highest tag in a range of versions, a reference by its full name, a commit. Nothing at all is the remote's
    own default branch.

    Raises: GitRefused for a name that git must not see.
    """

    branch: str = ""
    tag: str = ""
    semver: str = ""
    name: str = ""
    commit: str = ""

    def __post_init__(self) -> None:
        _check_ref("branch", self.branch)
        _check_ref("tag", self.tag)
        _check_ref("reference", self.name.removesuffix(_PEELED))
        if self.name and not self.name.startswith("refs/"):
            raise GitRefused(f"`{shown(self.name)}` is no full reference", hint="write it as refs/heads/main")
        if self.semver:
            try:
                semver.choose((), self.semver)
            except semver.BadVersion as error:
                raise GitRefused(f"ref.semver: {error}", hint="write a range of versions, as 1.x") from None
        if self.commit:
            check_commit_id(self.commit)

    @property
    def ref(self) -> str:
        """The full name of the one reference that is meant; "" for a range and for a commit."""
        if self.commit or (self.semver and not self.name):
            return ""
        if self.name:
            return self.name.removesuffix(_PEELED)
        if self.tag:
            return _TAGS + self.tag
        return _BRANCHES + self.branch if self.branch else HEAD

    @property
    def is_tag(self) -> bool:
        """Whether the reference leads to a commit by a tag."""
        if self.commit or self.name:
            return not self.commit and self.name.startswith(_TAGS)
        return bool(self.semver or self.tag)

    @property
    def names(self) -> frozenset[str]:
        """What to ask the remote for."""
        if self.commit:
            return frozenset()
        return frozenset({self.ref} if self.ref else {f"{_TAGS}*"})

    def __str__(self) -> str:
        """In words: ``branch `main```."""
        if self.commit:
            return f"commit {self.commit[:7]}"
        if self.name:
            return f"reference `{self.name}`"
        if self.semver:
            return f"a tag in the range `{self.semver}`"
        if self.tag:
            return f"tag `{self.tag}`"
        return f"branch `{self.branch}`" if self.branch else "the default branch"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The commit that a reference meant at a moment, and what the reference was called, as a revision shows it. ``tag``
    is the id of the annotated tag that has led there, "" without one."""

    commit: str
    name: str = ""
    tag: str = ""

    @property
    def revision(self) -> str:
        """``main@sha1:<commit>``, as Flux writes it."""
        algorithm = "sha1" if len(self.commit) == 40 else "sha256"
        return f"{self.name}@{algorithm}:{self.commit}" if self.name else f"{algorithm}:{self.commit}"


def resolve(reference: GitReference, refs: Mapping[str, str]) -> Resolved | None:
    """Which commit a reference means, where ``refs`` are the ids of all that it may mean; None when it is not there."""
    if reference.commit:
        return Resolved(reference.commit, reference.branch)
    name = reference.ref
    if not name:
        tag = _highest(reference.semver, refs)
        name = _TAGS + tag if tag else ""
    # An annotated tag has two entries; the one with ^{} is the commit.
    peeled, found = refs.get(f"{name}{_PEELED}"), refs.get(name)
    commit = peeled or found
    if commit is None:
        return None
    called = name if reference.name else name.removeprefix(_BRANCHES).removeprefix(_TAGS)
    return Resolved(commit, called, found if peeled and found else "")


def _highest(wanted: str, refs: Mapping[str, str]) -> str | None:
    """The highest tag in a range, of those with three numbers, as Flux has it. Of equal versions, which differ in what
    they say of a build alone, always the same one."""
    tags = (name.removeprefix(_TAGS) for name in refs if name.startswith(_TAGS) and not name.endswith(_PEELED))
    return semver.choose(sorted(filter(semver.is_strict, tags), reverse=True), wanted)


def check_commit_id(commit_id: str) -> None:
    """Raises: GitRefused for anything but a full commit id (40 hexadecimal digits; 64 in a SHA-256 repository)."""
    if not _COMMIT_ID.fullmatch(commit_id):
        raise GitRefused(f"`{shown(commit_id)}` is not a full commit id", hint="write all 40 digits, in lower case")


def _check_ref(what: str, name: str) -> None:
    if name and (_BAD_REF.search(name) or len(name) > 250):
        raise GitRefused(f"`{shown(name)}` cannot be the name of a {what}", hint="see `git help check-ref-format`")


def shown(text: str) -> str:
    """Fit for a message."""
    return shorten(_CONTROL.sub("?", text), _LONGEST_SHOWN)
