"""Definitions in a chart's ``crds/``: nobody owns them, nobody deletes them, and whoever wants one may have it.

Deleting a CustomResourceDefinition deletes every object of its kind, so each story ends with the uid of one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import finished

TEMPLATE = "{{ range .Values.objects }}---\n{{ toYaml . }}\n{{ end }}"


@dataclass
class World:
    """A repository of two charts, one of which has the definition in its ``crds/``, and the agent that syncs it."""

    agent: AgentProcess
    fleet: Fleet
    kubectl: Cli
    namespace: str

    @property
    def name(self) -> str:
        return f"dolls.{self.namespace}.example"

    def definition(self) -> dict[str, Any]:
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": f"{self.namespace}.example",
                "scope": "Namespaced",
                "names": {"kind": "Doll", "plural": "dolls"},
                "versions": [version],
            },
        }

    def charts(self, *with_crds: str) -> dict[str, str]:
        files = {}
        for name in ("one", "two"):
            files[f"charts/{name}/Chart.yaml"] = f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n"
            files[f"charts/{name}/templates/all.yaml"] = TEMPLATE
            if name in with_crds:
                files[f"charts/{name}/crds/doll.yaml"] = json.dumps(self.definition())
        return files

    def release(self, name: str, chart: str, *objects: dict[str, Any], text: str = "", **spec: Any) -> dict[str, str]:
        source = {"kind": "GitRepository", "name": "flux-system"}
        manifest = {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "interval": "1h",
                "chart": {"spec": {"chart": f"./charts/{chart}", "sourceRef": source}},
                "values": {"objects": objects, "text": text},
                **spec,
            },
        }
        return {f"fleet/{name}.yaml": json.dumps(manifest)}

    def in_git(self) -> dict[str, str]:
        return {"fleet/crd.yaml": json.dumps(self.definition())}

    def sync(self, files: dict[str, str], subject: str) -> None:
        """A commit; its sync has to go well."""
        commit = self.fleet.commit(files, subject)
        finished(self.agent, commit)
        last = [line for line in self.agent.lines if line.msg.startswith("sync finished")][-1]
        assert (last.msg, last.fields["failed"]) == ("sync finished", 0), subject

    def make(self) -> str:
        """An object of the kind, made by hand; its uid."""
        doll = {"apiVersion": f"{self.namespace}.example/v1", "kind": "Doll", "metadata": {"name": "one"}}
        self.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(doll))
        return self.uid()

    def uid(self) -> str:
        return self.kubectl("get", self.name, "one", "-n", self.namespace, "-o", "jsonpath={.metadata.uid}")

    def marks(self) -> str:
        """Whose the definition says that it is: "sync", a release's name, or "" for nobody."""
        metadata = json.loads(self.kubectl("get", "crd", self.name, "-o", "json"))["metadata"]
        annotations = metadata.get("annotations") or {}
        sync = "sync" if "gitsync.dev/owner" in annotations else ""
        return str(annotations.get("meta.helm.sh/release-name", sync))


@pytest.fixture
def world(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> World:
    agent = new_agent(fleet, "--path=fleet", "--allow-mass-prune")
    agent.start()
    return World(agent, fleet, kubectl, namespace)


GONE = "# gone\n"


def test_what_moves_from_git_into_crds_stays_when_the_release_goes(world: World) -> None:
    world.sync(world.in_git(), "in Git")
    uid = world.make()
    world.sync({**world.charts("one"), **world.release("a", "one"), "fleet/crd.yaml": GONE}, "in the chart")
    assert world.marks() == ""
    world.sync({"fleet/a.yaml": GONE}, "no release any more")
    assert world.uid() == uid


def test_what_moves_from_git_into_crds_stays_whatever_the_release_does_with_its_own_later(world: World) -> None:
    world.sync(world.in_git(), "in Git")
    uid = world.make()
    world.sync({**world.charts("one"), **world.release("a", "one"), "fleet/crd.yaml": GONE}, "in the chart")
    world.sync(world.release("a", "one", text="new", upgrade={"crds": "Skip"}), "its definitions are left alone")
    world.sync(world.release("a", "two"), "a chart without definitions")
    assert world.uid() == uid
    assert world.marks() == ""


@pytest.mark.parametrize("place", ["git", "template"])
def test_what_moves_into_the_crds_of_a_release_that_skips_them_stays(world: World, place: str) -> None:
    before = world.in_git() if place == "git" else world.release("a", "one", world.definition())
    world.sync({**world.charts("two"), **before}, "elsewhere")
    uid = world.make()
    after = {"fleet/crd.yaml": GONE} if place == "git" else world.release("a", "one")
    skips: dict[str, Any] = {"install": {"crds": "Skip"}, "upgrade": {"crds": "Skip"}}
    world.sync({**after, **world.release("b", "two", **skips)}, "in crds/")
    assert world.uid() == uid
    assert world.marks() == ""
    world.sync(world.release("b", "two", text="new", **skips), "an upgrade")
    assert world.uid() == uid


@pytest.mark.parametrize("policy", ["", "Skip", "CreateReplace"])
def test_what_moves_from_the_templates_of_a_chart_into_its_crds_stays(world: World, policy: str) -> None:
    upgrade: dict[str, Any] = {"upgrade": {"crds": policy}} if policy else {}
    world.sync({**world.charts(), **world.release("a", "one", world.definition(), **upgrade)}, "a template")
    uid = world.make()
    world.sync({**world.charts("one"), **world.release("a", "one", **upgrade)}, "in crds/")
    assert world.uid() == uid
    world.sync({"fleet/a.yaml": GONE}, "no release any more")
    assert world.uid() == uid


def test_what_another_release_has_in_its_crds_loses_the_marks_of_who_drops_it(world: World) -> None:
    files = {**world.charts("two"), **world.release("a", "one", world.definition()), **world.release("b", "two")}
    world.sync(files, "a template of one, in the crds/ of the other")
    uid = world.make()
    assert world.marks() == "a"
    world.sync(world.release("a", "one"), "no template any more")
    assert world.marks() == ""
    world.sync({"fleet/b.yaml": GONE}, "no other release any more")
    assert world.uid() == uid


def test_what_is_in_crds_may_be_had_by_git_and_by_another_chart(world: World) -> None:
    world.sync({**world.charts("one"), **world.release("a", "one")}, "in crds/")
    uid = world.make()
    world.sync(world.in_git(), "in Git, too")
    assert world.marks() == "sync"
    world.sync({"fleet/crd.yaml": GONE, **world.release("b", "two", world.definition())}, "a template of another")
    assert world.marks() == "b"
    world.sync({"fleet/b.yaml": GONE}, "no other release any more")
    assert world.uid() == uid
    assert world.marks() == ""


def test_crds_that_are_to_replace_what_is_there_take_it_from_nobody_who_wants_it(world: World) -> None:
    world.sync(world.in_git(), "in Git")
    uid = world.make()
    policy: dict[str, Any] = {"install": {"crds": "CreateReplace"}}
    world.sync({**world.charts("one"), **world.release("a", "one", **policy)}, "in the chart, too")
    assert world.marks() == "sync"
    world.sync({"fleet/crd.yaml": GONE}, "no longer in Git")
    assert world.uid() == uid
    assert world.marks() == ""


def doll(world: World) -> dict[str, Any]:
    api_version = f"{world.namespace}.example/v1"
    return {"apiVersion": api_version, "kind": "Doll", "metadata": {"name": "two", "namespace": world.namespace}}


def test_a_chart_whose_templates_bring_a_kind_and_an_object_of_it_is_waited_for_in_vain_and_not_for_long(
    world: World, new_agent: NewAgent
) -> None:
    world.agent.stop()
    objects = (world.definition(), doll(world))
    world.fleet.commit({**world.charts(), **world.release("a", "one", *objects)}, "both in templates")
    once = new_agent(world.fleet, "--path=fleet", "--once").start()
    assert once.wait() == 1
    unready = once.wait_for("not ready", release=f"{world.namespace}/a")
    assert "serves no kind Doll" in str(unready.fields["why"])


def test_a_kind_that_another_release_of_the_commit_brings_is_waited_for(world: World, new_agent: NewAgent) -> None:
    world.agent.stop()
    files = {**world.charts("one"), **world.release("a", "two", doll(world)), **world.release("b", "one")}
    world.fleet.commit(files, "the kind of one in the other")
    assert new_agent(world.fleet, "--path=fleet", "--once").start().wait() == 0
    assert world.kubectl("get", world.name, "two", "-n", world.namespace, "-o", "name")


@pytest.mark.parametrize(
    ("brings", "needs"),
    [
        ({}, {"dependsOn": [{"name": "b"}]}),
        ({"install": {"disableWait": True}}, {"dependsOn": [{"name": "b"}]}),
        ({}, {}),
    ],
    ids=["ready", "not waited for", "no order"],
)
def test_a_kind_that_is_in_the_templates_of_another_release_of_the_commit_is_waited_for(
    world: World, new_agent: NewAgent, brings: dict[str, Any], needs: dict[str, Any]
) -> None:
    world.agent.stop()
    releases = {
        **world.release("a", "two", doll(world), **needs),
        **world.release("b", "one", world.definition(), **brings),
    }
    world.fleet.commit({**world.charts(), **releases}, "the kind of one in templates of the other")
    once = new_agent(world.fleet, "--path=fleet", "--once").start()

    assert once.wait() == 0
    assert world.kubectl("get", world.name, "two", "-n", world.namespace, "-o", "name")
    if needs and not brings:
        assert not once.said("release will be tried again"), "b is ready once its kind is served"


def test_an_object_that_names_no_namespace_has_the_default_one_when_its_kind_comes_with_a_release(
    world: World, new_agent: NewAgent
) -> None:
    world.agent.stop()
    doll = {"apiVersion": f"{world.namespace}.example/v1", "kind": "Doll", "metadata": {"name": "one"}}
    files = {**world.charts("one"), **world.release("a", "one"), "fleet/doll.yaml": json.dumps(doll)}
    world.fleet.commit(files, "a kind in a chart, and one of it")
    flags = "--path=fleet", f"--default-namespace={world.namespace}"
    first = new_agent(world.fleet, *flags, "--once").start()
    assert first.wait() == 0
    name = f"Doll/{world.namespace}/one"
    first.wait_for("object created", object=name)
    uid = world.uid()

    # From then on it is known by what it is.
    world.agent = new_agent(world.fleet, *flags, "--allow-mass-prune").start()
    world.sync({"fleet/other.yaml": json.dumps(config("other", world.namespace))}, "something else")
    assert world.uid() == uid
    assert not [line for line in world.agent.lines if "Doll/" in str(line.fields.get("object"))]
    world.sync({"fleet/doll.yaml": "# gone\n"}, "it goes")
    world.agent.wait_for("object deleted", object=name)


def config(name: str, namespace: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
