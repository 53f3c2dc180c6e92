"""Where settings come from, which source wins, and what a wrong one is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitsync.errors import SettingsError
from gitsync.logs import forget_secrets, redact
from gitsync.settings import load, markdown, settings_infos

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GITSYNC_")]:
        monkeypatch.delenv(name)
    forget_secrets()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_without_anything_given_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib")
    settings = load()
    assert (settings.repo, settings.interval, settings.prune, settings.namespace) == ("", 60.0, True, "gitsync-system")
    assert settings.state_dir == Path("/var/lib/gitsync")


def test_who_serves_one_namespace_keeps_everything_there_unless_told_otherwise() -> None:
    settings = load({"watch_namespace": "team-a"})
    assert (settings.namespace, settings.default_namespace) == ("team-a", "team-a")
    settings = load({"watch_namespace": "team-a", "namespace": "gitsync-system"})
    assert (settings.namespace, settings.default_namespace) == ("gitsync-system", "team-a")


@pytest.mark.parametrize("name", ["Team_A", "a" * 64, "team a\n"])
def test_a_namespace_that_none_can_have_is_said_of_the_setting_that_names_it(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^watch_namespace: [^;]* \(--watch-namespace\)$"):
        load({"watch_namespace": name})


def test_a_state_home_that_is_not_absolute_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert load().state_dir == Path("~/.local/state/gitsync").expanduser()


def test_the_environment_wins_over_the_file_and_flags_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(tmp_path / "gitsync.yaml", "branch: from-file\ninterval: 10s\ngit_timeout: 20s\n")
    monkeypatch.setenv("GITSYNC_INTERVAL", "30s")
    monkeypatch.setenv("GITSYNC_GIT_TIMEOUT", "40s")
    settings = load({"git_timeout": "50s", "path": None}, config)
    assert (settings.branch, settings.interval, settings.git_timeout) == ("from-file", 30.0, 50.0)


def test_the_file_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITSYNC_CONFIG", str(write(tmp_path / "c.yaml", "name: fleet\nprune: false\n")))
    assert (load().name, load().prune) == ("fleet", False)


def test_an_empty_file_an_empty_value_and_an_empty_variable_set_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITSYNC_INTERVAL", "")
    assert load(config=write(tmp_path / "a.yaml", "# nothing yet\n")).interval == 60.0
    assert load(config=write(tmp_path / "b.yaml", "interval:\n")).interval == 60.0


def test_what_kubernetes_puts_into_the_environment_for_a_service_of_our_name_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITSYNC_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("GITSYNC_SERVICE_HOST", "10.0.0.1")
    assert load().name == "gitsync"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("stateDir: /x\n", ":1:1: unknown setting 'stateDir'", "did you mean state_dir?"),
        ("repo: x\n  \nintervall: 1m\n", ":3:1: unknown setting 'intervall'", "did you mean interval?"),
        ("zzz: 1\n", ":1:1: unknown setting 'zzz'", "docs/settings.md lists them all"),
        ("git_password: hunter2\n", ":1:1: git_password must not stand in a file", "GITSYNC_GIT_PASSWORD"),
        ("- a\n", ": settings are written as `name: value`", ""),
        ("a: [\n", ":2:1: ", ""),
        ("repo: a\nrepo: hunter2\n", ':2:1: found duplicate key "repo"', ""),
        ("interval: 60\n", "interval: a duration is written with its unit, such as 30s, 5m or 1h30m", ""),
        ("concurrency: 0\n", "concurrency: Input should be greater than or equal to 1", ""),
        ("name: Fleet\n", "name: String should match pattern", ""),
        ("path: ../other\n", "path: must be a directory of the repository", ""),
        ("log_level: loud\n", "log_level: Input should be 'debug', 'info', 'warning' or 'error'", ""),
    ],
)
def test_a_wrong_file_is_told_where_and_what(tmp_path: Path, text: str, message: str, hint: str) -> None:
    config = write(tmp_path / "gitsync.yaml", text)
    with pytest.raises(SettingsError) as caught:
        load(config=config)
    assert message in caught.value.message
    assert str(config) in caught.value.message
    assert hint in caught.value.hint
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_a_file_that_is_missing_or_far_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(config=tmp_path / "missing.yaml")
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        load(config=write(tmp_path / "big.yaml", "#" * 1_100_000))


def test_every_wrong_setting_is_named_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITSYNC_INTERVAL", "5 minutes")
    with pytest.raises(SettingsError) as caught:
        load({"git_timeout": "-5s"})
    assert caught.value.setting == "interval"
    assert "interval: not a duration: '5 minutes'; it is written as 30s, 5m or 1h30m (GITSYNC_INTERVAL)" in str(
        caught.value
    )
    assert "git_timeout: must be more than zero (--git-timeout)" in str(caught.value)


def test_settings_that_exclude_each_other_are_named_with_their_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITSYNC_GIT_TOKEN", "hunter2")
    expected = r"git_password_file and git_token exclude each other \(--git-password-file, GITSYNC_GIT_TOKEN\)"
    with pytest.raises(SettingsError, match=expected):
        load({"git_password_file": "password"})


def test_credentials_come_from_the_environment_or_a_file_and_show_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITSYNC_GIT_PASSWORD", "hunter2")
    settings = load({"repo": "https://ada:s3cret-in-url@git.example/fleet.git"})
    assert settings.read_git_password() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "s3cret" not in repr(settings)
    assert redact("hunter2 and s3cret-in-url") == "*** and ***"

    monkeypatch.delenv("GITSYNC_GIT_PASSWORD")
    file = write(tmp_path / "password", "first-secret\n")
    settings = load({"git_password_file": str(file)})
    assert settings.read_git_password() == "first-secret"
    write(file, "second-secret\n")
    assert settings.read_git_password() == "second-secret"
    assert redact("second-secret") == "***"
    assert settings.read_git_token() == ""


def test_a_wrong_secret_is_not_quoted_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITSYNC_GIT_PASSWORD", "hunter2")
    monkeypatch.setenv("GITSYNC_GIT_TOKEN", "hunter3")
    with pytest.raises(SettingsError) as caught:
        load()
    assert "hunter" not in str(caught.value)


def test_every_setting_has_a_flag_but_the_secrets() -> None:
    flags = {info.flag for info in settings_infos() if not info.secret}
    assert len(flags) == len(settings_infos()) - 2
    assert {"--repo", "--state-dir", "--allow-mass-prune", "--log-format"} <= flags


def test_the_documentation_is_current() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == markdown(), "run `make docs`"
