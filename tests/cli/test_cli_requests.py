"""``gitsync reconcile``, ``suspend`` and ``resume``, with an agent that syncs a repository to a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Gitsync, Serving
from tests.controlplane.cluster import Cluster
from tests.e2e.manifests import release, repository

RELEASES = "/apis/helm.toolkit.fluxcd.io/v2"
SOURCES = "/apis/source.toolkit.fluxcd.io/v1"


@pytest.fixture(scope="module", autouse=True)
def fleet(serving: Serving) -> None:
    """Release ``app`` is ready, ``stuck`` never will be, ``later`` waits for it; ``said`` names spec.suspend itself."""
    namespace = serving.namespace
    light: dict[str, Any] = {"workload": False}
    said = release(namespace, "said", values=light)
    serving.synced(
        {
            "charts.yaml": repository(namespace, serving.charts),
            "app.yaml": release(namespace, "app", values=light),
            "stuck.yaml": release(namespace, "stuck", values={"args": ["--unready"]}, timeout="1s"),
            "later.yaml": release(namespace, "later", "stuck", values=light),
            "said.yaml": said.replace("spec:\n", "spec:\n  suspend: false\n", 1),
        },
        "all of it",
    )


@pytest.fixture
def live(control_plane: Cluster, serving: Serving) -> Any:
    """``live("app")``: a HelmRelease as it is."""
    place = f"{RELEASES}/namespaces/{serving.namespace}/helmreleases"
    return lambda name: control_plane.request("GET", f"{place}/{name}")


def revision(manifest: dict[str, Any]) -> int:
    found: int = manifest["status"]["history"][0]["version"]
    return found


def test_reconcile_waits_for_the_answer_and_prints_what_it_says(gitsync: Gitsync, serving: Serving, live: Any) -> None:
    said = gitsync("reconcile", "helmrelease", "app", "-n", serving.namespace)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"HelmRelease/{serving.namespace}/app is ready: Release reconciliation succeeded")
    found = live("app")
    requested = found["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
    assert found["status"]["lastHandledReconcileAt"] == requested
    assert revision(found) == 1


def test_force_upgrades_although_nothing_differs(gitsync: Gitsync, serving: Serving, live: Any) -> None:
    before = revision(live("app"))
    assert gitsync("reconcile", "hr", "app", "-n", serving.namespace, "--force").code == 0
    assert revision(live("app")) == before + 1


def test_reconcile_of_a_failed_release_is_an_error_and_reset_tries_again(
    gitsync: Gitsync, serving: Serving, live: Any
) -> None:
    said = gitsync("reconcile", "helmrelease", "stuck", "-n", serving.namespace)
    assert (said.code, said.out) == (1, "")
    assert f"error: HelmRelease/{serving.namespace}/stuck is not ready: install retries exhausted" in said.err
    before = revision(live("stuck"))
    assert gitsync("reconcile", "helmrelease", "stuck", "-n", serving.namespace, "--reset").code == 1
    assert revision(live("stuck")) == before + 1


def test_a_release_that_waits_for_another_says_so_at_the_deadline(gitsync: Gitsync, serving: Serving) -> None:
    said = gitsync("reconcile", "helmrelease", "later", "-n", serving.namespace, "--timeout", "1s")
    waits = f"dependency '{serving.namespace}/stuck' is not ready"
    later = f"HelmRelease/{serving.namespace}/later"
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        f"{later}: {waits}",
        f"error: {later} was not reconciled within 1s: {waits}",
    ]


def test_a_source_is_read_first_and_answers_too(gitsync: Gitsync, serving: Serving, control_plane: Cluster) -> None:
    said = gitsync("reconcile", "helmrelease", "app", "-n", serving.namespace, "--with-source")
    assert said.code == 0
    assert [line.partition(" is ready: ")[0] for line in said.out.splitlines()] == [
        f"HelmRepository/{serving.namespace}/charts",
        f"HelmRelease/{serving.namespace}/app",
    ]
    path = f"{SOURCES}/namespaces/{serving.namespace}/helmrepositories/charts"
    found = control_plane.request("GET", path)
    requested = found["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
    assert found["status"]["lastHandledReconcileAt"] == requested


def test_a_source_that_cannot_be_read_is_an_error(gitsync: Gitsync, serving: Serving, control_plane: Cluster) -> None:
    created = gitsync(
        "create", "source", "helm", "away", "-n", serving.namespace, "--url", f"{serving.charts}/nosuch", "--no-wait"
    )
    assert (created.code, created.out) == (0, f"HelmRepository/{serving.namespace}/away is created\n")
    said = gitsync("reconcile", "source", "helm", "away", "-n", serving.namespace)
    assert (said.code, said.out) == (1, "")
    assert f"error: HelmRepository/{serving.namespace}/away is not ready: " in said.err


def test_what_git_does_not_name_stays_suspended_through_commits_and_is_taken_up_by_resume(
    gitsync: Gitsync, serving: Serving, live: Any
) -> None:
    namespace, key = serving.namespace, f"HelmRelease/{serving.namespace}/app"
    said = gitsync("suspend", "helmrelease", "app", "-n", namespace)
    assert (said.code, said.out) == (0, f"{key} is suspended\n")
    assert said.err == (
        f"warning: {key} comes from app.yaml:1:1: commits still reach it, and take effect on: "
        f"gitsync resume helmrelease app -n {namespace}\n"
    )
    refused = gitsync("reconcile", "helmrelease", "app", "-n", namespace)
    assert refused.code == 1
    assert refused.err == f"error: {key} is suspended\nhint: gitsync resume helmrelease app -n {namespace}\n"

    before = revision(live("app"))
    changed = {"workload": False, "message": "changed while suspended"}
    serving.synced({"app.yaml": release(namespace, "app", values=changed)}, "app: another message")
    found = live("app")
    assert found["spec"]["values"] == changed
    assert found["spec"]["suspend"] is True
    assert revision(found) == before
    assert not serving.agent.said("drift corrected"), "a field that Git does not name is nobody's drift"

    said = gitsync("resume", "helmrelease", "app", "-n", namespace)
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == f"{key} is resumed"
    assert said.out.splitlines()[1].startswith(f"{key} is ready: ")
    found = live("app")
    assert "suspend" not in found["spec"]
    assert revision(found) == before + 1


def test_what_git_names_is_put_back_by_git_and_the_warning_names_the_file(
    gitsync: Gitsync, serving: Serving, live: Any
) -> None:
    said = gitsync("suspend", "helmrelease", "said", "-n", serving.namespace)
    assert said.err == "warning: Git says spec.suspend: false and will put it back: change said.yaml:1:1\n"
    assert live("said")["spec"]["suspend"] is True
    text = (serving.fleet.path / "said.yaml").read_text()
    serving.synced({"said.yaml": text.replace("interval: 1h", "interval: 2h")}, "said: less often")
    assert live("said")["spec"]["suspend"] is False


def test_all_of_a_namespace_and_names_that_are_not_there(gitsync: Gitsync, serving: Serving, live: Any) -> None:
    namespace = serving.namespace
    said = gitsync("suspend", "helmrelease", "later", "nosuch", "-n", namespace)
    assert said.code == 1
    assert "nosuch" in said.err
    assert not live("later")["spec"].get("suspend"), "nothing is changed when one is not there"
    said = gitsync("suspend", "source", "helm", "--all", "-n", namespace)
    assert f"HelmRepository/{namespace}/charts is suspended" in said.out
    assert gitsync("suspend", "source", "helm", "charts", "-n", namespace).out.endswith("was suspended already\n")
    said = gitsync("resume", "source", "helm", "charts", "-n", namespace)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1].startswith(f"HelmRepository/{namespace}/charts is ready: stored artifact")


def test_resume_reports_every_release_and_fails_for_one(gitsync: Gitsync, serving: Serving) -> None:
    namespace = serving.namespace
    assert gitsync("suspend", "hr", "app", "later", "-n", namespace).code == 0
    said = gitsync("resume", "hr", "later", "app", "-n", namespace, "--timeout", "2s")
    assert said.code == 1
    assert f"HelmRelease/{namespace}/app is ready: " in said.out
    assert f"error: HelmRelease/{namespace}/later was not reconciled within 2s: dependency" in said.err


@pytest.mark.parametrize("verb", ["suspend", "resume", "export"])
def test_neither_names_nor_all_is_wrong_usage_and_so_are_both(verb: str, gitsync: Gitsync) -> None:
    assert gitsync(verb, "helmrelease").code == 2
    assert gitsync(verb, "helmrelease", "app", "--all").code == 2


def test_a_timeout_that_is_none_is_wrong_usage(gitsync: Gitsync) -> None:
    said = gitsync("reconcile", "helmrelease", "app", "--timeout", "soon")
    assert said.code == 2
    assert "not a duration: 'soon'" in said.err
