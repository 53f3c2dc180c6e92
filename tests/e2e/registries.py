"""Charts in a registry, and the manifests that name them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import ssl
import subprocess
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli
from tests.controlplane.registry import PASSWORD, USER, Registry
from tests.e2e.manifests import CHARTS, config_map
from tests.e2e.watching import Watch, is_ready

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
LAYERS = {"helm": CHART_LAYER, "flux": "application/vnd.cncf.flux.content.v1.tar+gzip"}


class Charts:
    """The chart ``app`` in a folder of the registry that is this test's own."""

    def __init__(self, registry: Registry, folder: str, directory: Path) -> None:
        self.registry, self.folder, self._directory = registry, folder, directory
        self._number = 0

    @property
    def url(self) -> str:
        """Of the repository that holds ``app``."""
        return self.registry.url(f"{self.folder}/app")

    def push(self, version: str, text: str = "", more: str = "") -> str:
        """Push a version, whose ConfigMap has this text, and which has ``more`` objects; the digest of its manifest."""
        self._number += 1
        chart = self._directory / f"chart-{self._number}" / "app"
        shutil.copytree(CHARTS / "app", chart)
        file = chart / "Chart.yaml"
        file.write_text(file.read_text().replace("version: 1.0.0", f"version: {version}"))
        (chart / "templates" / "text.yaml").write_text(
            config_map('"{{ .Release.Namespace }}"', '"{{ .Release.Name }}-text"', text)
        )
        (chart / "templates" / "more.yaml").write_text(more)
        command = [str(binaries.ensure(binaries.HELM)), "package", str(chart), "-d", str(chart.parent)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return self.registry.push(chart.parent / f"app-{version}.tgz", self.folder)

    def push_files(self, tag: str, files: Mapping[str, str], origin: str = "") -> str:
        """Push files as `flux push artifact --revision=ORIGIN` does; the digest of the manifest."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return self.push_other(tag, packed.getvalue(), "flux", {"org.opencontainers.image.revision": origin})

    def push_other(
        self, tag: str, layer: bytes, program: str = "helm", annotations: Mapping[str, str] | None = None
    ) -> str:
        """Push an artifact that is no chart, though its layer's media type says so (or the one that flux pushes), by
        the registry's own API. Returns the digest of the manifest."""
        blob = self._upload(layer)
        empty = self._upload(b"{}")
        media_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": f"application/vnd.cncf.{program}.config.v1+json", "digest": empty, "size": 2},
            "layers": [{"mediaType": LAYERS[program], "digest": blob, "size": len(layer)}],
            "annotations": dict(annotations or {}),
        }
        body = json.dumps(manifest).encode()
        self._request("PUT", f"/v2/{self.folder}/app/manifests/{tag}", body, media_type)
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def _upload(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        place = self._request("POST", f"/v2/{self.folder}/app/blobs/uploads/", b"")
        path = place.partition(self.registry.host)[2] or place
        self._request("PUT", f"{path}&digest={digest}", data, "application/octet-stream")
        return digest

    def _request(self, method: str, path: str, body: bytes, content_type: str = "") -> str:
        """The answer's Location."""
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": content_type, "Content-Length": str(len(body))}
        context = ssl.create_default_context(cadata=self.registry.ca)
        request = urllib.request.Request(f"https://{self.registry.host}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return str(answer.headers.get("Location", ""))


def secrets(namespace: str, registry: Registry, password: str = PASSWORD) -> str:
    """The Secrets ``login`` (a docker configuration) and ``certs`` (the registry's authority)."""
    auths = {"auths": {registry.host: {"username": USER, "password": password}}}
    login = _secret(namespace, "login", {".dockerconfigjson": json.dumps(auths)}, "kubernetes.io/dockerconfigjson")
    return f"{login}---\n{_secret(namespace, 'certs', {'ca.crt': registry.ca})}"


def _secret(namespace: str, name: str, data: dict[str, str], kind: str = "Opaque") -> str:
    metadata = {"name": name, "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data}
    return json.dumps(manifest) + "\n"


def oci_repository(namespace: str, url: str, name: str = "app", **spec: Any) -> str:
    """An OCIRepository as most tests need it."""
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "OCIRepository",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "interval": "1h",
                "url": url,
                "layerSelector": {"mediaType": CHART_LAYER, "operation": "copy"},
                "secretRef": {"name": "login"},
                "certSecretRef": {"name": "certs"},
                **spec,
            },
        }
    )


def by_account(namespace: str, url: str) -> str:
    """As ``oci_repository``, with the login of the ServiceAccount ``puller``."""
    metadata = {"name": "puller", "namespace": namespace}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "imagePullSecrets": [{"name": "login"}],
    }
    source = json.loads(oci_repository(namespace, url, ref={"tag": "1.0.0"}, serviceAccountName="puller"))
    del source["spec"]["secretRef"]
    return f"{json.dumps(account)}\n---\n{json.dumps(source)}\n"


def helm_repository(namespace: str, charts: Charts) -> str:
    """The folder of a registry as a HelmRepository ``charts``."""
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "HelmRepository",
            "metadata": {"name": "charts", "namespace": namespace},
            "spec": {
                "type": "oci",
                "interval": "1s",
                "url": charts.registry.url(charts.folder),
                "secretRef": {"name": "login"},
                "certSecretRef": {"name": "certs"},
            },
        }
    )


def by_name(namespace: str, name: str, version: str) -> str:
    """A HelmRelease of the chart ``app`` of the HelmRepository ``charts``."""
    source = {"kind": "HelmRepository", "name": "charts"}
    chart = {"spec": {"chart": "app", "version": version, "sourceRef": source}}
    found = json.loads(by_reference(namespace, name))
    del found["spec"]["chartRef"]
    return json.dumps({**found, "spec": {**found["spec"], "chart": chart}})


def by_reference(namespace: str, name: str, source: str = "app", **spec: Any) -> str:
    """A HelmRelease of the chart of an OCIRepository."""
    return json.dumps(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "interval": "1h",
                "timeout": "1m",
                "chartRef": {"kind": "OCIRepository", "name": source},
                **spec,
            },
        }
    )


def source(kubectl: Cli, namespace: str, name: str = "app") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "ocirepository", name, "-n", namespace, "-o", "json"))
    return found


def text(kubectl: Cli, namespace: str, name: str = "app") -> str:
    found = json.loads(kubectl("get", "configmap", f"{name}-text", "-n", namespace, "-o", "json"))
    data: str = found["data"]["text"]
    return data


def until_ready(releases: Watch, *keys: str) -> None:
    releases.until(lambda now: all(is_ready(now.get(key)) for key in keys), f"{', '.join(keys)} ready")
