"""Who waits for whom: several dependencies, other namespaces, missing ones, cycles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli, Cluster
from tests.e2e import helm
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Now, Seen, Watch, condition, is_ready


def until_ready(releases: Watch, namespace: str, *names: str, timeout: float = 120.0) -> None:
    def done(now: Now) -> bool:
        return all(is_ready(now.get(f"{namespace}/{name}")) for name in names)

    releases.until(done, f"{', '.join(names)} ready", timeout)


def until_reason(releases: Watch, namespace: str, reason: str, *names: str) -> None:
    def done(now: Now) -> bool:
        return all(condition(now.get(f"{namespace}/{name}", {}), "Ready").get("reason") == reason for name in names)

    releases.until(done, f"{', '.join(names)}: {reason}")


def ready(seen: Seen) -> bool:
    return is_ready(seen.manifest)


@pytest.fixture
def monitoring(control_plane: Cluster, namespace: str) -> Iterator[str]:
    """A second namespace."""
    name = f"monitoring-{namespace}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def test_a_release_waits_for_all_of_its_dependencies_and_names_each(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, deployments: Watch, namespace: str
) -> None:
    slow = {"args": ["--ready-after=3s"]}
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            "apps/slow.yaml": release(namespace, "slow", values=slow),
            "apps/fast.yaml": release(namespace, "fast"),
            "apps/last.yaml": release(namespace, "last", "slow", "fast"),
        },
        "three apps",
    )
    agent.start()
    until_ready(releases, namespace, "slow", "fast", "last")

    created = deployments.first(f"{namespace}/last", lambda seen: seen.type == "ADDED")
    for name in ("slow", "fast"):
        assert releases.first(f"{namespace}/{name}", ready).revision < created.revision
    slow_waits, fast_waits = (f"dependency '{namespace}/{name}' is not ready" for name in ("slow", "fast"))
    messages = [condition(seen.manifest, "Ready").get("message") for seen in releases.of(f"{namespace}/last")]
    assert f"{slow_waits}; {fast_waits}" in messages
    assert slow_waits in messages
    agent.wait_for(slow_waits, release=f"{namespace}/last")


def test_a_dependency_in_another_namespace_is_understood_in_both_spellings(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    deployments: Watch,
    namespace: str,
    monitoring: str,
) -> None:
    prometheus = release(monitoring, "prometheus", values={"args": ["--ready-after=500ms"]})
    fleet.commit(
        {
            "charts.yaml": repository(monitoring, charts.url),
            "prometheus.yaml": prometheus,
            "flux.yaml": release(
                namespace, "flux", f"{{name: prometheus, namespace: {monitoring}}}", source=monitoring
            ),
            "article.yaml": release(namespace, "article", f"{{name: {monitoring}/prometheus}}", source=monitoring),
        },
        "prometheus and two that need it",
    )
    agent.start()
    until_ready(releases, namespace, "flux", "article")

    dependency = releases.first(f"{monitoring}/prometheus", ready)
    for name in ("flux", "article"):
        created = deployments.first(f"{namespace}/{name}", lambda seen: seen.type == "ADDED")
        assert dependency.revision < created.revision
        agent.wait_for(f"dependency '{monitoring}/prometheus' is not ready", release=f"{namespace}/{name}")


def test_a_dependency_that_does_not_exist_is_said_at_once_and_its_coming_is_noticed(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, namespace: str
) -> None:
    fleet.commit(
        {"charts.yaml": repository(namespace, charts.url), "app.yaml": release(namespace, "app", "database")},
        "an app without its database",
    )
    agent.start()
    missing = f"dependency '{namespace}/database' does not exist"
    assert agent.wait_for(missing, release=f"{namespace}/app").fields["level"] == "warning"
    until_reason(releases, namespace, "DependencyMissing", "app")
    assert condition(releases.get(f"{namespace}/app"), "Ready")["message"].startswith(f"{missing}; add ")

    fleet.commit({"database.yaml": release(namespace, "database")}, "the database")
    until_ready(releases, namespace, "database", "app")


def test_a_cycle_is_named_while_others_proceed_and_the_commit_that_breaks_it_heals_it(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, helm_cli: Cli, namespace: str
) -> None:
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            "apps/a.yaml": release(namespace, "a", "b"),
            "apps/b.yaml": release(namespace, "b", "a"),
            "apps/behind.yaml": release(namespace, "behind", "b"),
            "apps/free.yaml": release(namespace, "free"),
        },
        "a cycle",
    )
    agent.start()
    until_ready(releases, namespace, "free")
    until_reason(releases, namespace, "DependencyCycle", "a", "b")
    until_reason(releases, namespace, "DependencyNotReady", "behind")

    a, b = f"{namespace}/a", f"{namespace}/b"
    cycle = f"{a} -> {b} -> {a}"
    for name in ("a", "b"):
        said = agent.until(
            lambda line, name=name: line.fields.get("release") == f"{namespace}/{name}" and cycle in line.msg,  # type: ignore[misc]
            f"naming the cycle for {name}",
        )
        message = condition(releases.get(f"{namespace}/{name}"), "Ready")["message"]
        for text in (message, said.msg):
            assert cycle in text
            assert f"{a} -> {b} at apps/a.yaml:10" in text
            assert f"{b} -> {a} at apps/b.yaml:10" in text
    assert cycle in condition(releases.get(f"{namespace}/behind"), "Ready")["message"]
    assert not [line for line in agent.lines if "does not exist" in line.msg]
    assert helm.listed(helm_cli, namespace) == {"free": ("deployed", 1)}
    agent.wait_for("sync finished", commit=fleet.head[:7])

    fleet.commit({"apps/a.yaml": release(namespace, "a")}, "a needs nobody")
    until_ready(releases, namespace, "a", "b", "behind")
    assert set(helm.listed(helm_cli, namespace).values()) == {("deployed", 1)}
