"""Previews for pages, each made by a process of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitsync.errors import GitsyncError
from gitsync.preview.asking import AskedRepository
from gitsync.settings import Settings
from tests.git.git_world import Repository, silent_port
from tests.until import until

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: default}\ndata: {level: %s}\n"


def answering() -> Iterator[int]:
    """The processes of ours that make a preview."""
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if parent == os.getpid() and b"gitsync.preview.answering" in command:
            yield int(entry.name)


async def test_a_difference_is_what_the_command_shows_and_leaves_no_process_behind(tmp_path: Path) -> None:
    origin = Repository.make(tmp_path / "origin")
    old, new = (origin.commit({"fleet/app.yaml": MAP % level}) for level in ("info", "debug"))
    asked = AskedRepository(Settings(repo=str(origin.path), path="fleet", state_dir=tmp_path / "state"))
    found = await asked.difference(old, new)
    (item,) = found.objects
    assert (item.key.kind, item.verb, item.origin) == ("ConfigMap", "change", "fleet/app.yaml:1:1")
    assert [(line.kind, line.text) for line in item.lines if line.kind in "+-"] == [
        ("-", "  level: info"),
        ("+", "  level: debug"),
    ]
    assert found.commit is not None
    assert found.commit.id == new
    heads = await asked.heads()
    assert heads.commit == new
    assert new in heads.branches.values()
    assert list(answering()) == []


async def test_what_went_wrong_is_told_in_the_same_words(tmp_path: Path) -> None:
    asked = AskedRepository(Settings(repo=str(tmp_path / "nowhere"), state_dir=tmp_path / "state"))
    with pytest.raises(GitsyncError, match="there is no repository at") as caught:
        await asked.difference("a" * 40, "b" * 40)
    assert caught.value.hint


async def test_a_process_ends_with_the_last_who_waits_for_it(tmp_path: Path) -> None:
    async with silent_port() as port:
        repository = f"http://127.0.0.1:{port}/fleet.git"
        asked = AskedRepository(Settings(repo=repository, state_dir=tmp_path / "state"))
        waiting = asyncio.create_task(asked.difference("a" * 40, "b" * 40))
        await until(lambda: bool(list(answering())))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert list(answering()) == []
