"""What kustomizations name that is elsewhere, fetched as sources are: Git repositories into shared mirrors, files over
HTTP. Nobody logs in anywhere for them."""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from cachetools import LRUCache
from yarl import URL

from gitsync.build import MAX_REMOTE_FILE, Fetched, Remote, RemoteDirectory, RemoteFile
from gitsync.errors import GitRefMissing
from gitsync.git import GitReference
from gitsync.http import Hints, HttpClient, Request, parse_url, redacted, refusal
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.git import Content, GitArtifacts, GitPlace, GitSpec
from gitsync.sources.turns import Turns
from gitsync.tree import Tree, TreeEntry

#: Seconds for which an answer is used again, so that a hundred Kustomizations with one base ask once. That a branch has
#: moved is noticed at the first reconciliation after that.
FRESH: Final = 5.0
#: Seconds that one question may take.
TIMEOUT: Final = 60.0
#: How many remote bases are kept at a time, and how many bytes of files.
_MOST: Final = 256
_MOST_BYTES: Final = 32 << 20
_COMMIT: Final = 40
_HINTS: Final = Hints(
    missing="correct the URL", refused="use a URL that anybody may read: gitsync does not log in for remote bases"
)


#: The namespace on whose behalf it is fetched, the repository, the ref, and whether its submodules are wanted.
_Key = tuple[str, str, str, bool]


class _File(NamedTuple):
    """The last answer about a file, when it was given, and the file's size."""

    asked: float
    fetched: Fetched
    size: int

    @property
    def weight(self) -> int:
        """The bytes that it counts of ``_MOST_BYTES``, at least a ``_MOST``-th of these: so there are never more
        than ``_MOST`` files."""
        return max(self.size, _MOST_BYTES // _MOST)


class _Directories(LRUCache[_Key, GitSpec]):
    """The spec by which each directory was last found; ``dropped`` is called with each entry that is evicted."""

    def __init__(self, dropped: Callable[[_Key, GitSpec], None]) -> None:
        super().__init__(_MOST)
        self._dropped = dropped

    def popitem(self) -> tuple[_Key, GitSpec]:
        """Evict the entry that was used longest ago."""
        key, spec = super().popitem()
        self._dropped(key, spec)
        return key, spec


class RemoteBases:
    """Fetches them; see ``gitsync.build.Remotes``. ``git``, ``http`` and ``turns`` are those of sources."""

    def __init__(
        self, git: GitArtifacts, http: HttpClient, turns: Turns, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._git = git
        self._http = http
        self._turns = turns
        self._clock = clock
        self._downloads: SingleFlight[Fetched] = SingleFlight()
        self._found = _Directories(lambda key, spec: self._git.forget(("remote base", *key), spec))
        #: By URL, as kustomizations have it.
        self._files: LRUCache[str, _File] = LRUCache(_MOST_BYTES, getsizeof=lambda file: file.weight)

    async def close(self) -> None:
        """Ends the requests that are under way."""
        await self._downloads.close()

    async def fetch(self, remote: Remote, owner: str) -> Fetched:
        """See Remotes."""
        if isinstance(remote, RemoteDirectory):
            return await self._directory(remote, owner)
        return await self._file(remote, owner)

    async def _directory(self, remote: RemoteDirectory, owner: str) -> Fetched:
        key, missing = (owner, remote.url, remote.ref, remote.submodules), None
        for reference in self._references(key):
            spec = GitSpec(
                GitPlace(remote.url), reference, Content(ignore="", submodules=remote.submodules), owner, TIMEOUT
            )
            try:
                artifact = await self._git.refresh(("remote base", *key), spec, (), self._clock() - FRESH)
            except GitRefMissing as error:
                missing = missing or error
                continue
            self._found[key] = spec
            return Fetched(await self._git.tree(spec, artifact), artifact.revision)
        self._git.forget(("remote base", *key), None)
        assert missing is not None
        raise missing

    def _references(self, key: _Key) -> Iterator[GitReference]:
        """The references that a ref may mean, in the order in which they are tried: what it was last time, else as
        git does, tags before branches."""
        if (known := self._found.get(key)) is not None:
            yield known.reference
        ref = key[2]
        if not ref:
            yield GitReference()
        elif len(ref) == _COMMIT and all(letter in "0123456789abcdef" for letter in ref):
            yield GitReference(commit=ref)
        elif ref.startswith("refs/"):
            yield GitReference(name=ref)
        else:
            yield GitReference(tag=ref)
            yield GitReference(branch=ref)

    async def _file(self, remote: RemoteFile, owner: str) -> Fetched:
        known = self._files.get(remote.url)
        if known is not None and known.asked >= self._clock() - FRESH:
            return known.fetched
        url, shown = parse_url(remote.url), redacted(remote.url)
        work = partial(self._download, remote.url, url)
        host = url.host or ""
        return await self._turns.shared(owner, host, shown, self._downloads, remote.url, work)

    async def _download(self, written: str, url: URL) -> Fetched:
        """``written`` is the URL as a kustomization writes it, ``url`` its one normal form."""
        asked = self._clock()
        request = Request(url.with_fragment(None), url, compressed=True, plain=False)
        async with self._http.deadline(url, TIMEOUT, _HINTS), self._http.open(request) as (response, found):
            if response.status != 200:
                raise refusal(response, found, _HINTS)
            data = await self._http.content(response, found, MAX_REMOTE_FILE)
        fetched = _of_file(posixpath.basename(url.path) or "file", data)
        self._files[written] = _File(asked, fetched, len(data))
        return fetched


def _of_file(name: str, data: bytes) -> Fetched:
    """A tree of one file."""
    revision = f"sha256:{hashlib.sha256(data).hexdigest()}"

    async def read(blob_ids: Sequence[str]) -> dict[str, bytes]:
        return dict.fromkeys(blob_ids, data)

    return Fetched(Tree(revision, [TreeEntry(name, revision, len(data))], read), revision)
