"""``gitsync demo``: the whole story, in a sandbox and on a real control plane."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gitsync.kustomize import find_kubectl
from tests.controlplane import binaries
from tests.controlplane.cluster import Cluster

GITSYNC = Path(sys.executable).with_name("gitsync")


def environment(home: Path, *, sops: bool = False) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITSYNC_", "KUBE"))}
    path = [folder for folder in ours["PATH"].split(os.pathsep) if not (Path(folder) / "sops").exists()]
    if sops:
        path.append(str(binaries.ensure(binaries.SOPS).parent))
    return {**ours, "HOME": str(home), "PATH": os.pathsep.join(path)}


@pytest.mark.parametrize("place", ["sandbox", "control plane"])
def test_the_story_is_told_to_its_end(place: str, control_plane: Cluster, tmp_path: Path) -> None:
    where = [] if place == "sandbox" else [f"--kubeconfig={control_plane.kubeconfig}"]
    sops = bool(where)  # one of them with what is encrypted, one without
    done = subprocess.run(
        [GITSYNC, "demo", *where],
        env=environment(tmp_path, sops=sops),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    text = done.stdout
    assert done.returncode == 0, text
    assert re.findall(r"^# (\d)\. ", text, re.MULTILINE) == list("12345678")
    told = [
        'msg="release installed" release=default/redis',
        'msg="release installed" release=default/backend',
        "ImagePullBackOff",
        'msg="upgrade retries exhausted" release=default/redis',
        "dependency cycle: default/backend -> default/redis -> default/backend",
        'msg="sync finished" sync=default/infrastructure',
        'msg="sync started" sync=default/apps',
        'msg="release uninstalled" release=default/backend',
        'msg="release uninstalled" release=default/redis',
        "No releases are left.",
    ]
    places = [text.index(words) for words in told]
    assert places == sorted(places)
    assert 'msg="object handed over" object=HelmRelease/default/redis to=sync/default/infrastructure' in text
    assert "Traceback" not in text
    assert ("There is no sops on the PATH" in text) is not sops
    decrypted = re.findall(r'msg="object (\w+)" sync=default/secrets object=Secret/default/backend-values', text)
    assert decrypted == (["created", "deleted"] if sops else [])
    assert "told in production only" not in text


def test_ctrl_c_ends_the_story_without_a_trace(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [GITSYNC, "demo"], env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    heard = []
    for line in process.stdout:
        heard.append(line)
        if "sync finished" in line:
            process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(120) == 130
    assert "gitsync stopping" in "".join(heard)
    assert "Traceback" not in "".join(heard)


def test_it_can_be_kept_to_play_with(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [GITSYNC, "demo", "--keep"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        shown = next(line for line in process.stdout if line.startswith("kubectl "))
        _, *arguments = shown.split()
        found = subprocess.run([find_kubectl(), *arguments], capture_output=True, text=True, timeout=120, check=True)
        assert "helmrelease.helm.toolkit.fluxcd.io/backend" in found.stdout
        assert "pod/redis-master-0" in found.stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.communicate()


def test_it_can_be_looked_at_on_a_page(tmp_path: Path) -> None:
    """Without a terminal nobody is waited for; it is left running before the last step."""
    process = subprocess.Popen(
        [GITSYNC, "demo", "--ui"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    heard = []
    for line in process.stdout:
        heard.append(line)
        if "# the page" in line:
            break
    address = re.findall(r"http://127[.]0[.]0[.]1:[0-9]+/[?]key=[^ \n]+", "".join(heard))
    assert len(set(address)) == 1
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address[0], timeout=30) as answer:
        text = answer.read().decode()
    assert "production: infrastructure, then apps" in text
    assert "redis: new image; backend: two replicas" in text
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    process.wait(120)
