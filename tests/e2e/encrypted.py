"""Secrets that are encrypted with SOPS."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from tests.controlplane.cluster import Cli
from tests.sopsfiles import AgeKey, age_key, encrypted

PASSWORD = "correct-horse-battery-9"


SECRET_ONLY = ("--encrypted-regex", "^(data|stringData)$")


def secret(name: str, password: str = PASSWORD) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  password: {password}\n"


def closed(text: str, key: AgeKey) -> str:
    return encrypted(text, key, "yaml", *SECRET_ONLY).decode()


@pytest.fixture
def key() -> AgeKey:
    return age_key()


@pytest.fixture
def password(kubectl: Cli, namespace: str) -> Callable[[str], str | None]:
    """The password in a Secret of the cluster; None when there is no such Secret."""

    def read(name: str) -> str | None:
        listed = json.loads(kubectl("get", "secrets", "-n", namespace, "-o", "json"))["items"]
        found = {item["metadata"]["name"]: item.get("data") or {} for item in listed}
        return base64.b64decode(found[name]["password"]).decode() if name in found else None

    return read
