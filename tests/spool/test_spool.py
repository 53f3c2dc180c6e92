from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from gitsync.errors import NoRoom
from gitsync.spool import IN_MEMORY, SMALL, Body, Spool

LARGE = os.urandom(3 * SMALL)


def files_below(folder: Path) -> list[str]:
    """What this process has open in a folder, as the kernel names it."""
    links = [str(item.readlink()) for item in Path("/proc/self/fd").iterdir() if item.is_symlink()]
    return [link for link in links if link.startswith(f"{folder}/")]


def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """One whose directories cannot be written."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file" / "tmp"))
    return Spool(tmp_path / "file" / "cache")


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(SMALL), os.urandom(SMALL + 1), LARGE])
async def test_what_was_written_is_read_as_often_as_is_wanted(tmp_path: Path, data: bytes) -> None:
    body = await Spool(tmp_path).of(data)

    assert [body.read(), b"".join(body.pieces()), body.part(0, len(data) + 1)] == [data] * 3
    assert (len(body), body.sha256) == (len(data), hashlib.sha256(data).hexdigest())


async def test_what_is_large_is_in_a_file_that_no_crash_leaves_behind(tmp_path: Path) -> None:
    small, large = await Spool(tmp_path / "cache").of(LARGE[:SMALL]), await Spool(tmp_path / "cache").of(LARGE)

    assert small.data is not None
    assert large.data is None
    assert list((tmp_path / "cache").iterdir()) == []
    (found,) = files_below(tmp_path / "cache")
    assert "(deleted)" in found
    del large
    assert files_below(tmp_path / "cache") == []


async def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    body = await Spool(tmp_path / "file" / "cache").of(LARGE)

    assert body.data is None
    assert body.read() == LARGE


async def test_a_disk_that_becomes_full_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Spool(tmp_path / "cache").draft()
    await draft.take(LARGE)
    full, write = draft._files[0]._file, os.pwrite

    def written(file: int, data: bytes, at: int) -> int:
        if file == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data, at)

    monkeypatch.setattr(os, "pwrite", written)
    await draft.take(LARGE)

    body = draft.body()
    assert body.data is None
    assert body.read() == LARGE * 2
    assert files_below(tmp_path / "cache") == []


async def test_without_any_disk_little_waits_in_memory_and_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = nowhere(tmp_path, monkeypatch)
    half = bytes(IN_MEMORY // 2)
    kept = [await spool.of(half), await spool.of(half)]
    with pytest.raises(NoRoom, match=r"neither .* can be written, and 64 MiB wait in memory") as caught:
        await spool.of(LARGE)

    assert caught.value.hint
    assert (await spool.of(LARGE[:SMALL])).read() == LARGE[:SMALL]
    kept.pop()
    assert (await spool.of(LARGE)).read() == LARGE


async def test_what_a_file_holds_stays_when_that_is_removed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LARGE)
    body = Body.opened(tmp_path / "file")
    (tmp_path / "file").unlink()

    assert body.read() == LARGE
    assert body.sha256 == hashlib.sha256(LARGE).hexdigest()
