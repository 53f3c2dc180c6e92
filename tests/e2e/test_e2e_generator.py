"""ArtifactGenerators: Kustomizations of parts of the repository, each applied anew by what changes in its part only."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.externalartifacts import external
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.e2e.planning import Commits
from tests.until import ask_until


def generator(namespace: str, *artifacts: dict[str, Any], name: str = "parts", **spec: Any) -> str:
    """One of the synced repository."""
    sources = [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}]
    return json.dumps(
        {
            "apiVersion": "source.extensions.fluxcd.io/v1beta1",
            "kind": "ArtifactGenerator",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"sources": sources, "artifacts": list(artifacts), **spec},
        }
    )


def part(name: str) -> dict[str, Any]:
    copy = [{"from": f"@repo/{name}/**", "to": "@artifact/"}]
    return {"name": name, "originRevision": "@repo", "copy": copy}


def of_artifact(namespace: str, name: str, **spec: Any) -> str:
    return kustomization(namespace, name, "./", sourceRef={"kind": "ExternalArtifact", "name": name}, **spec)


def pack(fleet: Fleet, path: str, manifest: str) -> None:
    """Put an archive into the working tree that holds ``one.yaml``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("one.yaml")
        member.size = len(manifest)
        tar.addfile(member, io.BytesIO(manifest.encode()))
    (fleet.path / path).parent.mkdir(parents=True, exist_ok=True)
    (fleet.path / path).write_bytes(packed.getvalue())


def test_a_commit_in_one_part_applies_the_kustomization_of_that_part_only(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    first = fleet.commit(
        {
            "clusters/parts.yaml": generator(namespace, part("infra"), part("apps")),
            "clusters/infra.yaml": of_artifact(namespace, "infra"),
            "clusters/apps.yaml": of_artifact(namespace, "apps", dependsOn=[{"name": "infra"}]),
            "infra/one.yaml": config_map(namespace, "one"),
            "apps/two.yaml": config_map(namespace, "two"),
        },
        "two parts",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    cluster.wait("infra")
    cluster.wait("apps")
    assert set(cluster.maps()) == {"one", "two"}
    before = {name: cluster.status(name)["lastAppliedRevision"] for name in ("infra", "apps")}
    found = external(kubectl, namespace)
    assert {name: item["status"]["artifact"]["revision"] for name, item in found.items()} == before
    assert all(revision.startswith("latest@sha256:") for revision in before.values())
    origin = found["apps"]["status"]["artifact"]["metadata"]["org.opencontainers.image.revision"]
    assert origin.endswith(first)
    assert cluster.status("apps")["lastAppliedOriginRevision"] == origin
    assert found["apps"]["metadata"]["ownerReferences"][0]["name"] == "parts"
    row = agent.command("get", "artifactgenerators", "-n", namespace).splitlines()[1].split()
    assert row[:4] == ["parts", "2", "False", "True"]
    row = agent.command("get", "sources", "external", "apps", "-n", namespace).splitlines()[1].split()
    assert row[:2] == ["apps", before["apps"][: len("latest@sha256:") + 8]]
    agent.command("reconcile", "artifactgenerator", "parts", "-n", namespace)
    assert "alias: repo" in agent.command("export", "artifactgenerator", "parts", "-n", namespace)

    count = agent.count
    fleet.commit({"apps/two.yaml": config_map(namespace, "two", "new")}, "only apps")
    agent.wait_for("object changed", object=f"ConfigMap/{namespace}/two")
    cluster.wait("apps")
    ask_until(
        lambda: cluster.status("apps")["lastAppliedRevision"], lambda it: it != before["apps"], "another revision"
    )
    assert cluster.status("infra")["lastAppliedRevision"] == before["infra"]
    assert agent.said("sync finished", after=count, sync=f"{namespace}/apps")
    assert not agent.said("sync finished", after=count, sync=f"{namespace}/infra")

    # In another life nothing is made anew, nor said to be wrong as long as no commit has been read.
    agent.kill()
    count = agent.count
    fleet.commit({"clusters/third.yaml": config_map(namespace, "third")}, "no part")
    agent.start()
    agent.wait_for("object created", after=count, object=f"ConfigMap/{namespace}/third")
    assert not agent.said("artifacts cannot be made", after=count, repository=f"ArtifactGenerator/{namespace}/parts")
    assert not agent.said("artifacts made", after=count, repository=f"ArtifactGenerator/{namespace}/parts")

    # What is made no more goes, and says so to those that use it.
    fleet.commit({"clusters/parts.yaml": generator(namespace, part("infra"))}, "no apps")
    ask_until(lambda: set(external(kubectl, namespace)), lambda it: it == {"infra"}, "apps to go")
    cluster.wait("apps", "condition=Ready=false")
    assert cluster.maps()["two"] == "new"
    agent.stop()


def test_of_two_generators_of_the_same_artifact_one_makes_it_and_the_other_says_so(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    def ready(name: str) -> tuple[str, str]:
        found = json.loads(kubectl("get", "artifactgenerator", name, "-n", namespace, "-o", "json"))
        said = [it for it in found.get("status", {}).get("conditions", ()) if it["type"] == "Ready"]
        return (said[0]["status"], said[0]["message"]) if said else ("", "")

    def owner() -> str:
        found = external(kubectl, namespace).get("apps")
        return found["metadata"]["ownerReferences"][0]["name"] if found else ""

    files = {
        "clusters/first.yaml": generator(namespace, part("apps"), name="first"),
        "clusters/second.yaml": generator(namespace, part("apps"), part("infra"), name="second"),
        "apps/one.yaml": config_map(namespace, "one"),
        "infra/two.yaml": config_map(namespace, "two"),
    }
    fleet.commit(files, "both make apps")
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    other = f"generated 1 artifact(s); apps is made by ArtifactGenerator '{namespace}/first'"
    ask_until(lambda: ready("second")[1], lambda it: it.endswith(other), "who makes it")
    assert ready("first") == ("True", "reconciliation succeeded, generated 1 artifact(s)")
    agent.command("reconcile", "artifactgenerator", "second", "-n", namespace)
    assert owner() == "first"

    fleet.commit({"clusters/second.yaml": None}, "one is left")
    agent.wait_for("object deleted", object=f"ArtifactGenerator/{namespace}/second")
    assert owner() == "first"

    count = agent.count
    fleet.commit({"clusters/second.yaml": files["clusters/second.yaml"]}, "both again")
    agent.wait_for("object created", after=count, object=f"ArtifactGenerator/{namespace}/second")
    ask_until(lambda: ready("second")[1], lambda it: it.endswith(other), "who makes it")
    fleet.commit({"clusters/first.yaml": None}, "the other one is left")
    ask_until(owner, lambda it: it == "second", "the other one to make it")
    agent.stop()


def test_what_cannot_be_made_says_which_copy_and_why(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    fleet.commit(
        {
            "clusters/parts.yaml": generator(namespace, part("nothing")),
            "clusters/app.yaml": of_artifact(namespace, "nothing"),
        },
        "a directory that is not there",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("object created", object=f"Kustomization/{namespace}/nothing")

    def ready(kind: str, name: str) -> dict[str, Any]:
        found = json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json")).get("status", {})
        return next((it for it in found.get("conditions", ()) if it["type"] == "Ready"), {})

    Cluster(kubectl, namespace).wait("nothing", "condition=Ready=false")
    said = ask_until(
        lambda: ready("artifactgenerator", "parts"), lambda it: it.get("status") == "False", "the generator to say so"
    )
    assert said["reason"] == "BuildFailed"
    assert "artifact 'nothing': copy[0] from '@repo/nothing/**'" in said["message"]
    assert "no file matches the pattern" in ready("kustomization.kustomize.toolkit.fluxcd.io", "nothing")["message"]


def test_directories_have_artifacts_that_come_and_go_with_them(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """pathPattern: with labels by the directory, and files out of an archive with others merged into them."""
    cluster = Cluster(kubectl, namespace)
    copies = [
        {"from": "@repo/apps/{app}/*.tgz", "to": "@artifact/", "strategy": "Extract"},
        {"from": "@repo/apps/{app}/over.yaml", "to": "@artifact/one.yaml", "strategy": "Merge"},
    ]
    template = {"name": "app-{app}", "originRevision": "@repo", "copy": copies}
    over = {"apps/Web/over.yaml": "data: {over: first}", "apps/db/over.yaml": "data: {}"}
    pack(fleet, "apps/Web/it.tgz", config_map(namespace, "one", "packed"))
    pack(fleet, "apps/db/it.tgz", config_map(namespace, "two"))
    fleet.commit(
        {
            "clusters/parts.yaml": generator(namespace, template, pathPattern="@repo/apps/{app}"),
            "clusters/web.yaml": of_artifact(namespace, "app-web"),
            "clusters/cache.yaml": of_artifact(namespace, "app-cache"),
            **over,
        },
        "two directories",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    for name in ("app-web", "app-cache"):
        agent.wait_for("object created", object=f"Kustomization/{namespace}/{name}")
    cluster.wait("app-web")
    assert json.loads(kubectl("get", "cm", "one", "-n", namespace, "-o", "json"))["data"]["over"] == "first"
    found = external(kubectl, namespace)
    assert {name: item["metadata"]["labels"]["app"] for name, item in found.items()} == {
        "app-db": "db",
        "app-web": "web",
    }
    cluster.wait("app-cache", "condition=Ready=false")
    row = agent.command("get", "artifactgenerators", "-n", namespace).splitlines()[1].split()
    assert row[:2] == ["parts", "2"]

    count = agent.count
    fleet.commit({"apps/Web/over.yaml": "data: {over: second}"}, "another value")
    agent.wait_for("object changed", object=f"ConfigMap/{namespace}/one", after=count)
    ask_until(
        lambda: external(kubectl, namespace)["app-web"]["status"]["artifact"],
        lambda it: it != found["app-web"]["status"]["artifact"],
        "another artifact",
    )
    assert external(kubectl, namespace)["app-db"]["status"] == found["app-db"]["status"]

    # A directory that comes has its Kustomization woken; of one that goes the artifact goes, and the others stay.
    pack(fleet, "apps/cache/it.tgz", config_map(namespace, "three"))
    gone = {"apps/db/it.tgz": None, "apps/db/over.yaml": None}
    fleet.commit({"apps/cache/over.yaml": "data: {}", **gone}, "a third one, and one less")
    cluster.wait("app-cache")
    assert "three" in cluster.maps()
    ask_until(lambda: set(external(kubectl, namespace)), lambda it: it == {"app-web", "app-cache"}, "db to go")
    agent.stop()


def test_a_plan_knows_what_an_artifact_will_hold(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """By the commit's own generator, which the cluster has yet to see."""
    commits = Commits(new_agent(fleet, "--path=clusters", "--allow-mass-prune"), fleet, kubectl, namespace)
    commits.commit({"clusters/first.yaml": config_map(namespace, "first")})
    assert commits.run() == 0
    commits.commit(
        {
            "clusters/parts.yaml": generator(namespace, part("apps")),
            "clusters/apps.yaml": of_artifact(namespace, "apps"),
            "apps/two.yaml": config_map(namespace, "two"),
        }
    )
    assert f"ConfigMap/{namespace}/two" in commits.plan().doing("create")
    assert commits.run() == 0
    commits.commit({"apps/two.yaml": config_map(namespace, "two", "new")})
    assert set(commits.as_planned().doing("change")) == {f"ConfigMap/{namespace}/two"}


def test_a_generator_is_suspended_resumed_and_deleted_by_commands(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    files = {"apps/one.yaml": config_map(namespace, "one"), "clusters/first.yaml": config_map(namespace, "first")}
    fleet.commit(files, "files")
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    kubectl("apply", "-f", "-", stdin=generator(namespace, part("apps")))
    ask_until(lambda: set(external(kubectl, namespace)), lambda it: it == {"apps"}, "apps to be made")
    name = ("artifactgenerator", "parts", "-n", namespace)
    assert "is suspended" in agent.command("suspend", *name)
    assert "was suspended already" in agent.command("suspend", *name)
    row = agent.command("get", "artifactgenerators", "-n", namespace).splitlines()[1].split()
    assert row[2] == "True"
    code, _, errors = agent.ended("reconcile", *name)
    assert (code, "is suspended" in errors) == (1, True)
    before = external(kubectl, namespace)["apps"]
    fleet.commit(
        {
            "apps/one.yaml": config_map(namespace, "one", "new"),
            "clusters/second.yaml": files["clusters/first.yaml"].replace("first", "second"),
        },
        "news",
    )
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/second")
    assert external(kubectl, namespace)["apps"] == before
    assert "is resumed" in agent.command("resume", *name)
    ask_until(lambda: external(kubectl, namespace)["apps"], lambda it: it != before, "apps to be made anew")
    assert "is deleted" in agent.command("delete", *name, "--silent")
