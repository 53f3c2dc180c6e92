"""docs/receivers.md: its manifests are taken by a real API server, its script by a webhook, its tables are right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gitsync.api import check
from gitsync.api.receiver import Receiver, ReceiverSpec, ReceiverType
from gitsync.cel.expressions import Expressions
from gitsync.install.bundle import components
from gitsync.web.receivers import server
from gitsync.web.receivers.delivery import Delivery, Proved
from gitsync.web.receivers.gate import MEMORY
from gitsync.web.receivers.gatekeeper import listening
from gitsync.web.receivers.handlers import Webhooks
from gitsync.web.receivers.limits import BURST, PER_SECOND, REMEMBERED_FOR
from gitsync.web.receivers.routes import Route, path_of
from tests.controlplane.cluster import Cli
from tests.controlplane.processes import free_ports
from tests.docs.markdown import ROOT, rows, section, spans
from tests.e2e.background import Background
from tests.yamls import documents

PAGE = ROOT / "docs" / "receivers.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def manifests() -> list[dict[str, Any]]:
    return [YAML(typ="safe", pure=True).load(block) for block in blocks("yaml")]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Delivery]]]:
    """The URL of a webhook of type generic-hmac with the token ``s3cret``, and what is asked by it."""
    asked: list[Delivery] = []

    async def ask(delivery: Delivery, proved: Proved) -> int:
        asked.append(delivery)
        return 1

    port, path = free_ports(1)[0], path_of(b"s3cret", "push", "apps")

    with Background() as background:
        webhooks = background.run(_made())
        serving = listening(webhooks, port)
        background.run(serving.__aenter__())
        webhooks.routes.put("push", path, Route("apps/push", "generic-hmac", ask, b"s3cret"))
        background.run(webhooks.open())
        yield f"http://127.0.0.1:{port}{path}", asked
        background.run(serving.__aexit__(None, None, None))


async def _made() -> Webhooks:
    return Webhooks()


def test_its_manifests_are_taken(kubectl: Cli) -> None:
    kubectl("create", "namespace", "flux-system")
    kubectl("create", "namespace", "gitsync-system")
    kubectl("apply", "--server-side", "-f", ROOT / "config" / "crds" / "notification.toolkit.fluxcd.io_receivers.yaml")
    kubectl("wait", "--for=condition=Established", "crd/receivers.notification.toolkit.fluxcd.io")
    for block in blocks("yaml"):
        kubectl("apply", "--server-side", "-f", "-", stdin=block)
    refused = blocks("yaml")[0].replace("  secretRef:\n    name: webhook-token\n", "")
    with pytest.raises(Exception, match="secretRef is required when type is not generic-oidc"):
        kubectl("apply", "--server-side", "-f", "-", stdin=refused)


async def test_its_receivers_are_as_they_should_be() -> None:
    found = [Receiver.parse(item) for item in manifests() if item["kind"] == "Receiver"]
    assert len(found) == 2
    assert [(receiver.defect, check(receiver.manifest)) for receiver in found] == [("", []), ("", [])]
    async with Expressions() as expressions:
        provider = found[1].spec.oidc_providers[0]
        texts = [item.expression for item in provider.variables] + [item.expression for item in provider.validations]
        texts += [item.filter for item in found[1].spec.resources]
        assert [await expressions.error_of(text) for text in texts] == [""] * 4


def test_its_script_delivers(hook: tuple[str, list[Delivery]], tmp_path: Path) -> None:
    url, asked = hook
    (script,) = (block for block in blocks("sh") if "openssl" in block)
    environment = {"PATH": os.environ["PATH"], "URL": url, "TOKEN": "s3cret"}
    for token, fine in (("s3cret", True), ("else", False)):
        command = ["sh", "-e", "-c", script]
        done = subprocess.run(
            command, env={**environment, "TOKEN": token}, capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert (done.returncode == 0) == fine, done.stderr
    assert [delivery.body[:11] for delivery in asked] == [b'{"commit": ']


def test_all_types_and_fields_are_on_the_page() -> None:
    types, own = (section(PAGE, heading) for heading in ("## Types", "## A Receiver"))
    named = [name for row in rows(PAGE) if f"| {row[0]} |" in types for name in spans(row[0])]
    assert sorted(named) == sorted(ReceiverType.__args__)  # type: ignore[attr-defined]
    fields = [name for row in rows(PAGE) if f"| {row[0]} |" in own for name in spans(row[0])]
    aliases = [field.alias or "" for field in ReceiverSpec.model_fields.values()]
    assert sorted(fields) == sorted(aliases)


def test_its_figures_are_those_of_the_code() -> None:
    hostile, answers = section(PAGE, "## What hostile deliveries meet"), section(PAGE, "## What is answered")
    assert f"{MEMORY >> 20} MiB" in hostile
    assert f"At most {server.MOST_CONNECTIONS} connections" in hostile
    assert f"more than {BURST} at once, or {PER_SECOND:g} a second" in answers
    assert (REMEMBERED_FOR, "in the last ten minutes" in answers) == (600, True)


def test_the_component_brings_a_port_and_a_service(kubectl: Cli, tmp_path: Path) -> None:
    assert "webhooks" in components()
    copy = tmp_path / "config"
    shutil.copytree(ROOT / "config", copy)
    with (copy / "kustomization.yaml").open("a") as file:
        file.write("components: [webhooks]\n")
    made = documents(kubectl("kustomize", copy))
    (deployment,) = (item for item in made if item["kind"] == "Deployment")
    (service,) = (item for item in made if item["kind"] == "Service")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "GITSYNC_WEBHOOK_PORT", "value": "9292"} in container["env"]
    assert {"name": "webhooks", "containerPort": 9292} in container["ports"]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["webhooks"]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    ingress = next(item for item in manifests() if item["kind"] == "Ingress")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == (service["metadata"]["name"], "http")
