"""A registry that refuses, lacks or garbles what an OCIRepository asks for: it says so, and so do its releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.charts.certificates import Authority
from tests.controlplane.cluster import Cli
from tests.controlplane.registry import PASSWORD, Registry
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.registries import (
    Charts,
    by_reference,
    oci_repository,
    secrets,
    source,
    until_ready,
)
from tests.e2e.watching import Now, Watch, condition, is_ready


@pytest.fixture
def charts(registry: Registry, namespace: str, tmp_path: Path) -> Charts:
    return Charts(registry, namespace, tmp_path)


def test_a_source_that_cannot_be_read_says_why_and_what_runs_keeps_running(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    charts.push("1.0.0", "one")
    wrong = "not-the-pass-word"
    good = oci_repository(namespace, charts.url, ref={"tag": "1.0.0"})
    other = Authority()
    stranger = secrets(namespace, charts.registry).replace(json.dumps(charts.registry.ca), json.dumps(other.pem))
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": good,
            "app.yaml": by_reference(namespace, "app"),
        },
        "an app",
    )
    agent.start()
    until_ready(releases, f"{namespace}/app")

    def asked() -> dict[str, Any]:
        """The source's conditions after it was asked for again."""
        agent.ended("reconcile", "source", "oci", "app", "-n", namespace)
        status = source(kubectl, namespace)["status"]
        assert status["artifact"]["revision"].startswith("1.0.0@")
        return {item["type"]: item for item in status["conditions"]}

    for change, words in (
        (secrets(namespace, charts.registry, wrong), "access refused (401"),
        (stranger, "TLS failed"),
    ):
        agent.wait_for("sync finished", commit=fleet.commit({"secrets.yaml": change}, words)[:7])
        conditions = asked()
        assert words in conditions["Ready"]["message"]
        assert conditions["Ready"]["status"] == "False"
        assert conditions["FetchFailed"]["reason"] == "OCIArtifactPullFailed"
        assert conditions["ArtifactInStorage"]["status"] == "True"
        assert is_ready(releases.get(f"{namespace}/app"))
    agent.wait_for(
        "sync finished", commit=fleet.commit({"secrets.yaml": secrets(namespace, charts.registry)}, "ok")[:7]
    )
    conditions = asked()
    assert conditions["Ready"]["status"] == "True"
    assert "FetchFailed" not in conditions
    agent.wait_for("artifact can be read again", repository=f"{namespace}/app")
    events = kubectl("get", "events", "-n", namespace, "-o", "json")
    for secret in (PASSWORD, wrong):
        assert secret not in agent.log + events + kubectl("get", "ocirepositories", "-n", namespace, "-o", "json")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"ref": {"tag": "9.9.9"}}, "OCIArtifactPullFailed", "not found (404"),
        ({"ref": {"semver": ">=9"}}, "OCIArtifactPullFailed", "no tag is in the range '>=9'"),
        ({"ref": {"semver": "1.x", "semverFilter": "-rc"}}, "OCIArtifactPullFailed", "no tag is in the range"),
        (
            {"ref": {"tag": "1.0.0"}, "verify": {"provider": "cosign"}},
            "NotSupported",
            "a signature by anybody would count",
        ),
        ({"ref": {"tag": "1.0.0"}, "secretRef": {"name": "nosuch"}}, "AuthenticationFailed", "does not exist"),
        ({"ref": {"tag": "1.0.0"}, "secretRef": {"name": "certs"}}, "AuthenticationFailed", "no login for a registry"),
        (
            {"ref": {"tag": "1.0.0"}, "layerSelector": {"mediaType": "application/other", "operation": "copy"}},
            "OCIArtifactLayerOperationFailed",
            "no layer of media type 'application/other'",
        ),
    ],
)
def test_a_release_of_a_source_that_has_nothing_waits_and_says_why(
    agent: AgentProcess,
    fleet: Fleet,
    charts: Charts,
    releases: Watch,
    kubectl: Cli,
    namespace: str,
    spec: dict[str, Any],
    reason: str,
    words: str,
) -> None:
    charts.push("1.0.0", "one")
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, **spec),
            "app.yaml": by_reference(namespace, "app"),
        },
        "an app",
    )
    agent.start()

    def waits(now: Now) -> bool:
        ready = condition(now.get(f"{namespace}/app") or {}, "Ready")
        return ready.get("reason") == "SourceNotReady" and words in ready.get("message", "")

    releases.until(waits, f"app waits: {words}")
    ready = condition(source(kubectl, namespace), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert words in ready["message"]
    # Put right, it goes on by itself.
    fleet.commit({"source.yaml": oci_repository(namespace, charts.url, ref={"tag": "1.0.0"})}, "corrected")
    until_ready(releases, f"{namespace}/app")
    assert PASSWORD not in agent.log


def test_a_damaged_layer_is_not_installed(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    digest = charts.push("1.0.0", "one")
    layer = json.loads(charts.registry.blob(digest).read_text())["layers"][0]["digest"]
    file = charts.registry.blob(layer)
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "1.0.0"}),
            "app.yaml": by_reference(namespace, "app"),
        },
        "an app",
    )
    agent.start()
    said = agent.wait_for("artifact cannot be read", repository=f"{namespace}/app")
    assert "is not what its digest says" in said.fields["error"]
    assert condition(source(kubectl, namespace), "FetchFailed")["reason"] == "OCIArtifactLayerOperationFailed"
    file.write_bytes(data)
    assert agent.ended("reconcile", "source", "oci", "app", "-n", namespace)[0] == 0
    until_ready(releases, f"{namespace}/app")


def test_an_artifact_that_is_no_chart_is_said_to_be_none(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    charts.push("1.0.0", "one")
    # The first layer of what helm pushes with a provenance file would be another; here the config is taken for one.
    charts.push_other("2.0.0", b"no chart at all")
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "2.0.0"}),
            "app.yaml": by_reference(namespace, "app"),
        },
        "an app",
    )
    agent.start()

    def refused(now: Now) -> bool:
        ready = condition(now.get(f"{namespace}/app") or {}, "Ready")
        return ready.get("reason") == "ArtifactFailed" and "is no chart that can be installed" in ready["message"]

    releases.until(refused, "app is of no chart")
    assert condition(source(kubectl, namespace), "Ready")["status"] == "True"


def test_a_tag_that_is_pushed_later_is_found_long_before_the_interval(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, namespace: str
) -> None:
    charts.push("1.0.0", "one")
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "2.0.0"}, interval="24h"),
            "app.yaml": by_reference(namespace, "app"),
        },
        "ahead of its chart",
    )
    agent.start()
    agent.wait_for("artifact cannot be read", repository=f"{namespace}/app")
    charts.push("2.0.0", "two")
    until_ready(releases, f"{namespace}/app")
