"""``gitsync validate`` of input as people write it: what is a warning, what an error, and what the last line counts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gitsync.cli import main
from tests.sopsfiles import age_key, encrypted

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
            "fleet/sops.yaml:1:1: error: encrypted with SOPS, and nothing decrypts it here",
            "fleet/vars.yaml:3:12: error: metadata.name: `${CLUSTER_NAME}` is a variable of Flux's postBuild "
            "substitution, which nothing here replaces",
        ],
        "4 files, 1 object, 0 releases: 3 errors, 0 warnings",
    )


KUSTOMIZATION = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec: {interval: 10m, path: ./apps, prune: true, sourceRef: {kind: GitRepository, name: flux-system}, %s}
"""


def test_what_a_kustomization_decrypts_is_counted_and_no_error(
    fleet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are no keys here, and no sops; what is to be seen of it is looked at."""
    key = age_key()
    monkeypatch.setenv("PATH", os.defpath)
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {a: hunter2}\n"
    closed = encrypted(secret, key, "yaml", "--encrypted-regex", "^stringData$")
    (fleet / "apps.yaml").write_text(KUSTOMIZATION % "decryption: {provider: sops, secretRef: {name: sops-age}}")
    apps = fleet.parent / "apps"
    apps.mkdir()
    (apps / "login.yaml").write_bytes(closed)
    (apps / "map.yaml").write_text(CONFIG_MAP.format("plain"))
    said = "1 object in it encrypted with SOPS: only kinds and names are checked"
    code, lines, _ = validated(capsys)
    assert (code, lines) == (0, [f"fleet/apps.yaml:1:1: warning: {said}"])

    (apps / "login.yaml").write_bytes(closed.replace(b"name: login", b"nam: login"))
    code, lines, _ = validated(capsys)
    assert code == 1
    assert [line for line in lines if line.startswith("apps/login.yaml")]

    (apps / "login.yaml").write_bytes(closed)
    (fleet / "apps.yaml").write_text(KUSTOMIZATION % "wait: true")
    code, lines, _ = validated(capsys)
    assert (code, lines) == (
        1,
        ["apps/login.yaml:1:1: error: encrypted with SOPS, and nothing decrypts it here"],
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


def test_a_kind_that_nothing_in_the_repository_defines_is_named_once(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gadget = "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {{name: {0}}}\n"
    (fleet / "gadgets.yaml").write_text(gadget.format("one") + "---\n" + gadget.format("two"))
    line = (
        "fleet/gadgets.yaml:1:1: warning: Gadget.example.com is defined neither by Kubernetes nor in the repository: "
        "Gadget/one and 1 other of it wait until it is"
    )
    assert validated(capsys) == (0, [line], "2 files, 3 objects, 0 releases: 0 errors, 1 warning")

    (fleet / "widgets.yaml").write_text(gadget.format("three").replace("Gadget", "Widget"))
    line = (
        "fleet/gadgets.yaml:1:1: warning: Gadget, Widget of example.com are defined neither by Kubernetes nor in the "
        "repository: Gadget/one and 2 other objects wait until they are"
    )
    assert validated(capsys) == (0, [line], "3 files, 4 objects, 0 releases: 0 errors, 1 warning")
    (fleet / "widgets.yaml").unlink()

    (fleet / "crd.yaml").write_text(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: gadgets.example.com}\n"
        "spec: {group: example.com, names: {kind: Gadget, plural: gadgets}}\n"
    )
    assert validated(capsys)[:2] == (0, [])


@pytest.mark.parametrize("command", ["validate", "graph"])
@pytest.mark.parametrize("options", [[], ["--branch", "main"]])
def test_a_directory_that_is_not_there_is_no_repository_elsewhere(
    command: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "flet", *options]) == 1
    err = capsys.readouterr().err
    assert "error: there is no directory flet\nhint: correct the path; this is " in err
    assert "URL" not in err
