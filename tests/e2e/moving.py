"""Objects that move between plain manifests and releases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.controlplane.cluster import Cli
from tests.e2e.harness import AgentProcess

#: A chart that holds what its values say: ConfigMaps and PersistentVolumeClaims by name, Deployments that never become
#: ready, and ConfigMaps that are hooks.
CHART = {
    "charts/box/Chart.yaml": "apiVersion: v2\nname: box\nversion: 1.0.0\n",
    "charts/box/templates/all.yaml": """\
{{- range .Values.maps }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ . }}}
data: {from: {{ $.Release.Name }}}
{{- end }}
{{- range .Values.claims }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ . }}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
{{- end }}
{{- range .Values.broken }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ . }}}
spec:
  selector: {matchLabels: {app: {{ . }}}}
  template:
    metadata: {labels: {app: {{ . }}}}
    spec: {containers: [{name: main, image: "registry.example/app:nonexistent"}]}
{{- end }}
{{- range .Values.hooks }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ . }}
  annotations: {helm.sh/hook: "{{ $.Values.events }}", helm.sh/hook-delete-policy: "{{ $.Values.policy }}"}
data: {from: {{ $.Release.Name }}-hook}
{{- end }}
""",
}
PLACES = ("git", "a", "b")


@dataclass(frozen=True)
class Moved:
    """The object that moves, in a namespace."""

    kind: str
    namespace: str
    name: str = "moves"

    def plain(self) -> str:
        """As a manifest in Git."""
        metadata = f"metadata: {{name: {self.name}, namespace: {self.namespace}}}"
        if self.kind == "configmap":
            return f"apiVersion: v1\nkind: ConfigMap\n{metadata}\ndata: {{from: git}}\n"
        spec = "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}"
        return f"apiVersion: v1\nkind: PersistentVolumeClaim\n{metadata}\n{spec}\n"

    def live(self, kubectl: Cli) -> dict[str, str]:
        """Its uid, its origin annotation, and which owner's labels it has."""
        found = json.loads(kubectl("get", self.kind, self.name, "-n", self.namespace, "-o", "json"))
        metadata = found["metadata"]
        annotations = metadata.get("annotations") or {}
        assert "deletionTimestamp" not in metadata
        return {
            "uid": metadata["uid"],
            "from": (found.get("data") or {}).get("from", ""),
            "release": annotations.get("meta.helm.sh/release-name", ""),
            "sync": (metadata.get("labels") or {}).get("gitsync.dev/sync", ""),
        }


def box(
    namespace: str,
    name: str,
    holds: Sequence[Moved] = (),
    needs: str = "",
    release_name: str = "",
    timeout: str = "1m",
    spec: str = "",
    **values: Any,
) -> str:
    """A HelmRelease of the chart, in the synced repository itself; ``spec`` are further lines of its spec."""
    maps = [f"{name}-own", *(item.name for item in holds if item.kind == "configmap")]
    claims = [item.name for item in holds if item.kind != "configmap"]
    more = f"  dependsOn: [{{name: {needs}}}]\n" if needs else ""
    more += f"  releaseName: {release_name}\n" if release_name else ""
    more += spec
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 1h
  timeout: {timeout}
{more}  chart: {{spec: {{chart: ./charts/box, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  values: {json.dumps({"maps": maps, "claims": claims, **values})}
"""


def fleet_files(moved: Sequence[Moved], place: str, namespace: str, first: str) -> dict[str, str | None]:
    """The repository with the objects at a place; of the releases, ``first`` acts before the other."""
    files: dict[str, str | None] = {}
    for name, other in (("a", "b"), ("b", "a")):
        holds = moved if place == name else ()
        files[f"fleet/{name}.yaml"] = box(namespace, name, holds, needs=other if first == other else "")
    for item in moved:
        files[f"fleet/{item.kind}.yaml"] = item.plain() if place == "git" else "# elsewhere\n"
    return files


def both(namespace: str) -> tuple[Moved, Moved]:
    return Moved("configmap", namespace), Moved("persistentvolumeclaim", namespace)


def uids_when_there(kubectl: Cli, moved: Sequence[Moved]) -> list[str]:
    """Waits until the objects exist. Returns their uids."""
    for item in moved:
        kubectl("wait", "--for=create", f"{item.kind}/{item.name}", "-n", item.namespace, "--timeout=60s")
    return [item.live(kubectl)["uid"] for item in moved]


def finished(agent: AgentProcess, commit: str) -> None:
    agent.until(
        lambda line: line.msg.startswith("sync finished") and line.fields.get("commit") == commit[:7], "sync finished"
    )
