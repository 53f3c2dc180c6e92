"""What is kept on disk: within bounds, whoever else writes there, and with nothing left of what was cut short."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gitsync.sources import store as room
from gitsync.sources.store import Store
from gitsync.spool import Body

#: One process among several, which keeps and reads with little room.
WRITER = """
import sys
from hashlib import sha256
from pathlib import Path
from structlog.testing import capture_logs
from gitsync.sources import store as room
from gitsync.spool import Body

room.MAX_ARCHIVES, room.MAX_UNPACKED, room.MAX_NOTES = 5_000, 5_000, 5
store = room.Store(Path(sys.argv[1]))
with capture_logs() as lines:
    for turn in range(int(sys.argv[2])):
        data = str(turn % 20).encode() * 700
        digest = sha256(data).hexdigest()
        store.keep_archive(Body.of(data))
        found = store.archive(digest)
        assert found is None or found.read() == data, "another archive"
        store.keep_unpacked(digest, [data])
        parts = store.unpacked(digest, [(0, 7), (7, 7)])
        assert parts is None or parts == [data[:7], data[7:14]], "other files"
        store.keep_data("notes", f"note-{turn % 20}", {"turn": turn % 20})
        note = store.data("notes", f"note-{turn % 20}")
        assert note is None or note == {"turn": turn % 20}, "another note"
assert lines == [], lines
"""


def kept(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_two_processes_share_a_directory_and_neither_reads_what_it_did_not_ask_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), "400"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert max(kept(tmp_path / "charts"), kept(tmp_path / "unpacked")) <= 5_000
    assert len(list((tmp_path / "notes").iterdir())) <= 5


def test_what_was_unused_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ARCHIVES", 25)
    store = Store(tmp_path)
    bodies = [Body.of(bytes([number]) * 10) for number in range(3)]
    for age, body in zip((300, 200), bodies, strict=False):
        store.keep_archive(body)
        used = time.time() - age
        os.utime(tmp_path / "charts" / f"{body.sha256}.tgz", (used, used))
    assert store.archive(bodies[0].sha256) is not None, "which is a use of it"
    store.keep_archive(bodies[2])
    assert [store.archive(body.sha256) is not None for body in bodies] == [True, False, True]


def test_a_write_that_was_cut_short_is_removed_and_one_under_way_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_UNPACKED", 15)
    store = Store(tmp_path)
    for folder in ("charts", "unpacked"):
        (tmp_path / folder).mkdir()
        for name, age in (("old", 2 * 3600), ("new", 0)):
            path = tmp_path / folder / f".new-{name}"
            path.write_bytes(b"half of it" * 9)
            used = time.time() - age
            os.utime(path, (used, used))
    with capture_logs() as lines:
        store.keep_archive(Body.of(b"an archive"))
        store.keep_unpacked(sha256(b"files").hexdigest(), [b"its files"])
    assert lines == []
    for folder in ("charts", "unpacked"):
        names = {path.name for path in (tmp_path / folder).iterdir()}
        assert (".new-new" in names, ".new-old" in names, len(names)) == (True, False, 2)
