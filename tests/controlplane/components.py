"""The command line of each component, worked out from files and ports; nothing is started here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controlplane.certificates import Certificates

#: Who signs the tokens of ServiceAccounts.
ISSUER = "https://kubernetes.default.svc"
STAGES = Path(__file__).parent / "kwok"


@dataclass(frozen=True)
class Ports:
    """All on 127.0.0.1."""

    etcd: int
    etcd_peer: int
    apiserver: int
    kubelet: int


@dataclass(frozen=True)
class Layout:
    """The files of one control plane."""

    directory: Path
    ports: Ports
    certificates: Certificates
    issuer: str = ISSUER

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def tokens(self) -> Path:
        return self.directory / "tokens.csv"

    @property
    def authentication_config(self) -> Path:
        return self.directory / "authentication.json"

    @property
    def scheduler_config(self) -> Path:
        return self.directory / "scheduler.json"

    @property
    def logs_config(self) -> Path:
        return self.directory / "container-logs.json"

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports.apiserver}"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def etcd(layout: Layout) -> list[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in (layout.ports.etcd, layout.ports.etcd_peer))
    return [
        f"--data-dir={layout.directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nothing here outlives the machine
        "--log-level=warn",
    ]


def apiserver(layout: Layout) -> list[str]:
    files = layout.certificates
    return [
        f"--etcd-servers=http://127.0.0.1:{layout.ports.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.ports.apiserver}",
        f"--tls-cert-file={files.server_certificate}",
        f"--tls-private-key-file={files.server_key}",
        f"--token-auth-file={layout.tokens}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={layout.issuer}",
        f"--service-account-jwks-uri={layout.server}/openid/v1/jwks",  # not at the machine's own address
        f"--authentication-config={layout.authentication_config}",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        "--service-cluster-ip-range=10.96.0.0/12",
        "--endpoint-reconciler-type=none",  # no pod asks for the API server, and 127.0.0.1 would be refused
        "--allow-privileged=true",
        "--disable-admission-plugins=TaintNodesByCondition",  # nothing would take the not-ready taint away
        "--kubelet-preferred-address-types=ExternalIP",  # only that one exists: kwok/node-initialize.yaml
        "--profiling=false",
    ]


def authentication_config(issuers: Sequence[Mapping[str, Any]]) -> str:
    """The API server's configuration file for tokens of other issuers; anybody may ask, as without it."""
    jwt = [{"issuer": issuer, "claimMappings": {"username": {"claim": "sub", "prefix": "hub:"}}} for issuer in issuers]
    return json.dumps({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt})


def controller_manager(layout: Layout) -> list[str]:
    return [
        f"--kubeconfig={layout.kubeconfig}",
        "--secure-port=0",
        f"--service-account-private-key-file={layout.certificates.service_account_key}",
        f"--root-ca-file={layout.certificates.ca}",
        "--use-service-account-credentials=false",
        "--leader-elect=false",
        "--controllers=*,-nodelifecycle,-nodeipam,-cloud-node-lifecycle,-ttl",
        # With the defaults (20 and 30) it would be what a benchmark measures.
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    ]


def scheduler(layout: Layout) -> list[str]:
    return [f"--config={layout.scheduler_config}", "--secure-port=0"]


def scheduler_config(layout: Layout) -> str:
    """The scheduler's configuration file; its client's limits have no flag that is not deprecated."""
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(layout.kubeconfig), "qps": 1000, "burst": 2000},
            "leaderElection": {"leaderElect": False},
        }
    )


def kwok(layout: Layout) -> list[str]:
    files = layout.certificates
    return [
        f"--kubeconfig={layout.kubeconfig}",
        f"--node-port={layout.ports.kubelet}",
        f"--server-address=127.0.0.1:{layout.ports.kubelet}",
        f"--tls-cert-file={files.server_certificate}",
        f"--tls-private-key-file={files.server_key}",
        *(f"--config={path}" for path in (*sorted(STAGES.glob("*.yaml")), layout.logs_config)),
    ]


def logs_config() -> str:
    """What kwok answers when a container's log is asked for: always the same line, from a file named absolutely."""
    return json.dumps(
        {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "ClusterLogs",
            "metadata": {"name": "all-containers"},
            "spec": {"logs": [{"logsFile": str(STAGES / "container.log")}]},
        }
    )
