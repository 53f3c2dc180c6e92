"""`gitsync plan` held against what the agent then does, on a real API server: the same objects, in the same way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import gitsync.cluster
from gitsync.agent.agent import run
from gitsync.agent.ownkinds import ensure_crds
from gitsync.preview.compose import preview
from gitsync.settings import Settings
from tests.controlplane.cluster import Cli, Cluster
from tests.git.git_world import Repository

pytestmark = pytest.mark.e2e  # whole agents

RELEASES = "/apis/helm.toolkit.fluxcd.io/v2"
CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "charts/app/templates/settings.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
        'data: {text: {{ .Values.text | default "" | quote }}}\n'
    ),
    "charts/app/templates/extra.yaml": (
        "{{ if .Values.extra }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n{{ end }}\n"
    ),
    # What Kubernetes refuses, so that the action fails at once.
    "charts/app/templates/broken.yaml": (
        "{{ if .Values.broken }}\napiVersion: v1\nkind: Service\nmetadata: {name: broken}\n"
        "spec: {ports: [{port: 99999}]}\n{{ end }}\n"
    ),
}
CHART |= {name.replace("charts/app", "charts/other"): text for name, text in CHART.items()}
CHART["charts/other/Chart.yaml"] = "apiVersion: v2\nname: other\nversion: 1.0.0\n"
#: By object: deleted, created, changed in place, or deleted and created again.
Effects = dict[str, str]


@dataclass
class Fleet:
    """A repository with one HelmRelease, the agent for it, and the cluster."""

    cluster: Cluster
    helm: Cli
    namespace: str
    settings: Settings
    origin: Repository
    codes: list[int] = field(default_factory=list)

    def commit(self, values: dict[str, Any] | None = None, *, chart: str = "app", **spec: Any) -> None:
        """What Git wants of the release from now on."""
        source = {"kind": "GitRepository", "name": "flux-system"}
        body = {"interval": "5m", "chart": {"spec": {"chart": f"./charts/{chart}", "sourceRef": source}}}
        manifest = {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": self.namespace},
            "spec": body | {"values": values or {}} | spec,
        }
        self.origin.commit(CHART | {"fleet/app.yaml": json.dumps(manifest)})

    async def agent(self) -> int:
        """Let the agent do what there is to do."""
        code = await run(self.settings.model_copy(update={"once": True}))
        self.codes.append(code)
        return code

    async def plan(self) -> Effects:
        """What plan says of the release's objects; nothing may stand in the way."""
        found = await preview(self.settings)
        assert not found.problems, found.problems
        return {
            item.key.name: "recreate" if item.why.startswith("deleted and created again") else item.verb
            for item in found.objects
            if item.release
        }

    def objects(self) -> dict[str, dict[str, Any]]:
        """The release's ConfigMaps, by name."""
        ours = "labelSelector=app.kubernetes.io%2Fmanaged-by%3DHelm"
        found = self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/configmaps?{ours}")["items"]
        return {item["metadata"]["name"]: item for item in found}

    def annotate(self, **notes: str) -> None:
        """Ask the agent for something, as the command line does."""
        place = f"{RELEASES}/namespaces/{self.namespace}/helmreleases/app"
        manifest = self.cluster.request("GET", place)
        manifest["metadata"].setdefault("annotations", {}).update(
            {f"reconcile.fluxcd.io/{name}": note for name, note in notes.items()}
        )
        self.cluster.request("PUT", place, manifest)

    def revisions(self) -> list[str]:
        """Statuses of the release's revisions, in order."""
        secrets = self.cluster.request(
            "GET", f"/api/v1/namespaces/{self.namespace}/secrets?labelSelector=owner%3Dhelm,name%3Dapp"
        )["items"]
        labels = sorted((int(item["metadata"]["labels"]["version"]), item["metadata"]["labels"]) for item in secrets)
        return [item["status"] for _, item in labels]


@pytest.fixture
async def fleet(control_plane: Cluster, helm_cli: Cli, namespace: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with await gitsync.cluster.Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        await ensure_crds(connected)
    origin = Repository.make(tmp_path / "origin")
    settings = Settings(
        name=namespace,
        repo=str(origin.path),
        path="fleet",
        kubeconfig=control_plane.kubeconfig,
        watch_namespace=namespace,
        state_dir=tmp_path / "state",
    )
    made = Fleet(control_plane, helm_cli, namespace, settings, origin)
    yield made
    made.origin.commit({"fleet/app.yaml": "# nothing any more\n"})  # a finalizer would keep the namespace for ever
    await run(settings.model_copy(update={"once": True, "allow_mass_prune": True}))


BROKEN = {"text": "two", "broken": True}
ROLL_BACK = {"remediation": {"retries": 0, "remediateLastFailure": True}}
UNINSTALL = {"remediation": {"retries": 0, "remediateLastFailure": True, "strategy": "uninstall"}}


async def new(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})


async def changed_values(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})
    await fleet.agent()
    fleet.commit({"text": "two"})


async def nothing_changed(fleet: Fleet) -> None:
    fleet.commit({"text": "one"})
    await fleet.agent()
    fleet.commit({"text": "one"}, interval="6m")


async def another_name(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})
    await fleet.agent()
    fleet.commit({"text": "one"}, releaseName="renamed")


async def another_chart(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})
    await fleet.agent()
    fleet.commit({"text": "one"}, chart="other")


async def another_chart_in_place(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})
    await fleet.agent()
    fleet.commit({"text": "two"}, chart="other", upgrade={"chartNameChangeStrategy": "InPlaceUpdate"})


async def forced(fleet: Fleet) -> None:
    fleet.commit({"text": "one"})
    await fleet.agent()
    settings = fleet.objects()["settings"]
    settings["data"] = {"text": "by hand"}
    fleet.cluster.request("PUT", f"/api/v1/namespaces/{fleet.namespace}/configmaps/settings", settings)
    fleet.annotate(requestedAt="now", forceAt="now")


async def failed_and_exhausted(fleet: Fleet) -> None:
    fleet.commit({"text": "one"})
    await fleet.agent()
    fleet.commit(BROKEN)
    assert await fleet.agent() == 1
    assert fleet.revisions() == ["deployed", "failed"]


async def failed_and_forced(fleet: Fleet) -> None:
    """The same again: of what it would do, the part that Kubernetes lets through is done already."""
    await failed_and_exhausted(fleet)
    fleet.annotate(requestedAt="now", forceAt="now")


async def rolled_back_and_put_right(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})
    await fleet.agent()
    fleet.commit(BROKEN, upgrade=ROLL_BACK)
    assert await fleet.agent() == 1
    assert fleet.revisions() == ["superseded", "failed", "deployed"]
    fleet.commit({"text": "three"}, upgrade=ROLL_BACK)


async def rolled_back(fleet: Fleet) -> None:
    """Nothing more is done about a failure that was rolled back, until somebody changes something."""
    await rolled_back_and_put_right(fleet)
    fleet.commit(BROKEN, upgrade=ROLL_BACK)
    assert await fleet.agent() == 1


async def uninstalled_by_hand(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True})
    await fleet.agent()
    fleet.helm("uninstall", "app", "--namespace", fleet.namespace, "--wait")


async def deployed_by_hand(fleet: Fleet) -> None:
    fleet.commit({"text": "one"})
    await fleet.agent()
    chart = fleet.origin.path / "charts" / "app"
    fleet.helm("upgrade", "app", chart, "--namespace", fleet.namespace, "--set", "text=hand,extra=true")


async def suspended_by_hand(fleet: Fleet) -> None:
    fleet.commit({"text": "one"})
    await fleet.agent()
    place = f"{RELEASES}/namespaces/{fleet.namespace}/helmreleases/app"
    manifest = fleet.cluster.request("GET", place)
    manifest["spec"]["suspend"] = True
    fleet.cluster.request("PUT", place, manifest)
    fleet.commit({"text": "two"})


SITUATIONS: dict[Callable[[Fleet], Any], Effects] = {
    new: {"settings": "create", "extra": "create"},
    changed_values: {"settings": "change", "extra": "delete"},
    nothing_changed: {},
    another_name: {"settings": "change", "extra": "delete"},
    another_chart: {"extra": "delete"},
    another_chart_in_place: {"settings": "change", "extra": "delete"},
    forced: {"settings": "change"},
    failed_and_exhausted: {},
    rolled_back_and_put_right: {"settings": "change", "extra": "delete"},
    rolled_back: {},
    uninstalled_by_hand: {"settings": "create", "extra": "create"},
    deployed_by_hand: {"settings": "change", "extra": "delete"},
    suspended_by_hand: {},
}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
async def test_a_plan_says_what_the_agent_then_does(situation: Callable[[Fleet], Any], fleet: Fleet) -> None:
    await situation(fleet)
    planned, before = await fleet.plan(), fleet.objects()
    await fleet.agent()
    assert planned == effects(before, fleet.objects()) == SITUATIONS[situation]


async def test_a_plan_of_an_attempt_that_will_fail_again_shows_what_it_is_about(fleet: Fleet) -> None:
    await failed_and_forced(fleet)
    planned = await fleet.plan()
    assert planned == {"broken": "unknown"}, "the API server refuses it, and the rest is as it should be"
    before = fleet.objects()
    assert await fleet.agent() == 1
    assert effects(before, fleet.objects()) == {}
    assert fleet.revisions() == ["deployed", "failed", "failed"]


async def test_what_a_failed_upgrade_leaves_is_uninstalled_and_installed_anew_as_planned(fleet: Fleet) -> None:
    fleet.commit({"text": "one", "extra": True}, upgrade=UNINSTALL)
    await fleet.agent()
    fleet.commit(BROKEN, upgrade=UNINSTALL)
    await fleet.agent()  # it ends with the failure of the upgrade, and is to go on from there
    await fleet.agent()
    # The upgrade failed and was uninstalled; the install that followed has failed as well, and has no retry.
    assert fleet.revisions() == ["failed"]
    assert sorted(fleet.objects()) == ["settings"]
    assert await fleet.plan() == {}

    fleet.commit({"text": "three"}, upgrade=UNINSTALL)
    assert await fleet.plan() == {"settings": "change"}
    await fleet.agent()
    assert fleet.objects()["settings"]["data"] == {"text": "three"}


def effects(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Effects:
    """What became of the ConfigMaps."""
    found = {}
    for name in {**before, **after}:
        if name not in after:
            found[name] = "delete"
        elif name not in before:
            found[name] = "create"
        elif before[name]["metadata"]["uid"] != after[name]["metadata"]["uid"]:
            found[name] = "recreate"
        elif _said(before[name]) != _said(after[name]):
            found[name] = "change"
    return found


def _said(config_map: dict[str, Any]) -> tuple[Any, str]:
    """What it holds, and the release that it says it belongs to."""
    return config_map.get("data"), config_map["metadata"]["annotations"]["meta.helm.sh/release-name"]
