"""The command line as a whole: help, exit codes, and what an error looks like."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

from gitsync import logs
from gitsync.cli import main
from gitsync.cli.app import COMMANDS
from gitsync.cli.common.lazy import AliasGroup
from gitsync.errors import ClusterUnavailable

GITSYNC = [sys.executable, "-m", "gitsync.cli"]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("GITSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    yield
    logs.forget_secrets()


#: The least that a program with commands does for its help, by the library that ours is made with.
SMALLEST = """
import typer
app = typer.Typer()
app.command("one")(lambda: None)
app.command("two")(lambda: None)
app(["--help"])
"""


def processor_time(*command: str) -> float:
    """Seconds that a command takes of a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_quick_and_names_every_command() -> None:
    done = subprocess.run([*GITSYNC, "--help"], check=True, capture_output=True, text=True)
    assert all(name in done.stdout for name in COMMANDS)
    found = []
    for _ in range(5):  # held against a program of the same kind at the same moment: a busy machine slows both
        found.append((processor_time(*GITSYNC, "--help"), processor_time(sys.executable, "-c", SMALLEST)))
        if found[-1][0] < 1.5 * found[-1][1]:
            return
    pytest.fail(f"gitsync --help takes long against the smallest of its kind: {found}")


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from gitsync.cli import main; main(['--help']); "
        "print({'kubernetes', 'helm_python', 'git', 'structlog', 'pydantic_settings', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = get_command(import_module(COMMANDS[name].module).app)
    assert (command.help or "").startswith(COMMANDS[name].summary.removesuffix("."))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [[name]]
    command = get_command(import_module(COMMANDS[name].module).app)
    if isinstance(command, AliasGroup):
        paths += [[name, inner] for inner in command.commands]
    for path in paths:
        assert main([*path, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "Example:" in shown
        assert f"gitsync {' '.join(path)}" in shown.partition("Example:")[2]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gitsync 0.")


def test_wrong_usage_is_exit_code_2_and_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grpah"]) == 2
    assert "Did you mean 'graph'?" in capsys.readouterr().err


def test_an_error_is_one_message_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--interval", "soon"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: interval: not a duration: 'soon'; it is written as 30s, 5m or 1h30m (--interval)\n"
        "hint: docs/settings.md lists all settings\n"
    )


def test_a_password_on_the_command_line_is_warned_of_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://ada:correct-horse@git.example/fleet"
    nowhere = ["--kubeconfig", "/nowhere/config"]
    assert main(["run", "--repo", url, *nowhere]) == 1
    said = "".join(capsys.readouterr())
    assert said.count("a password in --repo shows in the process list") == 1
    assert "GITSYNC_GIT_PASSWORD" in said
    assert "correct-horse" not in said

    assert main(["run", "--repo", "https://ada@git.example/fleet", *nowhere]) == 1
    monkeypatch.setenv("GITSYNC_REPO", url)
    assert main(["run", *nowhere]) == 1
    assert "process list" not in "".join(capsys.readouterr())


def test_debug_shows_the_stack_trace_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--interval", "soon", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def failing(error: BaseException) -> None:
    raise error


def test_a_defect_is_called_one_and_nothing_secret_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.register_secret("hunter2")
    monkeypatch.setattr("gitsync.cli.app.get_command", lambda _: lambda *_, **__: failing(KeyError("hunter2\x1b[2J")))
    assert main([]) == 1
    err = capsys.readouterr().err
    assert err.startswith("internal error: KeyError: ")
    assert "--debug" in err
    assert "hunter2" not in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, ""),
        (ClusterUnavailable("no answer", hint="is it up?"), 1, "error: no answer\nhint: is it up?\n"),
        (ExceptionGroup("tasks", [ClusterUnavailable("a"), ClusterUnavailable("b")]), 1, "error: a\nerror: b\n"),
        (SystemExit(3), 3, ""),
    ],
)
def test_exit_codes(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("gitsync.cli.app.get_command", lambda _: lambda *_, **__: failing(error))
    assert main([]) == code
    assert capsys.readouterr().err == message


def test_a_full_disk_is_no_defect() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*GITSYNC, "completion", "bash"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: what was to be written: No space left on device"]


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["install", "--help"]) == 0
    text = capsys.readouterr().out
    prose = text[: text.index("Example:")].splitlines()
    assert max(map(len, prose)) <= 60
    paragraph = " ".join(text.split())
    assert "Files with credentials become the Secret gitsync-git." in paragraph
    short = [line for line in prose if 0 < len(line.split()) < 3]
    assert len(short) <= 3, "lines are broken where the terminal ends, not where the source does"


@pytest.mark.parametrize("words", [("sandbox", "--port", "99999"), ("logs", "--since", "x"), ("check", "-o", "yaml")])
def test_an_option_that_cannot_be_is_named(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    assert words[1].removeprefix("-") in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*GITSYNC, "run", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1
