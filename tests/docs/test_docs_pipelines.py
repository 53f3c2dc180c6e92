"""docs/pipelines.md: what it shows for pipelines is right by their own schemas, and its command lines work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gitsync.cli.repository.checks import CHECKS
from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "pipelines.md").read_text()
PROGRAMS = Path(sys.executable).parent
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def block(begin: str) -> str:
    """The fenced YAML that begins so."""
    (found,) = (text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if text.startswith(begin))
    return str(found)


def run(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **more)


@pytest.mark.parametrize(
    ("begin", "schema"),
    [
        ("name: gitsync\n", "vendor.github-workflows"),
        ("name: gitsync scan\n", "vendor.github-workflows"),
        ("gitsync:\n", "vendor.gitlab-ci"),
    ],
)
def test_pipelines_are_right_by_the_schemas_of_their_services(begin: str, schema: str, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(block(begin))
    done = run(PROGRAMS / "check-jsonschema", "--builtin-schema", schema, file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hook_and_its_use_are_right_for_pre_commit(tmp_path: Path) -> None:
    use = tmp_path / ".pre-commit-config.yaml"
    use.write_text(block("repos:\n"))
    for kind, file in (("manifest", HOOKS), ("config", use)):
        done = run(PROGRAMS / "pre-commit", f"validate-{kind}", file)
        assert done.returncode == 0, done.stdout + done.stderr
    yaml = YAML(typ="safe", pure=True)
    used = {hook["id"] for repo in yaml.load(use)["repos"] for hook in repo["hooks"]}
    assert used <= {hook["id"] for hook in yaml.load(HOOKS)}


def lines() -> list[str]:
    """What the hook and the pipelines have gitsync do."""
    (hook,) = YAML(typ="safe", pure=True).load(HOOKS)
    return [f"{hook['entry']} clusters/prod", *re.findall(r"^ *- (?:run: )?(gitsync .*)$", PAGE, re.MULTILINE)]


@pytest.mark.e2e  # whole programs
@pytest.mark.parametrize("line", lines())
@pytest.mark.parametrize("is_wrong", [False, True])
def test_their_command_lines_work_and_fail_when_something_is_wrong(line: str, is_wrong: bool, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample-repo" / "clusters" / "staging", tmp_path / "clusters" / "prod")
    for name in ("apps", "infrastructure", "secrets"):
        shutil.copytree(ROOT / "sample-repo" / name, tmp_path / name)
    own = tmp_path / "clusters" / "prod" / "flux-system" / "sync.yaml"
    own.write_text(own.read_text().replace("clusters/staging", "clusters/prod"))
    run("git", "init", "--quiet", tmp_path)
    if is_wrong:
        (tmp_path / "clusters" / "prod" / "wrong.yaml").write_text("apiVersion: v1\nkind: [\n")
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    line = line.replace(" -o", " --no-charts -o")  # here nobody serves the sample repository's charts
    done = run("sh", "-c", line, cwd=tmp_path, env={**os.environ, "PATH": path})
    assert done.returncode == int(is_wrong), done.stdout + done.stderr
    report = done.stdout + "".join(file.read_text() for file in tmp_path.glob("g*.*"))
    assert ("wrong.yaml" in report) is is_wrong


def test_the_table_names_every_check() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == list(CHECKS)
