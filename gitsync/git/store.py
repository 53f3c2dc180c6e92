"""The object database on this machine: a bare repository that is only ever read as objects, never checked out.

Nothing here talks to a remote. A command that fails means that the mirror lacks something or is broken: ``Damaged``.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from gitsync.api.identity import CommitInfo
from gitsync.errors import GitRefused, GitUnavailable
from gitsync.git.command import MIB, Answer, Command, Runner, TooMuch, TooSlow
from gitsync.git.environment import local_environment
from gitsync.git.failures import Damaged
from gitsync.text import shorten

log = structlog.get_logger(__name__)

#: One fetched commit each; what no ref reaches is swept away.
COMMIT_REFS = "refs/gitsync/"

#: How much one ``read`` may bring into memory, in bytes; a caller that needs more asks in portions.
MAX_READ = 128 * MIB
#: How long the list of a commit's files may be, in bytes: some 500,000 files. Trees that repeat themselves can name
#: more files than there are atoms, in a kilobyte.
MAX_TREE = 64 * MIB
#: How large one fetch may be, in bytes.
MAX_FETCH = 1024 * MIB

_TIMEOUT = 60.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LONGEST_SUBJECT = 200


class TreeEntry(NamedTuple):
    """A file of a commit: its path from the repository's root, the id of its content, and its size in bytes."""

    path: str
    blob_id: str
    size: int


class Store:
    """A bare repository at ``path``. It need not exist yet: then everything is ``Damaged``."""

    def __init__(self, path: Path, runner: Runner) -> None:
        self.path = path
        self._runner = runner

    async def create(self, commit_id: str) -> None:
        """Make it, empty, for ids of this kind (SHA-1 or SHA-256)."""
        algorithm = "sha1" if len(commit_id) == 40 else "sha256"
        await asyncio.to_thread(self.path.mkdir, mode=0o700, parents=True)
        await self._git("init", "--quiet", "--bare", "--template=", f"--object-format={algorithm}")

    async def find(self, commit_id: str) -> CommitInfo | None:
        """The commit, if it has been fetched whole and can be read."""
        answer = await self._run(
            "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%H%x00%ct%x00%an%x00%s",
            COMMIT_REFS + commit_id, "--",
        )  # fmt: skip
        fields = answer.output.decode("utf-8", "replace").rstrip("\n").split("\0", 3)
        if answer.status or len(fields) != 4:
            return None
        found, time, author, subject = fields
        if found != commit_id:
            raise GitRefused(f"{commit_id} is a tag, not a commit", hint=f"the commit is {found}")
        # A commit made by hand may have a date that is none.
        return CommitInfo(found, _one_line(author), _one_line(subject), float(time) if time.isdecimal() else 0.0)

    async def tree(self, commit_id: str, path: str) -> list[TreeEntry]:
        """The files below ``path``, in git's order. Symlinks and submodules are left out, as in Flux' artifacts."""
        path = clean_path(path)
        output = await self._git(
            "ls-tree", "-r", "-l", "-z", "--full-tree", commit_id, "--", *([f"{path}/"] if path else []),
            max_output=MAX_TREE,
        )  # fmt: skip
        entries = []
        for line in output.split(b"\0"):
            if not line:
                continue
            head, _, name = line.partition(b"\t")
            mode, _, blob_id, size = head.split()
            if mode.startswith(b"100"):
                entries.append(TreeEntry(_path(name), blob_id.decode(), int(size)))
            else:
                log.debug("not a file, left out", path=_path(name), commit=commit_id[:7])
        if path and not output:
            raise GitRefused(
                f"there is no directory `{path}` in commit {commit_id[:7]}",
                hint="check the path, which is counted from the repository's root",
            )
        return entries

    async def tree_id(self, commit_id: str, path: str) -> str | None:
        """The id of the directory at ``path``: the same id, the same content. None when there is none."""
        path = clean_path(path)
        if not path:
            return (await self._git("rev-parse", "--verify", f"{commit_id}^{{tree}}")).decode().strip()
        output = await self._git("ls-tree", "-d", "-z", "--full-tree", commit_id, "--", path)
        for line in output.split(b"\0"):
            head, _, name = line.partition(b"\t")
            if name == path.encode() and head.startswith(b"040000 tree "):
                return head.split()[2].decode()
        return None

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, by id."""
        wanted = list(dict.fromkeys(blob_ids))
        for blob_id in wanted:
            if not _OBJECT_ID.fullmatch(blob_id):
                raise ValueError(f"not an object id: {blob_id[:80]!r}")
        if not wanted:
            return {}
        output = await self._git(
            "cat-file", "--batch", "--buffer", stdin="\n".join(wanted).encode() + b"\n", max_output=MAX_READ
        )
        return _contents(wanted, output)

    async def changed_paths(self, old: str | None, new: str) -> list[str]:
        """The paths whose content, mode or presence differs; a rename is two. All paths of ``new`` without an old."""
        what = ["ls-tree", "-r", "-z", "--full-tree", "--name-only", new]
        if old:
            what = ["diff-tree", "-r", "-z", "--no-renames", "--name-only", "--no-ext-diff", old, new]
        output = await self._git(*what, max_output=MAX_TREE)
        return [_path(name) for name in output.split(b"\0") if name]

    async def commits(self) -> list[str]:
        """The commits that are kept."""
        output = await self._git("for-each-ref", "--format=%(refname)", COMMIT_REFS)
        return [name.removeprefix(COMMIT_REFS) for name in output.decode().split()]

    async def keep(self, commit_id: str) -> None:
        """Name a commit that came with a branch's history, so that it stays."""
        await self._git("update-ref", COMMIT_REFS + commit_id, commit_id)

    async def has(self, commit_id: str) -> bool:
        """Is the commit there, under whatever name?"""
        return (await self._run("cat-file", "-e", f"{commit_id}^{{commit}}")).status == 0

    async def forget(self, prefix: str, commit_ids: Iterable[str] = ()) -> None:
        """Drop names below ``prefix``: those of ``commit_ids``, or all when none is given."""
        names = [prefix + commit_id for commit_id in commit_ids]
        if not names:
            names = (await self._git("for-each-ref", "--format=%(refname)", prefix)).decode().split("\n")
        orders = "".join(f"delete {name}\n" for name in names if name)
        if orders:
            await self._git("update-ref", "--stdin", stdin=orders.encode())

    async def sweep(self) -> None:
        """Put everything that a name reaches into one pack and drop the rest (nothing lies outside of packs)."""
        await self._git("repack", "-a", "-d", "-q")

    async def clear_leftovers(self) -> None:
        """Remove locks and half-written files of a git that was killed. Only for whoever holds the mirror's lock."""
        await asyncio.to_thread(_clear_leftovers, self.path)

    def guard(self) -> None:
        """Raises: GitRefused when the pack being received is beyond MAX_FETCH."""
        size = 0
        for file in self.path.glob("objects/pack/tmp_pack_*"):
            with suppress(FileNotFoundError):  # complete, and renamed, in between
                size += file.stat().st_size
        if size > MAX_FETCH:
            raise GitRefused(
                f"the commit is larger than {MAX_FETCH // MIB} MiB", hint="keep manifests in a repository of their own"
            )

    async def _git(self, *args: str, stdin: bytes = b"", max_output: int = MIB) -> bytearray:
        answer = await self._run(*args, stdin=stdin, max_output=max_output)
        if answer.status:
            complaint = _one_line(answer.complaint.strip().rpartition("\n")[2])
            raise Damaged(f"git {args[0]}: {complaint or f'exit status {answer.status}'}")
        return answer.output

    async def _run(self, *args: str, stdin: bytes = b"", max_output: int = MIB) -> Answer:
        command = Command(args, local_environment(self.path), _TIMEOUT, stdin, max_output)
        try:
            return await self._runner.run(command)
        except TooSlow:
            raise GitUnavailable(f"git {args[0]} on {self.path} took longer than {_TIMEOUT:g} s") from None
        except TooMuch:
            what = "files of this commit are" if args[0] == "cat-file" else "list of this commit's files is"
            raise GitRefused(f"the {what} larger than {max_output // MIB} MiB") from None


def clean_path(path: str) -> str:
    """``./clusters/prod/`` -> ``clusters/prod``; "" for the root.

    Raises: GitRefused for a path that leads out of the repository or holds a control character.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or _CONTROL.search(path):
        raise GitRefused(f"`{_one_line(path)}` is not a path inside the repository")
    return "/".join(parts)


def _contents(wanted: Sequence[str], output: bytearray) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    with memoryview(output) as data:
        start = 0
        for blob_id in wanted:
            end = output.find(b"\n", start)
            head = bytes(data[start : max(end, start)]).split()
            if len(head) != 3 or head[0] != blob_id.encode():
                raise Damaged(f"object {blob_id} cannot be read")
            if head[1] != b"blob":
                raise ValueError(f"object {blob_id} is a {head[1].decode()}, not a file")
            start = end + 1 + int(head[2]) + 1
            if start > len(output):
                raise Damaged(f"object {blob_id} is cut short")
            contents[blob_id] = bytes(data[end + 1 : start - 1])
    return contents


def _clear_leftovers(path: Path) -> None:
    patterns = (
        "*.lock",
        "refs/**/*.lock",
        "objects/**/*.lock",
        "objects/pack/*.keep",
        "objects/**/*tmp_*",
        "objects/pack/.tmp-*",
    )
    for pattern in patterns:
        for file in list(path.glob(pattern)):
            log.debug("left behind by a killed git, removed", file=str(file))
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)


def _path(name: bytes | bytearray) -> str:
    # A name that is no UTF-8 cannot be a manifest's; it must not stop the others either.
    return name.decode("utf-8", "backslashreplace")


def _one_line(text: str) -> str:
    """Fit for a log line: an author or a subject may hold escape codes, and be of any length."""
    return shorten(_CONTROL.sub(" ", text).strip(), _LONGEST_SUBJECT)
