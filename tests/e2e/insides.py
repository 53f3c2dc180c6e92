"""Charts that have HelmReleases and Kustomizations inside, and releases of them."""

from __future__ import annotations

import json

#: A chart whose objects are a text of its values.
CHART = {
    "charts/text/Chart.yaml": "apiVersion: v2\nname: text\nversion: 1.0.0\n",
    "charts/text/templates/all.yaml": "{{ .Values.text }}\n",
}


NOTHING = "# nothing here\n"


def release(namespace: str, name: str, *texts: str) -> str:
    """The manifest of a HelmRelease that has the objects of these texts."""
    source = {"kind": "GitRepository", "name": "flux-system"}
    spec = {
        "interval": "1h",
        "timeout": "30s",
        "chart": {"spec": {"chart": "./charts/text", "sourceRef": source}},
        "values": {"text": "\n---\n".join(texts)},
    }
    metadata = {"name": name, "namespace": namespace}
    kind = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    return json.dumps({**kind, "metadata": metadata, "spec": spec}) + "\n"


def named(namespace: str, name: str, release_name: str, *texts: str) -> str:
    """As ``release``, with another name for the Helm release."""
    manifest = json.loads(release(namespace, name, *texts))
    manifest["spec"]["releaseName"] = release_name
    return json.dumps(manifest)


def chart(name: str, *templates: tuple[str, str]) -> dict[str, str]:
    """A chart in Git, with a template of its own for each object."""
    files = {f"charts/{name}/templates/{file}.yaml": text for file, text in templates}
    return {f"charts/{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n", **files}


def of_chart(namespace: str, name: str) -> str:
    """The manifest of a HelmRelease of the chart of its name."""
    return release(namespace, name).replace("charts/text", f"charts/{name}")
