"""Running git: nothing of our environment gets in, nothing of git stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.errors import GitRefused, GitUnavailable
from gitsync.git.command import Command, Runner, TooMuch, TooSlow
from gitsync.git.environment import local_environment, ssh_command
from gitsync.git.source import GitCredentials, GitSource
from tests.git.git_world import Repository, command_lines
from tests.until import until


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    runner = Runner()
    yield runner
    await runner.close()


def shell(script: str, **options: float) -> Command:
    """A git that runs a shell script, in its process group, as git runs ssh and its own helpers."""
    environment = local_environment() | {"GIT_CONFIG_COUNT": "0"}
    return Command(("-c", f"alias.script=!{script}", "script"), environment, options.pop("timeout", 20.0), **options)  # type: ignore[arg-type]


async def test_variables_of_the_callers_environment_do_not_reach_git(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import git  # which asks git for its version, once, in whatever environment there is

    assert git.cmd
    other = Repository.make(tmp_path / "other")
    hostile = {
        "GIT_DIR": str(other.git_dir),
        "GIT_WORK_TREE": str(other.path),
        "GIT_INDEX_FILE": "x",
        "GIT_SSL_NO_VERIFY": "1",
        "GIT_TRACE_CURL": str(tmp_path / "trace"),
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_CONFIG_PARAMETERS": "'core.pager=touch'",
        "GIT_SSH_COMMAND": "touch",
        "GIT_PROXY_COMMAND": "touch",
        "GIT_ASKPASS": "touch",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)

    answer = await runner.run(shell("env"))

    seen = dict(line.split("=", 1) for line in answer.output.decode().splitlines() if line.startswith("GIT_"))
    assert not {name for name in hostile if seen.get(name, "") == hostile[name]}
    assert not {"GIT_SSL_NO_VERIFY", "GIT_TRACE_CURL", "GIT_PROXY_COMMAND"} & set(seen)
    assert not (tmp_path / "trace").exists()
    assert (seen["GIT_TERMINAL_PROMPT"], seen["GIT_CONFIG_NOSYSTEM"]) == ("0", "1")


async def test_configuration_of_the_user_does_not_reach_git(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text("[url 'file:///etc']\n\tinsteadOf = https://git.example\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    answer = await runner.run(Command(("config", "--list", "--show-scope"), local_environment(), 20))
    settings = answer.output.decode()
    assert "insteadof" not in settings
    assert "global\tcore.hookspath=/dev/null" in settings
    assert "global\tprotocol.allow=never" in settings


async def test_status_output_and_complaint(runner: Runner) -> None:
    answer = await runner.run(shell("echo out; echo err >&2; exit 3"))
    assert (answer.status, bytes(answer.output), answer.complaint) == (3, b"out\n", "err\n")


async def test_input_larger_than_a_pipe_is_no_deadlock(runner: Runner) -> None:
    given = b"x" * (1 << 20)
    answer = await runner.run(Command(shell("cat").args, local_environment(), 20, given, 2 << 20))
    assert answer.output == given


async def test_a_flood_of_complaints_is_no_deadlock_and_is_cut(runner: Runner) -> None:
    answer = await runner.run(shell("head -c 1000000 /dev/zero | tr '\\0' e >&2; echo done"))
    assert bytes(answer.output) == b"done\n"
    assert len(answer.complaint) == 64 << 10


@pytest.mark.parametrize(
    "script",
    [
        "sleep 4711",
        "sleep 4711 & sleep 4711",
        "trap '' TERM INT HUP; sleep 4711 & sleep 4711; sleep 4711",
        "sleep 4711 & exit 0",  # the child holds the pipes open
        "exec >&- 2>&-; sleep 4711",  # nobody holds them
    ],
)
async def test_the_whole_process_group_is_gone_after_the_deadline(runner: Runner, script: str) -> None:
    started = time.monotonic()
    with pytest.raises(TooSlow):
        await runner.run(shell(script, timeout=0.3))
    assert time.monotonic() - started < 60  # and not the hour that they sleep
    await until(lambda: "sleep 4711" not in command_lines())  # killed at once; its parent may take a moment to reap it


async def test_the_whole_process_group_is_gone_after_cancelling(runner: Runner) -> None:
    running = asyncio.create_task(runner.run(shell("sleep 4712 & sleep 4712")))
    await until(lambda: "sleep 4712" in command_lines())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: "sleep 4712" not in command_lines())


def children() -> set[int]:
    """The processes whose parent this one is, zombies included."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which is in parentheses and may hold anything: state, then the parent.
            if int(file.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(file.parent.name))
    return found


async def test_orphans_of_a_killed_git_are_waited_for_where_nobody_else_does(runner: Runner) -> None:
    """In a container gitsync is process 1, which every orphan falls to; here it asks the kernel for the same."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    become_heir = 36  # PR_SET_CHILD_SUBREAPER
    assert prctl(become_heir, 1, 0, 0, 0) == 0
    others = children()  # the control plane of other tests, for one
    try:
        with pytest.raises(TooSlow):
            await runner.run(shell("sleep 4715 & sleep 4715 & wait", timeout=0.3))
        await until(lambda: not children() - others)  # none is left, dead or alive
    finally:
        prctl(become_heir, 0, 0, 0, 0)


async def test_cancelling_does_not_wait_for_a_free_thread() -> None:
    runner = Runner(workers=1)
    first = asyncio.create_task(runner.run(shell("sleep 4713")))
    await until(lambda: "sleep 4713" in command_lines())
    second = asyncio.create_task(runner.run(shell("sleep 4713")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(second, 60)
    assert not first.done()
    await runner.close()
    with pytest.raises(GitUnavailable):
        await first


async def test_output_beyond_the_limit_ends_the_command(runner: Runner) -> None:
    with pytest.raises(TooMuch):
        await runner.run(shell("cat /dev/zero"))


async def test_what_the_guard_raises_ends_the_command(runner: Runner) -> None:
    calls = []

    def guard() -> None:
        calls.append(1)
        if len(calls) > 2:
            raise GitRefused("enough")

    with pytest.raises(GitRefused, match="enough"):
        await runner.run(Command(shell("sleep 4714").args, local_environment(), 20, guard=guard))


async def test_a_machine_without_git_is_told_so(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from git.cmd import Git

    monkeypatch.setattr(Git, "GIT_PYTHON_GIT_EXECUTABLE", "/nowhere/git")
    with pytest.raises(GitRefused, match="there is no git on this machine"):
        await runner.run(shell("true"))


async def test_one_object_cannot_take_all_memory(runner: Runner, tmp_path: Path) -> None:
    """A small pack can hold an object that unfolds to gigabytes."""
    origin = Repository.make(tmp_path / "fleet")
    blob = origin.git("hash-object", "-w", "--stdin", stdin=b"\0" * (3 << 20))
    environment = local_environment(origin.git_dir)
    small = Command(("cat-file", "tree", blob), environment | {"GIT_ALLOC_LIMIT": "1m"}, 20)
    assert "over limit" in (await runner.run(small)).complaint
    assert environment["GIT_ALLOC_LIMIT"] == "64m"


def test_the_ssh_command_line_cannot_be_broken_out_of(tmp_path: Path) -> None:
    key = tmp_path / "a key'; touch x; $(touch y) 100%"
    key.write_text("")
    command = ssh_command(GitSource("git@git.example:fleet", credentials=GitCredentials(ssh_key_file=key)))
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert f'IdentityFile="{str(key).replace("%", "%%")}"' in words
    assert words[:3] == ["ssh", "-F", "none"]
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "PermitLocalCommand=no"):
        assert option in words
    assert not (tmp_path / "x").exists()

    for name in ('quo"te', "back\\slash", "${HOME}", "new\nline"):
        (tmp_path / name).write_text("")
        with pytest.raises(GitRefused, match="has a name that ssh cannot be given"):
            ssh_command(GitSource("git@git.example:f", credentials=GitCredentials(known_hosts_file=tmp_path / name)))
