"""Fields that others wrote first, on the real API server, written by the real kubectl: what the manifest drops goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.charts import parse_objects
from gitsync.cluster import Cluster
from gitsync.diff import normalised
from gitsync.errors import Invalid
from tests.apply.writers import ADDED, DECLARED, FULL, SMALL, WRITERS, Writing, config_map, deployment, objects
from tests.controlplane.cluster import Cli
from tests.controlplane.cluster import Cluster as ControlPlane


@pytest.fixture
def writing(control_plane: ControlPlane, kubectl: Cli, namespace: str, tmp_path: Path) -> Writing:
    return Writing(control_plane, kubectl, namespace, "web", tmp_path)


@pytest.fixture
def applier(cluster: Cluster) -> Applier:
    return Applier(cluster, FIELD_MANAGER, OWNERS)


async def live(cluster: Cluster, manifest: Manifest) -> Manifest:
    return await cluster.get(ObjectKey.of(manifest), version=manifest["apiVersion"].rpartition("/")[2])


async def apply_as_foreseen(cluster: Cluster, applier: Applier, manifest: Manifest, *, known: bool = False) -> Manifest:
    """Apply, and compare with what a dry run said before and did not do."""
    before = await live(cluster, manifest)
    foreseen = await applier.dry_run(manifest)
    assert said(await live(cluster, manifest)) == said(before), "a dry run changes nothing"
    answer = (await applier.apply_over(manifest, before if known else None)).object
    assert said(foreseen) == said(answer)
    return answer


def said(manifest: Manifest) -> Manifest:
    """What is said of an object, without what controllers write meanwhile."""
    found = normalised(manifest, bookkeeping=True)
    annotations = found["metadata"].get("annotations") or {}
    rest = {name: text for name, text in annotations.items() if name != "deployment.kubernetes.io/revision"}
    return {**found, "metadata": {**found["metadata"], "annotations": rest}}


@pytest.mark.parametrize("known", [False, True], ids=["unseen", "seen before"])
@pytest.mark.parametrize("how", DECLARED)
async def test_what_a_tool_declared_and_the_manifest_never_had_goes(
    how: str, known: bool, writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    DECLARED[how](writing)

    for manifest in objects("web", writing.namespace, full=False):
        await apply_as_foreseen(cluster, applier, manifest, known=known)

    assert writing.shown() == SMALL


@pytest.mark.parametrize("how", WRITERS)
async def test_what_is_taken_over_as_it_is_and_dropped_later_goes(
    how: str, writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    WRITERS[how](writing)

    for manifest in objects("web", writing.namespace, full=True):
        await apply_as_foreseen(cluster, applier, manifest, known=True)
    assert writing.shown() == FULL
    for manifest in objects("web", writing.namespace, full=False):
        await apply_as_foreseen(cluster, applier, manifest)

    assert writing.shown() == SMALL


@pytest.mark.parametrize("how", ADDED)
async def test_what_was_added_and_the_manifest_never_had_stays(how: str, writing: Writing, applier: Applier) -> None:
    ADDED[how](writing)

    for manifest in objects("web", writing.namespace, full=False):
        await applier.apply(manifest)

    assert writing.shown() == FULL


async def test_the_same_goes_as_when_kubectl_itself_goes_over_to_server_side_apply(
    writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    oracle = Writing(writing.cluster, writing.kubectl, writing.namespace, "oracle", writing.directory)
    for each in (writing, oracle):
        each("apply", "-f", each.full)
        each("set", "env", "deployment/" + each.name, "-c", "web", "BY_HAND=1")

    oracle("apply", "--server-side", "--force-conflicts", "-f", oracle.small)
    for manifest in objects("web", writing.namespace, full=False):
        await applier.apply(manifest)

    def without_copy(shown: Any) -> Any:
        return {**shown, "annotations": {name: text for name, text in shown["annotations"].items() if name == "note"}}

    assert without_copy(writing.shown()) == without_copy(oracle.shown())
    assert writing.shown() == {**SMALL, "env": ["MODE", "BY_HAND"]}


async def test_requests_of_an_apply_are_counted(writing: Writing, cluster: Cluster, applier: Applier) -> None:
    manifest = config_map("web", writing.namespace, full=True)
    await applier.apply(manifest)

    async def cost(manifest: Manifest, known: Manifest | None = None) -> dict[str, int]:
        before = cluster.requests.copy()
        await applier.apply_over(manifest, known)
        return dict(cluster.requests - before)

    assert await cost(manifest) == {"apply": 1}
    writing("patch", "configmap", "web", "--type=merge", '--patch={"data":{"others":"1"}}')
    assert await cost(manifest, await live(cluster, manifest)) == {"apply": 1}
    writing("apply", "-f", writing.full)
    assert await cost(manifest, await live(cluster, manifest)) == {"patch": 1, "apply": 1}
    writing("apply", "-f", writing.full)
    assert await cost(manifest) == {"apply": 2, "patch": 1}
    assert await cost(manifest) == {"apply": 1}


async def test_an_apply_that_was_killed_between_taking_and_applying_is_finished_by_the_next(
    writing: Writing, cluster: Cluster, applier: Applier, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing("apply", "-f", writing.full)
    small = config_map("web", writing.namespace, full=False)
    sent = 0
    apply = Cluster.apply

    async def killed(self: Cluster, *args: Any, **more: Any) -> Manifest:
        nonlocal sent
        sent += 1
        if sent == 2:
            raise KeyboardInterrupt
        return await apply(self, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Cluster, "apply", killed)
        with pytest.raises(KeyboardInterrupt):
            await applier.apply(small)
    assert "legacy" in (await live(cluster, small))["data"]

    answer = await applier.apply(small)

    assert answer["data"] == {"keep": "1"}


async def test_an_object_that_changes_meanwhile_is_looked_at_again(
    writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    writing("apply", "-f", writing.full)
    small = config_map("web", writing.namespace, full=False)
    stale = await live(cluster, small)
    writing("patch", "configmap", "web", "--type=merge", '--patch={"data":{"others":"1"}}')

    answer, taken_from, created = await applier.apply_over(small, stale)

    assert answer["data"] == {"keep": "1", "others": "1"}
    assert (taken_from, created) == (("kubectl-client-side-apply",), False)


async def test_an_object_that_is_gone_meanwhile_is_created(
    writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    writing("apply", "-f", writing.full)
    small = config_map("web", writing.namespace, full=False)
    stale = await live(cluster, small)
    writing("delete", "configmap", "web")

    answer, taken_from, created = await applier.apply_over(small, stale)

    assert (answer["data"], taken_from, created) == ({"keep": "1"}, (), True)


def with_variable(namespace: str, **variable: Any) -> Manifest:
    made = deployment("web", namespace, full=False)
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", **variable}]
    return made


@pytest.mark.parametrize("known", [False, True], ids=["unseen", "seen before"])
async def test_a_field_that_excludes_one_of_another_tool_takes_its_place(
    known: bool, writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    """As long as kubectl has its value there, no other source is allowed."""
    writing("apply", "-f", writing.full)
    source = {"fieldRef": {"fieldPath": "metadata.name"}}
    manifest = with_variable(writing.namespace, valueFrom=source)

    answer = await apply_as_foreseen(cluster, applier, manifest, known=known)

    (container,) = answer["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "MODE", "valueFrom": {"fieldRef": {**source["fieldRef"], "apiVersion": "v1"}}}]


@pytest.mark.parametrize("how", ["apply", "dry_run"])
async def test_what_is_refused_for_itself_is_refused(how: str, writing: Writing, applier: Applier) -> None:
    writing("apply", "-f", writing.full)
    both = with_variable(writing.namespace, value="a", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}})

    with pytest.raises(Invalid, match="may not be specified when `value` is not empty"):
        await getattr(applier, how)(both)
    with pytest.raises(Invalid, match="field not declared in schema"):
        await getattr(applier, how)(config_map("web", writing.namespace, full=False) | {"unknown": 1})


SCALED = {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": 3}}


@pytest.mark.parametrize("of", ["kubectl apply", "kubectl create", "before-first-apply"])
async def test_replicas_of_an_autoscaler_stay(of: str, writing: Writing, cluster: Cluster, applier: Applier) -> None:
    WRITERS[of](writing)
    path = f"/apis/apps/v1/namespaces/{writing.namespace}/deployments/web"
    scaled = SCALED | {"metadata": {"name": "web", "namespace": writing.namespace}}
    writing.cluster.request("PUT", f"{path}/scale?fieldManager=kube-controller-manager", scaled)
    manifest = deployment("web", writing.namespace, full=False)

    answer = await apply_as_foreseen(cluster, applier, manifest)
    assert answer["spec"]["replicas"] == 3

    writing("patch", "deployment", "web", "--field-manager=autoscaler", '--patch={"spec":{"replicas":4}}')
    answer = await apply_as_foreseen(cluster, applier, manifest)
    assert answer["spec"]["replicas"] == 4
    writing("scale", "deployment", "web", "--replicas=5")
    assert (await apply_as_foreseen(cluster, applier, manifest))["spec"]["replicas"] == 5


async def test_what_a_webhook_or_controller_puts_in_stays(writing: Writing, cluster: Cluster, applier: Applier) -> None:
    writing("apply", "-f", writing.full)
    sidecar = {"name": "proxy", "image": "registry.example/proxy:1", "env": [{"name": "POD", "value": "x"}]}
    template = {
        "metadata": {"annotations": {"injected": "true"}},
        "spec": {"containers": [sidecar, {"name": "web", "env": [{"name": "PROXY", "value": "1"}]}]},
    }
    patch = json.dumps({"metadata": {"annotations": {"seen": "1"}}, "spec": {"template": template}})
    writing("patch", "deployment", "web", "--field-manager=sidecar-injector", f"--patch={patch}")
    manifest = deployment("web", writing.namespace, full=False)

    answer = await apply_as_foreseen(cluster, applier, manifest)

    containers = {item["name"]: item for item in answer["spec"]["template"]["spec"]["containers"]}
    assert containers.keys() == {"proxy", "web"}
    assert {item["name"] for item in containers["web"]["env"]} == {"MODE", "PROXY"}
    assert answer["spec"]["template"]["metadata"]["annotations"] == {"injected": "true"}
    assert answer["metadata"]["annotations"]["seen"] == "1"


async def test_a_claim_of_unknown_writers_stays_bound(writing: Writing, cluster: Cluster, applier: Applier) -> None:
    """``before-first-apply`` holds what controllers wrote, too: the volume, and that it is bound."""
    claim: Manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": writing.namespace, "labels": {"old": "label"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    writing.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    writing("wait", "pvc/data", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    bound = await live(cluster, claim)
    writing("patch", "pvc", "data", "--type=merge", '--patch={"metadata":{"managedFields":[{}]}}')
    del claim["metadata"]["labels"]

    answer = await apply_as_foreseen(cluster, applier, claim)

    assert answer["spec"] == bound["spec"]
    left = {name for name in bound["metadata"]["annotations"] if not name.startswith("kubectl")}
    assert answer["metadata"]["annotations"].keys() == left
    assert "pv.kubernetes.io/bind-completed" in left
    assert answer["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert "labels" not in answer["metadata"], "kubectl had applied it"


async def test_fields_of_another_version_go(writing: Writing, cluster: Cluster, applier: Applier) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    old = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": writing.namespace, "labels": {"old": "label"}},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
    }
    writing.kubectl("apply", "-f", "-", stdin=json.dumps(old))
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    new: Manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": writing.namespace},
        "spec": {"scaleTargetRef": target, "maxReplicas": 4, "metrics": [{"type": "Resource", "resource": cpu}]},
    }

    answer = await apply_as_foreseen(cluster, applier, new)

    assert "labels" not in answer["metadata"]
    spec = {"scaleTargetRef": target, "maxReplicas": 4, "metrics": [{"type": "Resource", "resource": cpu}]}
    assert answer["spec"] == {**spec, "minReplicas": 1}


@pytest.mark.parametrize(
    ("before", "after"), [(FIELD_MANAGER, HELM_FIELD_MANAGER), (HELM_FIELD_MANAGER, FIELD_MANAGER)]
)
async def test_the_marks_of_the_owner_before_go_in_the_apply_that_writes_the_new_ones(
    before: str, after: str, writing: Writing, cluster: Cluster
) -> None:
    def owned_by(manager: str) -> Manifest:
        manifest = config_map("web", writing.namespace, full=False)
        manifest["metadata"]["annotations"] |= {f"{manager}.example/owner": "me"}
        manifest["metadata"]["labels"] |= {f"{manager}.example/owner": "me"}
        return manifest

    made = await Applier(cluster, before, OWNERS).apply(owned_by(before))
    assert f"{before}.example/owner" in made["metadata"]["labels"]
    applier = Applier(cluster, after, OWNERS)

    known = cluster.requests.copy()
    answer, taken_from, created = await applier.apply_over(owned_by(after), made)

    assert dict(cluster.requests - known) == {"patch": 1, "apply": 1}
    assert (taken_from, created) == ((before,), False)
    assert answer["metadata"]["annotations"] == {"note": "kept", f"{after}.example/owner": "me"}
    assert answer["metadata"]["labels"] == {"tier": "front", f"{after}.example/owner": "me"}
    assert answer["metadata"]["uid"] == made["metadata"]["uid"]


async def test_who_takes_nothing_over_shares(writing: Writing, cluster: Cluster) -> None:
    writing("apply", "-f", writing.full)

    for manifest in objects("web", writing.namespace, full=False):
        await Applier(cluster, FIELD_MANAGER).apply(manifest)

    assert writing.shown()["data"] == {"keep": "1", "legacy": "unused"}


KINDS = parse_objects(Path(__file__).with_name("kinds.yaml").read_text())
#: Ways to write all of them.
COMMANDS = {
    "kubectl create": ["create"],
    "kubectl apply": ["apply"],
    "kubectl apply --server-side": ["apply", "--server-side"],
    "before-first-apply": ["create", "--save-config"],
}


@pytest.mark.parametrize("how", COMMANDS)
async def test_taking_over_what_is_as_it_is_wanted_changes_nothing(
    how: str, writing: Writing, cluster: Cluster, applier: Applier
) -> None:
    """Whatever the API server and its controllers have put in, and whatever of it may never change."""
    wanted = [{**item, "metadata": {**item["metadata"], "namespace": writing.namespace}} for item in KINDS]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
    writing.kubectl(*COMMANDS[how], "-f", "-", stdin=listed)
    writing("wait", "pvc/every-kind", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    writing("wait", "deployment/every-kind", "--for=condition=Available", "--timeout=60s")
    if how == "before-first-apply":
        for item in wanted:
            forget: Manifest = {"metadata": {"managedFields": [{}]}}
            writing("patch", item["kind"], item["metadata"]["name"], "--type=merge", f"--patch={json.dumps(forget)}")

    for manifest in wanted:
        before = await live(cluster, manifest)
        after = await apply_as_foreseen(cluster, applier, manifest, known=True)
        assert said(after) == said(before)
        managers = {
            item["manager"] for item in after["metadata"].get("managedFields") or () if "subresource" not in item
        }
        assert not any(manager.startswith("kubectl") for manager in managers)
