"""Objects as rows: revision, readiness, age."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.cli.cluster.query import Query
from gitsync.cli.common.kinds import RELEASE, REPOSITORY
from gitsync.cli.common.output import as_json, as_yaml, one_line
from gitsync.live.columns import human_duration


def release(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> dict[str, Any]:
    annotations = {"gitsync.dev/commit": "3f2a91c0ffee"}
    metadata = {"name": "redis", "namespace": "default", "annotations": annotations}
    kind = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    return {**kind, "metadata": metadata, "spec": spec or {}, "status": status or {}}


def test_a_ready_release_shows_the_chart_version_it_runs() -> None:
    status = {
        "history": [{"chartName": "redis", "chartVersion": "17.3.14"}, {"chartVersion": "17.3.13"}],
        "lastAttemptedRevision": "17.3.15",
        "conditions": [{"type": "Ready", "status": "True", "message": "Release reconciliation succeeded"}],
    }
    row = RELEASE.columns.row(release(status=status), wide=False)
    assert row == ["redis", "17.3.14", "False", "True", "Release reconciliation succeeded"]
    wide = dict(
        zip(RELEASE.columns.headers(wide=True), RELEASE.columns.row(release(status=status), wide=True), strict=True)
    )
    assert (wide["CHART"], wide["COMMIT"], wide["MESSAGE"]) == ("redis", "3f2a91c", "Release reconciliation succeeded")


def test_a_release_that_nobody_looked_at_yet() -> None:
    assert RELEASE.columns.row(release({"suspend": True}), wide=False) == [
        "redis", "", "True", "Unknown", "waiting to be reconciled"
    ]  # fmt: skip
    assert RELEASE.columns.row(release(status={"lastAttemptedRevision": "1.0.0"}), wide=False)[1] == "1.0.0"


def test_a_repository_shows_the_beginning_of_its_index_digest() -> None:
    status = {"artifact": {"revision": "sha256:0123456789abcdef"}}
    kind = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository"}
    spec = {"url": "https://ada:pw@charts.example"}
    manifest = {**kind, "metadata": {"name": "bitnami", "namespace": "default"}, "spec": spec, "status": status}
    assert REPOSITORY.columns.row(manifest, wide=False)[1] == "sha256:01234567"
    assert "https://***@charts.example" in REPOSITORY.columns.row(manifest, wide=True)


def test_a_repository_of_a_registry_waits_for_nobody() -> None:
    manifest = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "podinfo", "namespace": "default"},
        "spec": {"type": "oci", "url": "oci://registry.example/charts"},
    }
    row = REPOSITORY.columns.row(manifest, wide=False)
    assert row[2:] == ["False", "True", "says how a registry is reached: there is nothing to read"]
    statuses = {it: Query((), "", "table", watch=False, condition=("ready", it)) for it in ("true", "false", "unknown")}
    assert [it for it, query in statuses.items() if query.wants(manifest)] == ["true"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (660, "11m"), (3 * 3600, "3h"),
        (3 * 3600 + 600, "3h10m"), (9 * 3600 + 600, "9h"), (50 * 3600, "2d2h"), (8 * 86400, "8d"),
        (800 * 86400, "2y70d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages_are_kubectls(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_what_a_cluster_says_cannot_steer_the_terminal() -> None:
    assert one_line("a\nb\x1b[2J\u202e") == r"a b\u001b[2J\u202e"
    assert as_json({"a": "\x1b"}) == '{\n    "a": "\\u001b"\n}\n'
    assert "\x1b" not in as_yaml({"a": "\x1b"})


def test_a_release_that_has_drifted_says_so_wherever_it_is_listed() -> None:
    ready = {"type": "Ready", "status": "True", "message": "installed"}
    drifted = {"type": "Drifted", "status": "True", "message": "the cluster differs from the release: ConfigMap/a/b"}
    row = RELEASE.columns.row(release(status={"conditions": [ready, drifted]}), wide=False)
    assert row[-1] == "installed; the cluster differs from the release: ConfigMap/a/b"
    assert RELEASE.columns.row(release(status={"conditions": [ready]}), wide=False)[-1] == "installed"
