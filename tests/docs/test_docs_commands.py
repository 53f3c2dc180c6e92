"""docs/commands.md says all about each command, and no page names an option that does not exist. That the command lines
that are shown work is for test_docs_shown.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gitsync import logs
from gitsync.cli.app import COMMANDS, app
from gitsync.settings import settings_infos
from tests.docs.markdown import PAGES, ROOT, prose, section, spans

COMMANDS_PAGE = ROOT / "docs" / "commands.md"
#: Options of other programs that the documentation names on their own.
FOREIGN_OPTIONS = {"--runs", "--quick", "--case", "--set", "--crashloop", "--ready-after", "--unready", "--replicas"}
FOREIGN_OPTIONS |= {"--authentication-config", "--service-account-issuer"}  # kube-apiserver's


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("GITSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    yield
    logs.forget_secrets()


@cache
def all_commands() -> dict[tuple[str, ...], Any]:
    """Every command that does something, by its path."""
    found: dict[tuple[str, ...], Any] = {}

    def walk(path: tuple[str, ...], command: Any) -> None:
        if not isinstance(command, TyperGroup):
            found[path] = command
            return
        for name in command.commands:
            context = command.make_context(path[-1] if path else "gitsync", [name])
            walk((*path, name), command.resolve_command(context, [name])[1])

    walk((), get_command(app))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_commands_has_each_with_its_options_and_the_example_of_its_help(name: str) -> None:
    text = section(COMMANDS_PAGE, f"## gitsync {name}")
    settings = {info.flag for info in settings_infos()} | {"--config", "--help"}
    for path, command in all_commands().items():
        if path[0] != name:
            continue
        assert f"gitsync {' '.join(path)}" in text
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        own = {option for option in options if option.startswith("--")} - settings - _negated(settings)
        assert own <= set(spans(text)), path
        example = command.help.partition("Example:")[2].strip()
        assert " ".join(example.split()) in " ".join(text.split()), path


def test_options_that_are_named_exist() -> None:
    known = {
        option
        for command in all_commands().values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"--version", "--debug", "--help"}
    for page in PAGES:
        named = {span.split()[0].partition("=")[0] for span in spans(prose(page)) if span.startswith("--")}
        assert named <= known | FOREIGN_OPTIONS, page.name


def _negated(options: set[str]) -> set[str]:
    return {f"--no-{option[2:]}" for option in options if option}
