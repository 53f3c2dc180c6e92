"""The story of the README: redis, and backend, which depends on it."""

from __future__ import annotations

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import story
from tests.e2e.watching import Now, Seen, Watch, condition, is_ready

REDIS, BACKEND = "releases/redis.yaml", "releases/backend.yaml"


def both_ready(namespace: str) -> tuple[str, str]:
    return f"{namespace}/redis", f"{namespace}/backend"


def deploy(fleet: Fleet, agent: AgentProcess, releases: Watch, url: str, namespace: str) -> None:
    fleet.commit(story(url, namespace), "redis and backend")
    agent.start()
    until_ready(releases, namespace)
    agent.wait_for("sync finished")


def until_ready(releases: Watch, namespace: str, timeout: float = 120.0) -> None:
    def done(now: Now) -> bool:
        return all(is_ready(now.get(key)) for key in both_ready(namespace))

    releases.until(done, "both ready", timeout)


def says(status: str, reason: str, message: str) -> dict[str, str]:
    return {"status": status, "reason": reason, "message": message}


def ready_of(seen: Seen) -> dict[str, str]:
    found = condition(seen.manifest, "Ready")
    return {name: found.get(name, "") for name in ("status", "reason", "message")}


def test_both_deploy_redis_first_and_backend_waits_for_it(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    deployments: Watch,
    helm_cli: Cli,
    kubectl: Cli,
) -> None:
    deploy(fleet, agent, releases, charts.url, "default")

    waits = says("False", "DependencyNotReady", "dependency 'default/redis' is not ready")
    assert waits in [ready_of(seen) for seen in releases.of("default/backend")]
    redis = releases.first("default/redis", lambda seen: is_ready(seen.manifest))
    backend = releases.first("default/backend", lambda seen: is_ready(seen.manifest))
    created = deployments.first("default/backend-podinfo", lambda seen: seen.type == "ADDED")
    assert redis.revision < created.revision < backend.revision
    assert backend.at - redis.at < 20  # and not when it is looked at anyway
    for key, name, chart in (("redis", "redis", "redis@17.3.14"), ("backend", "backend", "podinfo@6.2.2")):
        assert condition(releases.get(f"default/{key}"), "Ready")["message"] == (
            f"Release reconciliation succeeded: Helm install succeeded for release default/{name}.v1 with chart {chart}"
        )

    assert helm.listed(helm_cli, "default") == {"redis": ("deployed", 1), "backend": ("deployed", 1)}
    assert f"commit {fleet.head[:7]} by Ada" in helm.rows(helm_cli, "default", "backend")[0]["description"]
    assert "STATUS: deployed" in helm_cli("status", "redis")
    assert kubectl("get", "helmreleases").splitlines()[0].split() == ["NAME", "AGE", "READY", "STATUS"]
    assert kubectl("get", "helmrepositories").splitlines()[0].split() == ["NAME", "URL", "AGE", "READY", "STATUS"]
    assert kubectl("get", "helmrepository", "bitnami").splitlines()[1].split()[3] == "True"


def test_the_log_of_a_first_sync_tells_the_story_in_order(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, namespace: str
) -> None:
    deploy(fleet, agent, releases, charts.url, namespace)

    redis, backend = f"{namespace}/redis", f"{namespace}/backend"
    told = [
        agent.wait_for("gitsync started"),
        agent.wait_for("sync started", commit=fleet.head[:7]),
        agent.wait_for(f"dependency '{redis}' is not ready", release=backend),
        agent.wait_for("release installed", release=redis),
        agent.wait_for("all dependencies are ready, proceeding with release", release=backend),
        agent.wait_for("release installed", release=backend),
        agent.wait_for("sync finished", commit=fleet.head[:7]),
    ]
    assert told == sorted(told, key=lambda line: line.number)
    assert all(
        len(agent.said(line.msg, **{"release": r} if (r := line.fields.get("release")) else {})) == 1 for line in told
    )
    assert told[1].fields.items() >= {"files": 4, "objects": 2, "releases": 2}.items()
    assert told[-1].fields.items() >= {"created": 4, "changed": 0, "deleted": 0, "failed": 0, "waiting": 0}.items()
    for line in told[1:]:
        assert line.fields.items() >= {"author": "Ada", "subject": "redis and backend"}.items()
    assert told[3].fields.items() >= {"revision": 1, "chart": "redis-17.3.14", "deleted": 0}.items()


def test_a_broken_image_holds_both_and_the_fixing_commit_heals_both(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, helm_cli: Cli, namespace: str
) -> None:
    files = story(charts.url, namespace, timeout="4s")
    broken = files[REDIS].replace("  values:\n", "  values:\n    image: {tag: nonexistent}\n")
    fleet.commit({**files, REDIS: broken}, "redis: an image that is not there")
    agent.start()

    redis, backend = f"{namespace}/redis", f"{namespace}/backend"
    releases.until(lambda now: condition(now.get(redis, {}), "Stalled").get("status") == "True", "redis stalled")
    failed = condition(releases.get(redis), "Ready")
    assert (failed["status"], failed["reason"]) == ("False", "InstallFailed")
    assert failed["message"].startswith("install retries exhausted: ")
    reason = 'pod redis-master-0: ImagePullBackOff: Back-off pulling image "registry.example/redis:nonexistent"'
    assert reason in failed["message"]
    waits = condition(releases.get(backend), "Ready")
    expected = says("False", "DependencyNotReady", f"dependency '{redis}' is not ready")
    assert waits.items() >= expected.items()
    assert reason in agent.wait_for("install retries exhausted", release=redis).fields["error"]
    assert any(reason in line.fields["for"] for line in agent.said("waiting", release=redis))
    agent.wait_for("sync finished with failures", commit=fleet.head[:7])
    assert helm.listed(helm_cli, namespace) == {"redis": ("failed", 1)}

    fleet.commit({REDIS: files[REDIS]}, "redis: an image that is there")
    until_ready(releases, namespace)
    agent.wait_for("sync finished", commit=fleet.head[:7])
    assert helm.listed(helm_cli, namespace) == {"redis": ("deployed", 2), "backend": ("deployed", 1)}


def test_a_newer_commit_ends_the_wait_of_what_it_changes(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, helm_cli: Cli, namespace: str
) -> None:
    files = story(charts.url, namespace, timeout="10m")
    broken = files[REDIS].replace("  values:\n", "  values:\n    image: {tag: nonexistent}\n")
    fleet.commit({**files, REDIS: broken}, "redis: an image that is not there")
    agent.start()
    agent.until(lambda line: line.msg == "waiting" and "ImagePullBackOff" in line.fields["for"], "with the reason")

    fix = fleet.commit({REDIS: files[REDIS]}, "redis: an image that is there")
    until_ready(releases, namespace)
    interrupted = agent.said("release interrupted", release=f"{namespace}/redis")
    assert [line.fields["why"] for line in interrupted] == [f"commit {fix[:7]} changes it"]
    assert helm.history(helm_cli, namespace, "redis") == [(1, "failed"), (2, "deployed")]
    assert helm.history(helm_cli, namespace, "backend") == [(1, "deployed")]


def test_a_commit_that_changes_both_upgrades_backend_after_redis_is_ready_again(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, deployments: Watch, namespace: str
) -> None:
    deploy(fleet, agent, releases, charts.url, namespace)
    files = story(charts.url, namespace)
    both = fleet.commit(
        {
            REDIS: files[REDIS].replace("  values:\n", "  values:\n    commonConfiguration: appendonly no\n"),
            BACKEND: files[BACKEND].replace("  values:\n", "  values:\n    ui: {message: moved}\n"),
        },
        "both at once",
    )
    agent.wait_for("sync finished", commit=both[:7])

    upgraded = releases.first(
        f"{namespace}/redis", lambda seen: seen.manifest["metadata"]["generation"] == 2 and is_ready(seen.manifest)
    )
    changed = deployments.first(
        f"{namespace}/backend-podinfo", lambda seen: seen.manifest["metadata"]["generation"] == 2
    )
    assert upgraded.revision < changed.revision
    assert "moved" in str(changed.manifest["spec"])
    releases.until(
        lambda now: (
            is_ready(now[f"{namespace}/backend"])
            and int(now[f"{namespace}/backend"]["metadata"]["resourceVersion"]) > changed.revision
        ),
        "backend is ready again",
    )
    waited = [
        line for line in agent.said(f"dependency '{namespace}/redis' is not ready") if line.fields["commit"] == both[:7]
    ]
    assert len(waited) == 1


def test_removing_both_uninstalls_backend_first(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    deployments: Watch,
    stateful_sets: Watch,
    helm_cli: Cli,
    namespace: str,
) -> None:
    deploy(fleet, agent, releases, charts.url, namespace)
    gone = fleet.commit({REDIS: None, BACKEND: None}, "neither of them")
    finished = agent.wait_for("sync finished", commit=gone[:7])

    assert finished.fields["deleted"] == 2
    releases.until(lambda now: not any(key.startswith(namespace) for key in now), "both gone")
    backend = releases.first(f"{namespace}/backend", lambda seen: seen.type == "DELETED")
    deployment = deployments.first(f"{namespace}/backend-podinfo", lambda seen: seen.type == "DELETED")
    stateful_set = stateful_sets.first(f"{namespace}/redis-master", lambda seen: seen.type == "DELETED")
    redis = releases.first(f"{namespace}/redis", lambda seen: seen.type == "DELETED")
    assert deployment.revision < backend.revision < stateful_set.revision < redis.revision
    assert helm.listed(helm_cli, namespace) == {}
    uninstalled = [line.fields["release"] for line in agent.said("release uninstalled")]
    assert uninstalled == [f"{namespace}/backend", f"{namespace}/redis"]


def test_a_reverted_commit_takes_the_cluster_back(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    deployments: Watch,
    helm_cli: Cli,
    namespace: str,
) -> None:
    deploy(fleet, agent, releases, charts.url, namespace)
    before = deployments.get(f"{namespace}/backend-podinfo")["spec"]["template"]
    changed = fleet.edit(BACKEND, "  values:\n", "  values:\n    ui: {message: moved}\n", "backend: a message")
    agent.wait_for("sync finished", commit=changed[:7])
    assert deployments.get(f"{namespace}/backend-podinfo")["spec"]["template"] != before

    back = fleet.revert()
    agent.wait_for("sync finished", commit=back[:7])
    assert deployments.get(f"{namespace}/backend-podinfo")["spec"]["template"] == before
    assert helm.history(helm_cli, namespace, "backend") == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert helm.history(helm_cli, namespace, "redis") == [(1, "deployed")]
    assert 'Revert "backend: a message"' in helm.rows(helm_cli, namespace, "backend")[-1]["description"]
