"""The agent as a process: what it says is heard, and its end is not waited for in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.agent import Agent
from bench.errors import BenchError
from bench.source import SourceRepository


async def test_an_agent_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    repository = SourceRepository(tmp_path / "source")
    repository.stage({"fleet/a.txt": "not a manifest"})
    repository.commit("something")
    async with Agent.running(repository.path, tmp_path / "no-kubeconfig", tmp_path / "state") as agent:
        with pytest.raises(BenchError, match=r"(?s)no line of the first sync.*it ended with 1.*no-kubeconfig"):
            await agent.line(lambda line: line.event == "sync finished", 30.0, "the first sync")
        with pytest.raises(BenchError, match="not running"):
            agent.check()


def test_a_repository_is_committed_as_it_was_staged(tmp_path: Path) -> None:
    repository = SourceRepository(tmp_path / "source")
    repository.stage({"fleet/a.yaml": "a: 1\n"})
    repository.commit("first")
    repository.stage({"fleet/a.yaml": "a: 2\n", "fleet/b/c.yaml": "c: 1\n"})
    assert _head(repository, "fleet/a.yaml") == "a: 1\n"
    repository.commit("second")
    assert _head(repository, "fleet/a.yaml") == "a: 2\n"
    assert _head(repository, "fleet/b/c.yaml") == "c: 1\n"


def _head(repository: SourceRepository, path: str) -> str:
    from git import Repo

    with Repo(repository.path) as repo:
        return bytes(repo.head.commit.tree[path].data_stream.read()).decode()
