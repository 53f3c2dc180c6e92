"""`gitsync plan` of Kustomizations that have accounts of their own, come out of a registry, or are encrypted."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.registry import PASSWORD, Registry
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.planning import Commits
from tests.e2e.registries import Charts, oci_repository, secrets
from tests.e2e.tenants import tenant
from tests.sopsfiles import age_key, encrypted, program

OCI = {"kind": "OCIRepository", "name": "app"}


@pytest.fixture
def commits(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> Commits:
    return Commits(new_agent(fleet, "--path=clusters", "--allow-mass-prune"), fleet, kubectl, namespace)


def test_a_plan_is_made_as_the_account_that_applies(commits: Commits, namespace: str) -> None:
    """One that comes with the commit is taken to be there; what it may not do is said; one that never comes is a
    problem."""
    commits.commit({"clusters/first.yaml": config_map(namespace, "first")})
    assert commits.run() == 0
    commits.commit(
        {
            "clusters/tenant.yaml": tenant(namespace),
            "clusters/app.yaml": kustomization(namespace, "app", "./app", serviceAccountName="team"),
            "app/one.yaml": config_map(namespace, "one"),
        }
    )
    planned = commits.plan()
    assert not planned.problems
    assert f"ConfigMap/{namespace}/one" in planned.doing("create")
    assert commits.run() == 0
    commits.commit(
        {
            "clusters/nobody.yaml": kustomization(namespace, "nobody", "./nobody", serviceAccountName="nobody"),
            "nobody/two.yaml": config_map(namespace, "two"),
            "app/beyond.yaml": config_map("default", "beyond"),
        }
    )
    planned = commits.plan()
    assert planned.problems == [f"Kustomization/{namespace}/nobody: ServiceAccount {namespace}/nobody does not exist"]
    assert set(planned.doing("unknown")) == {"ConfigMap/default/beyond"}
    assert f"system:serviceaccount:{namespace}:team" in planned.whys["unknown ConfigMap/default/beyond"]
    assert commits.run() == 1


def test_what_comes_out_of_a_registry_is_planned_when_the_commit_has_to_do_with_it(
    commits: Commits, namespace: str, registry: Registry, tmp_path: Path
) -> None:
    pushed = Charts(registry, namespace, tmp_path)
    pushed.push_files("1.0.0", {"deploy/one.yaml": config_map(namespace, "one")})
    pushed.push_files("1.1.0", {"deploy/one.yaml": config_map(namespace, "one", "new")})
    source = oci_repository(namespace, pushed.url, ref={"tag": "1.0.0"}, layerSelector=None)
    commits.commit(
        {
            "clusters/app.yaml": kustomization(namespace, "app", "./deploy", sourceRef=OCI),
            "clusters/secrets.yaml": secrets(namespace, pushed.registry),
            "clusters/source.yaml": source,
        }
    )
    assert commits.run() == 0
    code, out, _ = commits.said()
    assert code == 0, out

    commits.commit({"clusters/source.yaml": source.replace("1.0.0", "1.1.0")})
    _, out, err = commits.said("-o", "json")
    items = {item["name"]: item for item in json.loads(out)["objects"] if item["kind"] == "ConfigMap"}
    assert (items["one"]["action"], items["one"]["kustomization"]) == ("change", f"{namespace}/app")
    assert PASSWORD not in out + err
    commits.as_planned()


def test_what_is_encrypted_in_git_is_planned_and_not_shown(
    commits: Commits, namespace: str, kubectl: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its kind is: what was there before is not known to be a secret by its text."""
    monkeypatch.setenv("PATH", f"{program('sops').parent}:{os.environ['PATH']}")
    key = age_key()
    held = {"identity.agekey": base64.b64encode(key.text.encode()).decode()}
    metadata = {"name": "sops-age", "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": held}
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def closed(text: str) -> str:
        return encrypted(config_map(namespace, "one", text), key, "yaml", "--encrypted-regex", "^data$").decode()

    apps = kustomization(
        namespace, "apps", "./apps", decryption={"provider": "sops", "secretRef": {"name": "sops-age"}}
    )
    commits.commit({"clusters/apps.yaml": apps, "apps/one.yaml": closed("unspeakable-one")})
    assert commits.run() == 0
    commits.commit({"apps/one.yaml": closed("unspeakable-two")})
    code, out, err = commits.said()
    assert code == 2, err
    assert f"~ change ConfigMap/{namespace}/one (kustomization {namespace}/apps, apps/one.yaml:1:1, " in out
    assert "masked:" in out
    assert "unspeakable" not in out + err
    commits.commit({"apps/one.yaml": None, "apps/two.yaml": config_map(namespace, "two")})
    code, out, err = commits.said()
    assert f"- delete ConfigMap/{namespace}/one (kustomization {namespace}/apps, " in out
    assert "unspeakable" not in out + err
