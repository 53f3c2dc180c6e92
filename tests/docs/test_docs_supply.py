"""What gitsync is built from is pinned, byte for byte where it is downloaded: files, Dockerfile and Makefile agree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.toolchain import GO_BIN
from tests.docs.markdown import ROOT

LOCKED = ("constraints.txt", "requirements/image.txt", "requirements/build.txt")
DIGEST = "sha256:" + "0123456789abcdef" * 4

#: By distribution: its version, and the hashes of its files.
Pins = dict[str, tuple[str, frozenset[str]]]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: str) -> Pins:
    found: Pins = {}
    text = re.sub(r"\\\n\s*", "", (ROOT / path).read_text())
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([\w.-]+)==(\S+)( ; [^\\]*?)?((?:\s*--hash=sha256:[0-9a-f]{64})+)", line)
        assert match, f"{path}: not a version with hashes: {line[:80]}"
        found[canonical(match[1])] = match[2], frozenset(re.findall(r"sha256:\w+", match[4]))
    return found


@pytest.mark.parametrize("path", [*LOCKED, "requirements/go.txt", "requirements/sbom.txt"])
def test_every_package_has_a_version_and_hashes_and_no_address(path: str) -> None:
    assert pins(path)
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert "index" not in text


def test_the_image_and_the_build_get_what_is_tested() -> None:
    tested, image, build = map(pins, LOCKED)
    assert image.items() <= tested.items()
    assert build.items() <= tested.items()
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {canonical(re.split(r"[<>=~!]", item)[0]) for item in asked} <= image.keys()
    assert not {"pytest", "hatchling", "uv"} & image.keys()


@pytest.mark.parametrize("binary", [binaries.SOPS, binaries.KUSTOMIZE], ids=lambda binary: binary.name)
def test_the_image_has_what_is_tested_built_by_the_go_that_tests_would_install(binary: binaries.Binary) -> None:
    name, _, version = GO_BIN.partition("==")
    assert {found: version for found, (version, _) in pins("requirements/go.txt").items()} == {name: version}
    assert binary.directory.samefile(ROOT / "requirements" / binary.name)
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(rf"cd (requirements|\.\.)/{binary.name} ", dockerfile)
    assert f"-o /opt/gitsync/bin/{binary.name} {binary.package}\n" in dockerfile.replace(" \\\n", "\n")


def test_the_build_backend_is_the_one_that_is_pinned() -> None:
    (backend,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    name, _, version = backend.partition("==")
    assert pins("requirements/build.txt")[name][0] == version


def test_nothing_is_installed_without_its_hash() -> None:
    for path in ("Dockerfile", "Makefile"):
        text = (ROOT / path).read_text().replace("\\\n", " ")
        installs = re.findall(r"pip install ([^&\n]*)", text)
        assert installs
        for install in installs:
            # What the files name and nothing else, by hashes; or what is in this checkout, which brings nothing along.
            assert "--no-deps" in install, f"{path}: pip install {install}"
            assert "--require-hashes" in install or "-r" not in install.split(), f"{path}: pip install {install}"


def test_both_stages_of_the_image_have_the_same_base_and_see_what_they_copy() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [name for words in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in words.split()]
    assert copied
    assert [name for name in copied if not any(fnmatch(name, pattern) for pattern in let_in)] == []
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_base_image_is_named_by_its_digest() -> None:
    assert re.search(r"(?m)^ARG BASE=python:3\.13-slim@sha256:[0-9a-f]{64}$", (ROOT / "Dockerfile").read_text())


@pytest.mark.parametrize(
    ("answer", "base"),
    [
        (f"echo {DIGEST}", f"python:3.13-slim@{DIGEST}"),
        ("echo unauthorized", "python:3.13-slim@sha256:old"),
        ("exit 1", "python:3.13-slim@sha256:old"),
    ],
    ids=["digest", "another-answer", "no-answer"],
)
def test_the_base_image_is_renewed_by_its_digest_or_stays(tmp_path: Path, answer: str, base: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    text = re.sub(r"(?m)^ARG BASE=.*", "ARG BASE=python:3.13-slim@sha256:old", (ROOT / "Dockerfile").read_text())
    (tmp_path / "Dockerfile").write_text(text)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    # In the place of a registry, which there is none of here.
    docker.write_text(f'#!/bin/sh\n[ "$4" = python:3.13-slim ] || exit 3\n{answer}\n')
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["make", "base-image"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode == 0) == (base.endswith(DIGEST))
    assert (tmp_path / "Dockerfile").read_text() == text.replace("python:3.13-slim@sha256:old", base)


@pytest.mark.e2e  # installs a program of its own, and looks at all packages
def test_a_bill_of_materials_names_what_is_installed(tmp_path: Path) -> None:
    out = tmp_path / "sbom.cdx.json"
    subprocess.run(["make", "build/sbom/.ready"], cwd=ROOT, check=True, capture_output=True, timeout=280)
    tool = ROOT / "build" / "sbom" / "bin" / "cyclonedx-py"
    command = [str(tool), "environment", "--pyproject", str(ROOT / "pyproject.toml"), "-o", str(out), sys.executable]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    found = json.loads(out.read_text())
    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "gitsync"
    installed = {canonical(item["name"]): item["version"] for item in found["components"]}
    wanted = {name: version for name, (version, _) in pins("requirements/image.txt").items()}
    del wanted["colorama"]  # on Windows only
    assert wanted.items() <= installed.items()
