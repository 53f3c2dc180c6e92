"""``gitsync demo``: the whole story, in a sandbox and on a real control plane."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitsync.kustomize import find_kubectl
from tests.controlplane import binaries
from tests.controlplane.cluster import Cluster

pytestmark = pytest.mark.e2e  # whole agents

GITSYNC = Path(sys.executable).with_name("gitsync")


def environment(home: Path, *, sops: bool = False) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITSYNC_", "KUBE"))}
    path = [folder for folder in ours["PATH"].split(os.pathsep) if not (Path(folder) / "sops").exists()]
    if sops:
        path.append(str(binaries.ensure(binaries.SOPS).parent))
    return {**ours, "HOME": str(home), "PATH": os.pathsep.join(path)}


class Begun:
    """A story that is told while others are: nearly all of it is waiting. ``text`` is what was said so far."""

    def __init__(self, *flags: str, home: Path, sops: bool = False) -> None:
        home.mkdir()
        self._said: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [GITSYNC, "demo", *flags],
            env=environment(home, sops=sops),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                with self._news:
                    self._said.append(line)
                    self._news.notify_all()

    @property
    def text(self) -> str:
        with self._news:
            return "".join(self._said)

    def line(self, words: str) -> str:
        """The first line that has these words, which is waited for."""

        def found() -> list[str]:
            return [line for line in self._said if words in line]

        with self._news:
            assert self._news.wait_for(found, 280), self.text
            return found()[0]

    def end(self, number: signal.Signals | None = None) -> int:
        """The exit code; it is sent a signal, or ends by itself."""
        if number is not None:
            self._process.send_signal(number)
        try:
            return self._process.wait(280)
        finally:
            self._process.kill()
            self._reader.join(10)


@pytest.fixture(scope="module")
def begun(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Begun]]:
    """The stories of this module, all begun at once."""
    home = tmp_path_factory.mktemp("demo")
    kubeconfig = f"--kubeconfig={control_plane.kubeconfig}"
    stories = {
        "sandbox": Begun(home=home / "sandbox"),
        "control plane": Begun(kubeconfig, home=home / "plane", sops=True),
        "kept": Begun("--keep", home=home / "kept"),
        "page": Begun("--ui", home=home / "page"),
    }
    yield stories
    for story in stories.values():
        story.end(signal.SIGKILL)


@pytest.mark.parametrize("place", ["sandbox", "control plane"])
def test_the_story_is_told_to_its_end(place: str, begun: dict[str, Begun]) -> None:
    sops = place == "control plane"  # one of them with what is encrypted, one without
    code, text = begun[place].end(), begun[place].text
    assert code == 0, text
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


def test_it_can_be_kept_to_play_with(begun: dict[str, Begun]) -> None:
    story = begun["kept"]
    _, *arguments = story.line("kubectl --kubeconfig").split()
    found = subprocess.run([find_kubectl(), *arguments], capture_output=True, text=True, timeout=120, check=True)
    assert "helmrelease.helm.toolkit.fluxcd.io/backend" in found.stdout
    assert "pod/redis-master-0" in found.stdout
    assert story.end(signal.SIGINT) == 0


def test_it_can_be_looked_at_on_a_page(begun: dict[str, Begun]) -> None:
    """Without a terminal nobody is waited for; it is left running before the last step."""
    story = begun["page"]
    story.line("# the page")
    address = re.findall(r"http://127[.]0[.]0[.]1:[0-9]+/[?]key=[^ \n]+", story.text)
    assert len(set(address)) == 1
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address[0], timeout=60) as answer:
        text = answer.read().decode()
    assert "production: infrastructure, then apps" in text
    assert "redis: new image; backend: two replicas" in text
    story.end(signal.SIGINT)
