"""``gitsync run --once`` on a cluster in which something has failed before: only the commit that it syncs counts."""

from __future__ import annotations

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map

#: Nobody ever binds it.
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: never, namespace: NAMESPACE}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Mi}}}
"""


def test_what_a_commit_mends_is_waited_for_and_what_stays_broken_is_said(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    claim, spec = CLAIM.replace("NAMESPACE", namespace), {"wait": True, "timeout": "3s"}
    files = {
        "clusters/a.yaml": kustomization(namespace, "a", "./a", **spec),
        "clusters/b.yaml": kustomization(namespace, "b", "./b", dependsOn=[{"name": "a"}]),
        "clusters/odd.yaml": kustomization(namespace, "odd", "./odd", serviceAccountName="nobody"),
        "a/one.yaml": config_map(namespace, "one"),
        "b/two.yaml": config_map(namespace, "two"),
        "odd/three.yaml": config_map(namespace, "three"),
    }
    fleet.commit({**files, "a/never.yaml": claim}, "never ready")
    agent = new_agent(fleet, "--path=clusters")
    assert agent.start("--once").wait() == 1

    def unready(after: int) -> set[str]:
        """As the last lines say."""
        lines = (line.fields for line in agent.said("not ready", after=after))
        return {str(fields["kustomization"]) for fields in lines if "kustomization" in fields}

    assert unready(0) == {f"{namespace}/{name}" for name in ("a", "b", "odd")}
    before = agent.count
    fleet.commit({"b/two.yaml": config_map(namespace, "two", "new")}, "still never ready")
    assert agent.start("--once").wait() == 1
    assert unready(before) == {f"{namespace}/{name}" for name in ("a", "b", "odd")}

    before = agent.count
    fleet.commit({"a/never.yaml": None}, "mended, but for one")
    assert agent.start("--once").wait() == 1
    assert unready(before) == {f"{namespace}/odd"}
    assert Cluster(kubectl, namespace).maps() == {"one": "x", "two": "new"}

    before = agent.count
    fleet.commit({"clusters/odd.yaml": None}, "mended")
    assert agent.start("--once").wait() == 0
    assert unready(before) == set()
