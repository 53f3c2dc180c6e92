"""The object database on this machine: a bare repository that is only ever read as objects, never checked out.

Nothing here talks to a remote. A command that fails means that the mirror lacks something or is broken: ``Damaged``.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import structlog

from gitsync.api.identity import CommitInfo
from gitsync.errors import GitRefused, GitUnavailable
from gitsync.git.command import MIB, Answer, Command, Runner, TooMuch, TooSlow
from gitsync.git.environment import local_environment
from gitsync.git.failures import Damaged, local_failure
from gitsync.git.listing import Listing, parse_listing
from gitsync.git.objectdatabase import ObjectDatabase, Reading, parse_batch
from gitsync.git.signed import is_object
from gitsync.logs import redact
from gitsync.text import shorten

log = structlog.get_logger(__name__)

#: One fetched commit each; what no ref reaches is swept away.
COMMIT_REFS = "refs/gitsync/"

#: How much one ``read`` may bring into memory, in bytes, which is there twice for a moment: twice the largest file that
#: anybody takes. A caller that needs more asks in portions.
MAX_READ = 32 * MIB
#: Up to so many files are read by the git that GitPython keeps, more of them by one of their own: a few take a tenth of
#: the time so, 2,000 twice to three times as long (docs/architecture.md has the figures).
FEW = 16
#: How long the list of a commit's files may be, in bytes: paths of 190 characters for the most of them. Trees that
#: repeat themselves can name more files than there are atoms, in a kilobyte.
MAX_TREE = 24 * MIB
#: Files and folders of a commit: each takes its path and 60 bytes of memory, five times as much while the list is made,
#: and a few kilobytes can be any number of them.
MAX_PATHS = 100_000
#: How much a commit or tag may say of itself, in bytes.
MAX_OBJECT = MIB
#: How large one fetch may be, in bytes.
MAX_FETCH = 1024 * MIB

_TIMEOUT = 60.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LONGEST_SUBJECT = 200
#: How much is read of a commit's author or subject, which may be of any length, in bytes.
_LONGEST_TOLD = 64 << 10


class BareRepository:
    """A bare repository at ``path``. It need not exist yet: then everything is ``Damaged``. ``room`` is asked now and
    then while something is fetched, and raises what ends that when there is no more."""

    def __init__(self, path: Path, runner: Runner, room: Callable[[], None] | None = None) -> None:
        self.path = path
        self._room = room
        self._runner = runner
        self._objects = ObjectDatabase(path)

    async def create(self, commit_id: str) -> None:
        """Make it, empty, for ids of this kind (SHA-1 or SHA-256)."""
        algorithm = "sha1" if len(commit_id) == 40 else "sha256"
        await asyncio.to_thread(self.path.mkdir, mode=0o700, parents=True)
        await self._git("init", "--quiet", "--bare", "--template=", f"--object-format={algorithm}")

    async def find(self, commit_id: str) -> CommitInfo | None:
        """The commit, if it has been fetched whole and can be read."""
        head, subject = await asyncio.gather(
            self._told(commit_id, "%H%x00%ct%x00%an"), self._told(commit_id, "%s")
        )  # each for itself: both may be of any length, and neither may push the other out
        fields = (head or "").split("\0", 2)
        if subject is None or len(fields) != 3:
            return None
        found, time, author = fields
        if found != commit_id:
            raise GitRefused(f"{commit_id} is a tag, not a commit", hint=f"the commit is {found}")
        # A commit made by hand may have a date that is none.
        return CommitInfo(found, _one_line(author), _one_line(subject), float(time) if time.isdecimal() else 0.0)

    async def _told(self, commit_id: str, what: str) -> str | None:
        """The beginning of what git says of a commit, in its format ``what``; None when it cannot be read."""
        answer = await self._run(
            "log", "-1", "--no-show-signature", "--encoding=UTF-8", f"--format={what}", COMMIT_REFS + commit_id, "--",
            max_output=_LONGEST_TOLD, cut=True,
        )  # fmt: skip
        return None if answer.status else answer.output.decode("utf-8", "replace").rstrip("\n")

    async def listing(self, commit_id: str) -> Listing:
        """A commit's files, links and submodules with paths, ids and sizes in bytes, and its directories with their
        ids. Nothing of what is in them is read.

        Raises: GitRefused for more than MAX_PATHS of them; Damaged when an object is missing; GitUnavailable.
        """
        top, output = await asyncio.gather(
            self._git("rev-parse", "--verify", f"{commit_id}^{{tree}}"),
            self._git("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit_id, max_output=MAX_TREE),
        )
        if (paths := output.count(b"\0")) > MAX_PATHS:
            raise GitRefused(
                f"the commit has {paths:,} files and folders, over the limit of {MAX_PATHS:,}",
                hint="keep manifests in a repository of their own",
            )
        return await asyncio.to_thread(parse_listing, top.decode().strip(), output)

    async def read(self, blob_ids: Sequence[str], sizes: Mapping[str, int] | None = None) -> dict[str, bytes]:
        """The contents of files, by id. ``sizes`` are those that are known."""
        wanted = list(dict.fromkeys(blob_ids))
        for blob_id in wanted:
            if not _OBJECT_ID.fullmatch(blob_id):
                raise ValueError(f"not an object id: {blob_id[:80]!r}")
        if not wanted:
            return {}
        if len(wanted) > FEW:
            orders = "\n".join(wanted).encode() + b"\n"
            return parse_batch(
                wanted, await self._git("cat-file", "--batch", "--buffer", stdin=orders, max_output=MAX_READ)
            )
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._runner.do(Reading(self._objects, wanted, sizes or {}, MAX_READ))
        except TimeoutError:
            raise GitUnavailable(f"reading files from {self.path} took longer than {_TIMEOUT:g} s") from None

    async def object(self, object_id: str, kind: Literal["commit", "tag"]) -> bytes | None:
        """The bytes that a commit or tag is made of; None for one that is not there.

        Raises: GitRefused for one larger than MAX_OBJECT, Damaged when its bytes are not those of its id.
        """
        answer = await self._run("cat-file", kind, object_id, max_output=MAX_OBJECT, cut=True)
        if answer.status:
            return None
        data = bytes(answer.output)
        if len(data) >= MAX_OBJECT:
            raise GitRefused(f"the {kind} {object_id[:7]} has {MAX_OBJECT // MIB} MiB or more without any file")
        if not is_object(object_id, kind, data):
            raise Damaged(f"{kind} {object_id[:7]} is not what its id says")
        return data

    async def settings(self, blob_id: str) -> dict[str, str]:
        """What a file in git's own format for settings says, as git reads it: the keys with all that is above them. One
        that cannot be read says nothing."""
        answer = await self._run("config", "--blob", blob_id, "--list", "-z")
        if answer.status:
            return {}
        lines = (line.partition("\n") for line in answer.output.decode("utf-8", "replace").split("\0"))
        return {key: value for key, _, value in lines if key}

    async def close(self) -> None:
        """End what was kept to read files with. The next ``read`` starts it again."""
        await asyncio.to_thread(self._objects.close)

    async def commits(self) -> list[str]:
        """The ids of the commits that are kept by name, in the order of their ids."""
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
        await self.close()  # it would keep the old packs' room
        await self._git("repack", "-a", "-d", "-q")

    async def clear_leftovers(self) -> None:
        """Remove locks and half-written files of a git that was killed. Only for whoever holds the mirror's lock."""
        await asyncio.to_thread(_clear_leftovers, self.path)

    def guard(self) -> None:
        """Raises: GitRefused when the pack being received is beyond MAX_FETCH, or there is no more room."""
        if self._room is not None:
            self._room()
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
            raise local_failure(args[0], self.path, complaint or f"exit status {answer.status}")
        return answer.output

    async def _run(self, *args: str, stdin: bytes = b"", max_output: int = MIB, cut: bool = False) -> Answer:
        command = Command(args, local_environment(self.path), _TIMEOUT, stdin, max_output, cut)
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


def _one_line(text: str) -> str:
    """Fit for a log line, an annotation, an Event: an author or a subject may hold escape codes and what looks like a
    credential, and be of any length."""
    return shorten(redact(_CONTROL.sub(" ", text[: 10 * _LONGEST_SUBJECT]).strip()), _LONGEST_SUBJECT)
