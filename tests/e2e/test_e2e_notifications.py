"""Providers and Alerts on a real API server: who is told what of a commit, and what it costs when nobody listens."""

from __future__ import annotations

import json
from typing import Any

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map, release, repository
from tests.e2e.notifying import TOKEN, alert, provider, receiving
from tests.e2e.watching import Now, Watch, is_ready
from tests.notify.receiving import Receiving
from tests.until import ask_until


def told(service: Receiving, what: str, count: int = 1) -> list[Any]:
    """What was sent, once there is so much of it."""
    ask_until(lambda: len(service.taken), lambda found: found >= count, what)
    return [taken.json for taken in service.taken]


def failing(namespace: str, name: str) -> str:
    return release(namespace, name, values={"image": {"nope": "x"}}).replace("version: 1.0.0", "version: 9.9.9")


def test_of_twenty_releases_of_a_commit_slack_has_one_message_with_its_author_and_subject(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, background: Background, charts: ChartServer, namespace: str
) -> None:
    names = [f"app-{number:02}" for number in range(20)]
    with receiving(background) as slack:
        told_of = {
            "notify.yaml": "\n---\n".join((provider(namespace, "slack", "slack", slack.url), alert(namespace, "slack")))
        }
        fleet.commit(told_of, "who is told")
        agent = new_agent(fleet).start()
        agent.wait_for("sync finished")
        fleet.commit(
            {
                "repository.yaml": repository(namespace, charts.url),
                **{f"{it}.yaml": release(namespace, it, values={"workload": False}) for it in names},
            },
            "twenty at once",
            author="Grace",
        )
        releases.until(_all_ready(namespace, names), "all ready")
        ask_until(lambda: _lines(slack), lambda found: len(found) >= 20, "all are told of")
        agent.stop()
    first = slack.taken[0].json["attachments"][0]
    assert first["author_name"] == f"commit {fleet.head[:7]} by Grace: twenty at once"
    assert first["color"] == "#2e9e44"
    assert len(slack.taken) == 1, [taken.json for taken in slack.taken]
    assert TOKEN not in agent.log
    assert slack.taken[0].headers["Authorization"] == f"Bearer {TOKEN}"


def _lines(service: Receiving) -> list[str]:
    texts = [taken.json["attachments"][0]["text"] for taken in service.taken]
    return [line for text in texts for line in text.splitlines()]


def _all_ready(namespace: str, names: list[str]) -> Any:
    def done(now: Now) -> bool:
        return all(is_ready(now.get(f"{namespace}/{name}")) for name in names)

    return done


def test_a_release_that_fails_is_told_of_as_an_error_and_one_that_succeeds_is_not_by_an_alert_for_errors(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, background: Background, charts: ChartServer, namespace: str
) -> None:
    with receiving(background) as errors, receiving(background) as everything:
        files = {
            "errors.yaml": provider(namespace, "errors", "slack", errors.url)
            + "\n---\n"
            + alert(namespace, "errors", eventSeverity="error", summary="test cluster"),
            "everything.yaml": provider(namespace, "everything", "generic", everything.url)
            + "\n---\n"
            + alert(namespace, "everything", exclusionList=["never.*matches"], eventMetadata={"env": "test"}),
            "quiet.yaml": provider(namespace, "quiet", "generic", everything.url + "/suspended", suspend=True)
            + "\n---\n"
            + alert(namespace, "quiet"),
            "excluded.yaml": provider(namespace, "excluded", "generic", everything.url + "/excluded")
            + "\n---\n"
            + alert(namespace, "excluded", exclusionList=[".*"]),
            "repository.yaml": repository(namespace, charts.url),
        }
        fleet.commit(files, "who is told")
        agent = new_agent(fleet).start()
        agent.wait_for("sync finished")
        both = {"good.yaml": release(namespace, "good"), "bad.yaml": failing(namespace, "bad")}
        fleet.commit(both, "one of them will not work", author="Grace")
        releases.until(_all_ready(namespace, ["good"]), "good is ready")
        (message,) = told(errors, "the error")
        events = told(everything, "both", 2)
        agent.stop()
    (attachment,) = message["attachments"]
    assert attachment["author_name"] == f"commit {fleet.head[:7]} by Grace: one of them will not work"
    assert attachment["color"] == "#d00000"
    assert attachment["text"].startswith(f"helmrelease/{namespace}/bad: ")
    assert {"title": "summary", "value": "test cluster", "short": False} in attachment["fields"]
    by_name = {(event["involvedObject"]["name"], event["severity"]): event for event in events}
    good, bad = by_name["good", "info"], by_name["bad", "error"]
    assert good["reason"] == "InstallSucceeded"
    assert good["involvedObject"]["apiVersion"] == "helm.toolkit.fluxcd.io/v2"
    assert good["metadata"]["helm.toolkit.fluxcd.io/revision"] == "1.0.0"
    for event in (good, bad):
        assert event["metadata"]["commit"] == fleet.head
        assert (event["metadata"]["author"], event["metadata"]["subject"]) == ("Grace", "one of them will not work")
        assert event["metadata"]["env"] == "test"
    assert {taken.path for taken in everything.taken} == {"/"}


def test_a_provider_that_is_away_is_tried_again_and_slows_nothing(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, background: Background, charts: ChartServer, namespace: str
) -> None:
    with receiving(background, Receiving(usual=(503, "later"))) as service:
        secret = f"{service.url}/services/T0/B0/webhook-that-is-secret"
        files = {
            "notify.yaml": provider(namespace, "hook", "generic", secret) + "\n---\n" + alert(namespace, "hook"),
            "repository.yaml": repository(namespace, charts.url),
            "app.yaml": release(namespace, "app"),
        }
        fleet.commit(files, "an app")
        agent = new_agent(fleet).start()
        releases.until(_all_ready(namespace, ["app"]), "ready")
        line = agent.wait_for("notifications cannot be sent")
        ask_until(lambda: len(service.taken), lambda found: found >= 3, "tried again")
        assert len(agent.said("notifications cannot be sent")) == 1
        service.usual = (200, "ok")
        agent.wait_for("notifications are sent again")
        agent.stop()
    assert line.fields["provider"] == f"{namespace}/hook"
    assert "answered 503, later" in line.fields["why"]
    assert "webhook-that-is-secret" not in agent.log
    first, *_, last = service.taken
    assert first.body == last.body


def test_a_type_that_is_not_served_is_named_once(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, releases: Watch, charts: ChartServer, namespace: str
) -> None:
    files = {
        "notify.yaml": provider(namespace, "bus", "nats", "nats://nowhere") + "\n---\n" + alert(namespace, "bus"),
        "repository.yaml": repository(namespace, charts.url),
        "app.yaml": release(namespace, "app"),
        "next.yaml": release(namespace, "next"),
    }
    fleet.commit(files, "apps")
    agent = new_agent(fleet).start()
    releases.until(_all_ready(namespace, ["app", "next"]), "ready")
    line = agent.wait_for("alert cannot be sent", alert=f"{namespace}/bus")
    assert "type nats" in line.fields["why"]
    rows = [agent.command("get", kind, "-n", namespace).splitlines()[1].split() for kind in ("providers", "alerts")]
    agent.stop()
    assert rows == [["bus", "nats", "False", "-"], ["bus", "bus", "False", "-"]]
    assert len(agent.said("alert cannot be sent")) == 1


def test_a_commit_has_the_status_of_its_kustomization_also_where_it_changes_nothing_of_it(
    new_agent: NewAgent, fleet: Fleet, background: Background, namespace: str
) -> None:
    with receiving(background, Receiving(usual=(201, "{}"))) as server:
        kustomizations = [{"kind": "Kustomization", "name": "apps"}]
        name = "event.involvedObject.kind + '/' + event.involvedObject.name + '@' + provider.metadata.name"
        notify = [
            provider(namespace, "hub", "github", f"{server.url}/acme/fleet", commitStatusExpr=name),
            alert(namespace, "hub", eventSources=kustomizations),
        ]
        source = {"kind": "GitRepository", "name": "flux-system"}
        apps = {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": namespace},
            "spec": {"interval": "1h", "path": "./apps", "prune": True, "sourceRef": source},
        }
        root = {"cluster/notify.yaml": "\n---\n".join(notify), "cluster/apps.yaml": json.dumps(apps)}
        first = fleet.commit({**root, "apps/map.yaml": config_map(namespace, "it")}, "a map")
        agent = new_agent(fleet, "--path=cluster").start()
        _until_status(server, first, "success")
        second = fleet.commit({"cluster/more.yaml": config_map(namespace, "more")}, "nothing for apps")
        _until_status(server, second, "success")
        third = fleet.commit({"apps/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"}, "no name")
        _until_status(server, third, "failure")
        agent.stop()
    by_commit = [(taken.path.rpartition("/")[2], taken.json["state"]) for taken in server.taken]
    assert by_commit.index((first, "pending")) < by_commit.index((first, "success"))
    assert len(by_commit) == len(set(by_commit))
    assert {taken.json["context"] for taken in server.taken} == {"Kustomization/apps@hub"}
    assert {taken.path.rpartition("/")[0] for taken in server.taken} == {"/api/v3/repos/acme/fleet/statuses"}


def _until_status(server: Receiving, commit: str, state: str) -> None:
    def found() -> list[tuple[str, str]]:
        return [(taken.path.rpartition("/")[2], taken.json["state"]) for taken in server.taken]

    ask_until(found, lambda known: (commit, state) in known, f"{state} of {commit}")


#: No API server takes it.
BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: Broken_, namespace: {namespace}}}\n"


def test_that_the_sync_of_the_settings_fails_is_told_by_its_name(
    new_agent: NewAgent, fleet: Fleet, background: Background, namespace: str, sync_name: str
) -> None:
    """Without an object that stands for it: as of a Kustomization of the name of the sync."""
    with receiving(background) as service:
        root = [{"kind": "Kustomization", "name": sync_name, "namespace": "gitsync-system"}]
        notify = [
            provider(namespace, "hook", "generic", service.url),
            alert(namespace, "hook", eventSources=root, eventSeverity="error"),
            provider(namespace, "all", "generic", f"{service.url}/all"),
            alert(namespace, "all", eventSources=root),
        ]
        fleet.commit({"notify.yaml": "\n---\n".join(notify)}, "who is told")
        agent = new_agent(fleet).start()
        agent.wait_for("sync finished")
        fleet.commit({"broken.yaml": BROKEN.format(namespace=namespace)}, "not a name", author="Grace")
        _until_told(service, "/", "ReconciliationFailed")
        broken = fleet.head
        fleet.commit({"broken.yaml": "kind: ["}, "no YAML")
        _until_told(service, "/", "BuildFailed")
        fleet.commit({"broken.yaml": config_map(namespace, "mended")}, "mended")
        _until_told(service, "/all", "ReconciliationSucceeded", fleet.head)
        agent.stop()
    failed = next(it.json for it in service.taken if it.path == "/")
    assert failed["involvedObject"]["kind"] == "Kustomization"
    assert (failed["severity"], failed["metadata"]["author"]) == ("error", "Grace")
    assert failed["metadata"]["kustomize.toolkit.fluxcd.io/revision"] == f"main@sha1:{broken}"
    assert "Broken_" in failed["message"]
    assert [it.json["reason"] for it in service.taken if it.path == "/"] == ["ReconciliationFailed", "BuildFailed"]


def test_that_the_sync_of_the_settings_fails_is_told_by_the_kustomization_that_stands_for_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, background: Background, namespace: str
) -> None:
    root = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": namespace},
        "spec": {
            "interval": "1h",
            "path": "./cluster",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        },
    }
    with receiving(background) as service:
        notify = [
            provider(namespace, "hook", "generic", service.url),
            alert(namespace, "hook", eventSources=[{"kind": "Kustomization", "name": "flux-system"}]),
        ]
        fleet.commit({"cluster/all.yaml": "\n---\n".join([*notify, json.dumps(root)])}, "who is told")
        agent = new_agent(fleet, "--path=cluster").start()
        agent.wait_for("sync finished")
        fleet.commit({"cluster/broken.yaml": BROKEN.format(namespace=namespace)}, "not a name", author="Grace")
        _until_told(service, "/", "ReconciliationFailed", fleet.head)
        assert _ready(kubectl, namespace)["status"] == "False"
        fleet.commit({"cluster/broken.yaml": config_map(namespace, "mended")}, "mended")
        _until_told(service, "/", "ReconciliationSucceeded", fleet.head)
        ask_until(lambda: _ready(kubectl, namespace)["status"], lambda it: it == "True", "ready again")
        agent.stop()


def _ready(kubectl: Cli, namespace: str) -> dict[str, Any]:
    kind = "kustomizations.kustomize.toolkit.fluxcd.io"
    found = json.loads(kubectl("get", kind, "flux-system", "-n", namespace, "-o", "json"))
    return next(it for it in found["status"]["conditions"] if it["type"] == "Ready")


def _until_told(service: Receiving, path: str, reason: str, commit: str = "") -> None:
    def found() -> list[tuple[str, str, str]]:
        return [(it.path, it.json["reason"], it.json["metadata"].get("commit", "")) for it in service.taken]

    def is_there(known: list[tuple[str, str, str]]) -> bool:
        return any(it[:2] == (path, reason) and commit in it[2] for it in known)

    ask_until(found, is_there, f"{reason} to be told")


def test_a_commit_is_pending_while_the_synced_repository_itself_is_applied(
    new_agent: NewAgent, fleet: Fleet, background: Background, namespace: str
) -> None:
    with receiving(background, Receiving(usual=(201, "{}"))) as server:
        sync = [{"kind": "Kustomization", "name": "*", "namespace": "gitsync-system"}]
        notify = [
            provider(namespace, "hub", "github", f"{server.url}/acme/fleet"),
            alert(namespace, "hub", eventSources=sync),
        ]
        fleet.commit({"notify.yaml": "\n---\n".join(notify)}, "who is told")
        agent = new_agent(fleet).start()
        agent.wait_for("sync finished")
        second = fleet.commit({"map.yaml": config_map(namespace, "it")}, "a map")
        _until_status(server, second, "success")
        agent.stop()
        agent = new_agent(fleet).start()
        ask_until(lambda: _states(server, second), lambda found: found.count("success") > 1, "said after a start")
        agent.stop()
    assert _states(server, second) == ["pending", "success", "success"], "a start begins no commit anew"


def _states(server: Receiving, commit: str) -> list[str]:
    return [taken.json["state"] for taken in server.taken if taken.path.endswith(commit)]
