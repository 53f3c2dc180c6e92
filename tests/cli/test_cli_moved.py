"""`gitsync plan` shows what a change of a release's namespace takes away, although chart and values stay the same."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Gitsync
from tests.cli.manifests import CHART, RELEASE
from tests.controlplane.cluster import Cli
from tests.git.git_world import Repository

OTHER_CHART = {
    "charts/other/Chart.yaml": "apiVersion: v2\nname: other\nversion: 1.0.0\n",
    "charts/other/templates/settings.yaml": CHART["charts/app/templates/settings.yaml"],
    "charts/other/templates/more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n",
}


def test_another_namespace_is_an_uninstall_and_an_install(
    gitsync: Gitsync, our_kinds: None, kubectl: Cli, namespace: str, tmp_path: Path
) -> None:
    def uid() -> str:
        return kubectl("get", "configmap", "settings", "-n", namespace, "-o", "jsonpath={.metadata.uid}")

    origin = Repository.make(tmp_path / "origin")
    release = RELEASE.format(namespace=namespace)
    origin.commit(CHART | {"fleet/app.yaml": release})
    place = ("--repo", str(origin.path), "--path", "fleet", "--state-dir", str(tmp_path / "state"))
    done = gitsync("run", "--once", "--name", namespace, *place)
    assert done.code == 0, done.err

    origin.commit({"fleet/app.yaml": release + "  releaseName: app\n  targetNamespace: default\n"})
    plan = gitsync("plan", "--name", namespace, *place)
    assert f"- delete ConfigMap/{namespace}/settings" in plan.out
    assert "the release gets another name or namespace" in plan.out
    assert "+ create ConfigMap/default/settings" in plan.out

    origin.commit({"fleet/app.yaml": release})
    assert "changes nothing" in gitsync("plan", "--name", namespace, *place).out

    origin.commit({**OTHER_CHART, "fleet/app.yaml": release.replace("./charts/app", "./charts/other")})
    plan = gitsync("plan", "--name", namespace, *place)
    assert f"+ create ConfigMap/{namespace}/more" in plan.out
    assert "settings" not in plan.out, "both charts have it: it is kept"
    before = uid()
    done = gitsync("run", "--once", "--name", namespace, *place)
    assert done.code == 0, done.err
    assert uid() == before

    origin.commit({"fleet/app.yaml": "# nothing any more\n"})
    gone = gitsync("run", "--once", "--name", namespace, "--allow-mass-prune", *place)
    assert gone.code == 0, gone.err
