"""A chart that has whatever ConfigMaps its values name, and an agent of a fleet that has it."""

from __future__ import annotations

import json
from typing import Any

from tests.controlplane.cluster import Cli
from tests.e2e.harness import AgentProcess, Fleet

#: A chart of the ConfigMaps in its values, unless these say that it is broken.
CHART = {
    "charts/maps/Chart.yaml": "apiVersion: v2\nname: maps\nversion: 1.0.0\n",
    "charts/maps/templates/all.yaml": """\
{{- if .Values.broken }}{{ fail (printf "no good: %s" .Values.broken) }}{{ end }}
{{- range .Values.maps }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ . }}}
{{- end }}
""",
}


GONE = "# gone\n"


def release(namespace: str, name: str, *maps: str, broken: str = "", suspend: bool = False) -> str:
    """A HelmRelease of the chart."""
    values: dict[str, Any] = {"maps": [f"{name}-own", *maps], "broken": broken}
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 1h
  suspend: {json.dumps(suspend)}
  chart: {{spec: {{chart: ./charts/maps, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  values: {json.dumps(values)}
"""


class Commits:
    """Pushes commits and waits until each is carried out; knows the object that moves."""

    def __init__(self, agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str) -> None:
        self.agent, self._fleet, self._kubectl, self._namespace = agent, fleet, kubectl, namespace

    def push(self, files: dict[str, str | None], subject: str) -> str:
        """Returns the commit's short id, at the end of its sync."""
        commit = self._fleet.commit(files, subject)[:7]
        self.agent.until(
            lambda line: line.msg.startswith("sync finished") and line.fields.get("commit") == commit,
            f"the end of {subject!r}",
        )
        return commit

    def uid(self, name: str = "moves", kind: str = "configmap") -> str:
        """The uid of an object, "" when it is not there, or on its way out."""
        found = self._kubectl("get", kind, name, "-n", self._namespace, "--ignore-not-found", "-o", "json")
        metadata = json.loads(found)["metadata"] if found else {}
        return "" if "deletionTimestamp" in metadata else metadata.get("uid", "")

    def has(self, name: str, kind: str = "configmap") -> bool:
        return self.uid(name, kind) != ""
