"""Fixtures of this room's tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gitsync.http import Connection, HttpClient
from gitsync.oci import Login, Registry, Repository
from tests.controlplane import registry as real

Package = Callable[[str, str], Path]


@pytest.fixture
async def client() -> AsyncIterator[Registry]:
    http = HttpClient()
    yield Registry(http)
    await http.close()


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A chart, packaged: ``package(name, version)``."""

    def make(name: str, version: str) -> Path:
        path = tmp_path / f"{name}-{version}.tgz"
        content = f"apiVersion: v2\nname: {name}\nversion: {version}\n".encode()
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo(f"{name}/Chart.yaml")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        return path

    return make


def at(registry: real.Registry, name: str, password: str = real.PASSWORD, timeout: float = 30.0) -> Repository:
    """A repository of the real registry, and its user's login."""
    login = Login(real.USER, password)
    return Repository(registry.host, name, login, Connection(ca=registry.ca), timeout=timeout)
