"""``gitsync validate`` of input as people write it: what is a warning, what an error, and what the last line counts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gitsync.cli import main

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}, namespace: default}}\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 88\n"
ENCRYPTED = "apiVersion: ENC[AES256_GCM,data:abc=]\nkind: ENC[AES256_GCM,data:abd=]\nsops: {version: 3.9.0, mac: x}\n"


@pytest.fixture(autouse=True)
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory ``fleet`` of a repository, which is the present directory."""
    for name in [name for name in os.environ if name.startswith("GITSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GITSYNC_STATE_DIR", str(tmp_path / "state"))
    repository = tmp_path / "repository"
    (repository / "fleet").mkdir(parents=True)
    git(repository, "init", "--quiet")
    monkeypatch.chdir(repository)
    (repository / "fleet/stays.yaml").write_text(CONFIG_MAP.format("stays"))
    return repository / "fleet"


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@git.example", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def validated(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    """Exit code, lines without their hints, and the last line."""
    code = main(["validate", "fleet", "--no-charts", *arguments])
    out, err = capsys.readouterr()
    return code, [line.partition(" (")[0] for line in out.splitlines()], err.splitlines()[-1]


def test_exported_manifests_are_warned_of_and_valid(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = "metadata:\n  name: a\n  creationTimestamp: null\n  uid: x\n  resourceVersion: '4711'\nstatus: {a: 1}\n"
    (fleet / "all.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n" + exported)
    assert validated(capsys) == (
        0,
        [
            "fleet/all.yaml:6:3: warning: left out what only the API server sets: "
            "metadata.resourceVersion, metadata.uid, status"
        ],
        "2 files, 2 objects, 0 releases: 0 errors, 1 warning",
    )
    assert main(["validate", "fleet", "--no-charts", "-o", "json"]) == 0
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["severity"], problem["object"], problem["line"]) == ("warning", "ConfigMap/a", 6)


def test_what_cannot_be_read_is_named_as_what_it_is(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fleet / "lfs.yaml").write_text(POINTER)
    (fleet / "sops.yaml").write_text(ENCRYPTED)
    (fleet / "vars.yaml").write_text(CONFIG_MAP.format("'${CLUSTER_NAME}-a'"))
    assert validated(capsys) == (
        1,
        [
            "fleet/lfs.yaml:1: error: a pointer of Git LFS, whose content gitsync does not fetch",
            "fleet/sops.yaml:1:1: error: encrypted with SOPS, which gitsync cannot decrypt yet",
            "fleet/vars.yaml:3:12: error: metadata.name: `${CLUSTER_NAME}` is a variable of Flux's postBuild "
            "substitution, which gitsync does not do yet",
        ],
        "4 files, 1 object, 0 releases: 3 errors, 0 warnings",
    )


def test_an_object_without_its_head_is_a_warning_and_values_are_not(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fleet / "nohead.yaml").write_text("metadata: {name: nohead, namespace: default}\ndata: {n: '1'}\n")
    (fleet / "values.yaml").write_text("replicas: 1\n")
    assert validated(capsys) == (
        0,
        ["fleet/nohead.yaml:1:1: warning: not read: a document without apiVersion and kind"],
        "3 files, 1 object, 0 releases: 0 errors, 1 warning",
    )


def test_links_of_a_working_tree_are_read_as_the_files_that_they_lead_to(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fleet.parent / "base").mkdir()
    (fleet.parent / "base/link.yaml").write_text(CONFIG_MAP.format("link") + "data: [\n")
    (fleet / "link.yaml").symlink_to("../base/link.yaml")
    assert validated(capsys) == (
        1,
        ["fleet/link.yaml:5:1: error: not valid YAML: did not find expected node content"],
        "2 files, 1 object, 0 releases: 1 error, 0 warnings",
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("../nowhere.yaml", "leads to nothing"),
        ("link.yaml", "leads in a circle"),
        ("/etc/hostname", "leads out of the repository"),
        ("../../outside.yaml", "leads out of the repository"),
        ("../.git/config", "leads to nothing"),
    ],
)
def test_links_of_a_working_tree_that_lead_to_no_file_of_it_are_errors_and_not_followed(
    fleet: Path, capsys: pytest.CaptureFixture[str], target: str, reason: str
) -> None:
    (fleet.parent.parent / "outside.yaml").write_text(CONFIG_MAP.format("outside"))
    (fleet / "link.yaml").symlink_to(target)
    assert validated(capsys) == (
        1,
        [f"fleet/link.yaml: error: a symbolic link to {target!r}, which {reason}"],
        "1 file, 1 object, 0 releases: 1 error, 0 warnings",
    )


def test_a_submodule_is_a_warning(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(fleet.parent, "add", "-A")
    git(fleet.parent, "commit", "--quiet", "-m", "one")
    git(
        fleet.parent,
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{git(fleet.parent, 'rev-parse', 'HEAD')},fleet/lib",
    )
    (fleet / "lib").mkdir()
    assert validated(capsys) == (
        0,
        ["fleet/lib: warning: not read: a Git submodule, whose content is not in this repository"],
        "1 file, 1 object, 0 releases: 0 errors, 1 warning",
    )


def test_json_files_are_read_where_a_flag_says_so(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fleet / "a.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')
    assert validated(capsys)[2].startswith("1 file, 1 object,")
    assert validated(capsys, "--json-manifests")[2].startswith("2 files, 2 objects,")
