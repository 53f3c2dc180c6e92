"""config/ installs: it builds, a real API server takes it, and its rights are enough for an agent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gitsync.charts.serve import ChartServer
from gitsync.settings import load
from tests.controlplane.cluster import Cli, Cluster
from tests.docs.accounts import of_account
from tests.docs.markdown import ROOT
from tests.e2e.harness import Fleet
from tests.yamls import documents

CONFIG = ROOT / "config"
SAMPLE = ROOT / "sample-repo"
GITSYNC = Path(sys.executable).with_name("gitsync")


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITSYNC_CONFIG", raising=False)


def with_component(name: str, place: Path) -> Path:
    """config/ with one of the components that its kustomization.yaml has in comments."""
    copy = place / "config"
    shutil.copytree(CONFIG, copy)
    file = copy / "kustomization.yaml"
    text = file.read_text()
    assert text.count("# components:\n") == text.count(f"#   - {name}\n") == 1
    file.write_text(text.replace("# components:\n", "components:\n").replace(f"#   - {name}\n", f"  - {name}\n"))
    return copy


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_component("reduced", tmp_path_factory.mktemp("reduced"))


@pytest.fixture(scope="module")
def namespaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_component("namespaced", tmp_path_factory.mktemp("namespaced"))


def built(kubectl: Cli, directory: Path) -> list[dict[str, Any]]:
    return documents(kubectl("kustomize", directory))


def roles_bound(manifests: list[dict[str, Any]]) -> set[str]:
    """The cluster roles that the agent's account has."""
    return {item["roleRef"]["name"] for item in manifests if item["kind"] == "ClusterRoleBinding"}


def test_the_settings_file_can_be_used_also_with_what_it_has_in_comments(tmp_path: Path) -> None:
    text = (CONFIG / "gitsync.yaml").read_text()
    assert load(config=CONFIG / "gitsync.yaml").prune
    commented = re.findall(r"^# (git_\w+|repo|branch|path): (.+)$", text, re.MULTILINE)
    assert len(commented) == 9
    for name, value in commented:
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"{text}\n{name}: {value}\n")
        assert str(getattr(load(config=file), name)) == value


def test_every_definition_is_installed(kubectl: Cli) -> None:
    files = {item["metadata"]["name"] for file in (CONFIG / "crds").iterdir() for item in documents(file)}
    manifests = built(kubectl, CONFIG)
    assert {item["metadata"]["name"] for item in manifests if item["kind"] == "CustomResourceDefinition"} == files


def test_the_deployment_is_hardened_and_mounts_what_its_settings_name(kubectl: Cli) -> None:
    manifests = {item["kind"]: item for item in built(kubectl, CONFIG)}
    spec = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment["GITSYNC_STATE_DIR"] in mounts
    assert str(Path(environment["GITSYNC_CONFIG"]).parent) in mounts
    assert list(manifests["ConfigMap"]["data"]) == [Path(environment["GITSYNC_CONFIG"]).name]
    secrets = re.findall(r"^# git_\w+_file: (.+)$", manifests["ConfigMap"]["data"]["gitsync.yaml"], re.MULTILINE)
    assert {str(Path(file).parent) for file in secrets} <= mounts


def test_both_example_lists_name_the_same_kinds() -> None:
    reduced, namespaced = (
        {
            item["metadata"]["name"]: item["rules"]
            for item in documents(CONFIG / component / "role.yaml")
            if "rules" in item
        }
        for component in ("reduced", "namespaced")
    )
    assert reduced["gitsync-apply-reduced"] == namespaced["gitsync-apply"]


BOUND = {"full": {"gitsync", "cluster-admin"}, "reduced": {"gitsync", "gitsync-apply-reduced"}, "namespaced": set()}


@pytest.mark.parametrize("variant", list(BOUND))
def test_a_real_api_server_takes_it(variant: str, reduced: Path, namespaced: Path, kubectl: Cli) -> None:
    directory = {"full": CONFIG, "reduced": reduced, "namespaced": namespaced}[variant]
    # A dry run keeps nothing, and so the Namespace that all else is in has to be there before.
    kubectl("apply", "--server-side", "-f", CONFIG / "namespace.yaml")
    text = kubectl("kustomize", directory)
    said = kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", "-", stdin=text)
    assert said.count("(server dry run)") == len(built(kubectl, directory))
    assert roles_bound(built(kubectl, directory)) == BOUND[variant]


@pytest.mark.e2e  # a whole agent
def test_the_reduced_rights_are_enough_for_the_sample_repository(
    reduced: Path, control_plane: Cluster, kubectl: Cli, charts: ChartServer, tmp_path: Path
) -> None:
    kubectl("apply", "--server-side", "-k", reduced)
    fleet = Fleet(tmp_path / "fleet")
    files = {
        str(file.relative_to(SAMPLE)): file.read_text().replace("http://charts.example", charts.url)
        for file in (SAMPLE / "fleet").rglob("*.yaml")
    }
    files["fleet/tenant.yaml"] = for_tenant(files["fleet/releases/backend.yaml"])
    add_tenant(kubectl)
    fleet.commit(files, "redis and backend, and backend once more as a tenant")

    done = once_as_service_account(control_plane, kubectl, fleet, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "forbidden" not in done.stdout + done.stderr
    assert kubectl("-n", "tenant", "get", "deployments", "-o", "name") == "deployment.apps/backend-podinfo\n"

    fleet.commit({**dict.fromkeys(files), "fleet/none.yaml": "# nothing\n"}, "nothing")
    done = once_as_service_account(control_plane, kubectl, fleet, tmp_path, "--allow-mass-prune")
    assert done.returncode == 0, done.stdout + done.stderr
    assert kubectl("get", "helmreleases,helmrepositories,deployments,statefulsets", "-o", "name") == ""

    fleet.commit({"fleet/role.yaml": ROLE}, "a kind that is not on the list")
    done = once_as_service_account(control_plane, kubectl, fleet, tmp_path)
    assert done.returncode == 1
    assert "object failed" in done.stdout + done.stderr
    assert "is forbidden" in done.stdout + done.stderr


def add_tenant(kubectl: Cli) -> None:
    """A namespace whose releases are worked on as its own account, as config/reduced/role.yaml says."""
    kubectl("create", "namespace", "tenant")
    kubectl("-n", "tenant", "create", "serviceaccount", "deployer")
    kubectl(
        "-n", "tenant", "create", "rolebinding", "deployer", "--clusterrole=admin", "--serviceaccount=tenant:deployer"
    )
    agent = ("--clusterrole=gitsync-impersonate", "--serviceaccount=gitsync-system:gitsync")
    kubectl("-n", "tenant", "create", "rolebinding", "gitsync-impersonate", *agent)


def for_tenant(release: str) -> str:
    """The release in the namespace ``tenant``, as an account there."""
    found = YAML(typ="safe", pure=True).load(release)
    found["metadata"]["namespace"] = "tenant"
    del found["spec"]["dependsOn"]
    found["spec"]["serviceAccountName"] = "deployer"
    found["spec"]["chart"]["spec"]["sourceRef"]["namespace"] = "default"
    return json.dumps(found)


ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: reader
  namespace: default
rules:
  - apiGroups: [""]
    resources: [pods]
    verbs: [get]
"""


def once_as_service_account(
    control_plane: Cluster, kubectl: Cli, fleet: Fleet, directory: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    """``gitsync run --once`` with the rights of the account that config/ makes."""
    kubeconfig = of_account("gitsync-system", control_plane, kubectl, directory)
    command = [GITSYNC, "run", "--once", "--repo", fleet.path, "--path", "fleet", "--kubeconfig", kubeconfig]
    return subprocess.run(
        [*map(str, command), "--state-dir", str(directory / "state"), *more],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={"HOME": str(directory), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
