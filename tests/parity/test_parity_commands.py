"""helm's commands on a release of gitsync's: they read it as they read helm's own, and they work on it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gitsync.release.storage.record import checksum, decode
from tests.controlplane.errors import CommandError
from tests.parity import live
from tests.parity.looking import data, events, lines, reasons
from tests.parity.world import World

READING: Sequence[Sequence[str]] = (
    ("status", "demo"),
    ("status", "demo", "-o", "json"),
    ("get", "all", "demo"),
    ("get", "values", "demo"),
    ("get", "values", "demo", "--all", "-o", "json"),
    ("get", "manifest", "demo"),
    ("get", "notes", "demo"),
    ("get", "metadata", "demo"),
    ("history", "demo"),
    ("list",),
)
ABOUT_HOOKS = (("status", "demo"), ("get", "all", "demo"), ("get", "hooks", "demo"))
#: Helm writes times in several ways, for people and in JSON.
_TIMES = re.compile(
    r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}"
    r"|\b\d{10}\b"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d{4}( [A-Z]+)?|Z|[+-]\d\d:\d\d)?"
)
#: What ``status`` shows of live objects differs by nature: names of pods, addresses, ages.
_LIVE = re.compile(r"(?<=-)[a-z0-9]{8,10}-[a-z0-9]{5}\b|\b\d+\.\d+\.\d+\.\d+\b|\b\d+s\b")


def output(world: World, namespace: str, command: Sequence[str]) -> Any:
    """What helm prints, with times and the namespace made equal and white space that aligns columns made one."""
    text = _TIMES.sub("TIME", world.helm(*command, "--namespace", namespace).replace(namespace, "NS"))
    if command[-1] != "json":
        lines = re.sub(r"[ \t]+", " ", _LIVE.sub("LIVE", text)).splitlines()
        # Helm lists the kinds of a release's live objects in the order of a Go map: another each time.
        return sorted(lines) if command[0] == "status" else lines
    shown = json.loads(text)
    if "info" in shown:
        shown["info"]["resources"] = sorted(shown["info"]["resources"])
    return shown


@pytest.mark.parametrize(("chart", "reading"), [("plain", READING), ("hooks", ABOUT_HOOKS)])
def test_what_helm_prints_of_gitsync_s_release_is_what_it_prints_of_its_own(
    chart: str, reading: Sequence[Sequence[str]], world: World
) -> None:
    world.deploy(chart, {"text": "of the user"})
    world.install(chart, {"text": "of the user"})
    world.ready()

    with ThreadPoolExecutor(4) as threads:
        ours = list(threads.map(lambda command: output(world, world.ours, command), reading))
        theirs = list(threads.map(lambda command: output(world, world.theirs, command), reading))

    for command, one, other in zip(reading, ours, theirs, strict=True):
        assert one == other, " ".join(command)
        assert one, f"{' '.join(command)} shows nothing"
    assert any(line.startswith("demo NS 1 TIME deployed plain-1.2.3") for line in ours[-1]) or reading is ABOUT_HOOKS


def test_helm_upgrades_and_rolls_back_gitsync_s_release_and_gitsync_goes_on_from_there(world: World) -> None:
    world.deploy("plain", {"text": "from git", "large": 12345678901234567890, "nested": {"ratio": 1.0, "count": 3}})
    (snapshot,) = world.ready()["history"]
    world.patch_spec(suspend=True)

    world.upgrade("plain", {"text": "by hand"}, namespace=world.ours)
    assert world.revisions() == [(1, "superseded"), (2, "deployed")]
    place = f"/api/v1/namespaces/{world.ours}/secrets/sh.helm.release.v1.demo.v1"
    rewritten = decode(world.cluster.request("GET", place))
    assert not rewritten.annotations, "helm has written it anew"
    assert checksum(rewritten) == snapshot["digest"], "and it is no other revision by that"
    assert data(world)["text"] == "by hand"

    world.helm("rollback", "demo", "1", "--namespace", world.ours, "--wait")
    assert world.revisions() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert data(world)["text"] == "from git"

    # The rollback brought what the HelmRelease asks for but for one thing: its manifest is of revision 1, an install.
    world.patch_spec(suspend=False)
    world.until(lambda: (4, "deployed") in world.revisions(), "gitsync has gone on", lambda: str(world.revisions()))
    world.ready()
    assert data(world) | {"revision": "4"} == data(world)


def test_a_release_changed_by_hand_is_brought_back(world: World) -> None:
    world.deploy("plain", {"text": "from git"})
    world.ready()

    world.upgrade("plain", {"text": "by hand"}, namespace=world.ours)

    world.until(lambda: (3, "deployed") in world.revisions(), "gitsync has taken over", lambda: str(world.revisions()))
    world.ready()
    assert world.revisions() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert data(world)["text"] == "from git"
    assert json.loads(world.helm("get", "values", "demo", "-n", world.ours, "-o", "json")) == {"text": "from git"}

    # A rollback by hand is one more revision of somebody else's.
    world.helm("rollback", "demo", "2", "--namespace", world.ours, "--wait")
    world.until(lambda: (5, "deployed") in world.revisions(), "gitsync has taken over", lambda: str(world.revisions()))
    world.ready()
    assert data(world)["text"] == "from git"
    assert changed_by_hand(world) == [(2, "deployed", "Upgrade complete"), (4, "deployed", "Rollback to 2")]
    told = [event["message"] for event in events(world) if event["reason"] == "ReleaseChanged"]
    assert told[0] == "the release was changed by somebody else: revision 2 is deployed (Upgrade complete)"


def test_a_release_uninstalled_by_hand_is_installed_again(world: World) -> None:
    world.deploy("workloads")
    world.ready()

    world.helm("uninstall", "demo", "--namespace", world.ours, "--wait")

    world.until(lambda: world.revisions() == [(1, "deployed")], "gitsync has installed it again")
    world.ready()
    assert world.object("/apis/apps/v1", "deployments", "demo-web") is not None
    assert changed_by_hand(world) == [(1, "uninstalled", "")]
    world.until(lambda: "ReleaseChanged" in reasons(world), "it is told")


def test_a_record_edited_by_hand_proves_nothing_any_more(world: World) -> None:
    world.deploy("plain", {"text": "from git"})
    world.ready()

    live.tamper(world.cluster, world.ours, "demo", 1)
    world.until(lambda: (2, "deployed") in world.revisions(), "gitsync has put it right")
    world.ready()
    assert changed_by_hand(world) == [(1, "deployed", "Install complete")]
    assert world.object("/api/v1", "configmaps", "smuggled") is None


def test_helm_uninstalls_gitsync_s_release_completely(world: World) -> None:
    world.deploy("workloads")
    world.ready()
    world.patch_spec(suspend=True)

    world.helm("uninstall", "demo", "--namespace", world.ours, "--wait")

    assert world.revisions() == []
    with pytest.raises(CommandError, match="release: not found"):
        world.helm("status", "demo", "--namespace", world.ours)
    assert world.object("/apis/apps/v1", "deployments", "demo-web") is None
    assert world.object("/api/v1", "secrets", "demo") is None


def changed_by_hand(world: World) -> list[tuple[int, str, str]]:
    """What the log says that somebody else did to the release: revision, status, description."""
    said = lines(world, "release was changed by somebody else")
    return [(line["revision"], line["status"], line.get("description", "")) for line in said]
