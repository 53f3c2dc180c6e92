"""A kubeconfig for the agent's ServiceAccount."""

from __future__ import annotations

from pathlib import Path

from tests.controlplane.cluster import Cli, Cluster, write_kubeconfig


def of_account(namespace: str, control_plane: Cluster, kubectl: Cli, directory: Path) -> Path:
    """A kubeconfig for the agent's account."""
    token = kubectl("-n", namespace, "create", "token", "gitsync").strip()
    kubeconfig = directory / "kubeconfig"
    kubeconfig.unlink(missing_ok=True)
    write_kubeconfig(kubeconfig, control_plane.server, token, control_plane.ca_file.read_bytes())
    return kubeconfig
