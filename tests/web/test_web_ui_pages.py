"""What pages show of a real cluster, and what never gets onto one."""

from __future__ import annotations

import asyncio
import base64
import html
import re
from urllib.parse import quote

import pytest
from aiohttp import web

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import JournalChange, JournalEntry
from gitsync.web.ui import stream
from gitsync.web.ui.render import link_of
from tests.until import until
from tests.web.conftest import COMMIT, Visitor, World, visiting
from tests.web.pages import RELEASE, plain, shown, token_in, until_shown


def stateful_set(namespace: str, image: str) -> dict[str, object]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "redis-master", "namespace": namespace},
        "spec": {
            "serviceName": "redis",
            "selector": {"matchLabels": {"app": "redis"}},
            "template": {
                "metadata": {"labels": {"app": "redis"}},
                "spec": {"containers": [{"name": "redis", "image": image}]},
            },
        },
    }


async def test_the_chain_from_a_waiting_release_to_the_pod_with_who_did_it_and_what_mends_it(
    visitor: Visitor, world: World
) -> None:
    await world.say(await world.source())
    redis = await world.release("redis")
    inventory = {"entries": [{"id": f"{world.namespace}_redis-master_apps_StatefulSet", "v": "v1"}]}
    await world.cluster.apply(stateful_set(world.namespace, "redis:nonexistent"), manager="test")
    await world.say(redis, "False", "UpgradeFailed", "not ready within 5s", inventory=inventory)
    backend = await world.release("backend", needs=("redis",))
    await world.say(backend, "False", "DependencyNotReady", "dependency 'redis' is not ready")
    path = f"{RELEASE}/{world.namespace}/backend"
    text = plain(await until_shown(visitor, path, "pulling image"))
    steps = [
        f"HelmRelease {world.namespace}/ backend waiting DependencyNotReady",
        f"waits for HelmRelease {world.namespace}/ redis failed UpgradeFailed",
        f"consists of StatefulSet {world.namespace}/ redis-master waiting ImagePullBackOff",
        f"has made Pod {world.namespace}/ redis-master-0 waiting ImagePullBackOff",
        f"Brought by {COMMIT[:7]} Ann : redis: begin",
        "correct the image's name or tag in fleet/redis.yaml:1",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert f"Next: It goes on as soon as HelmRelease/{world.namespace}/redis is ready." in text
    overview = plain(await until_shown(visitor, "/", "has made Pod"))
    assert "Why backend waits" in overview
    assert "0 of 2 ready" in overview
    assert "1 failed" in overview


async def test_a_workload_and_its_pod_say_why_they_wait_and_what_they_are_of(visitor: Visitor, world: World) -> None:
    redis = await world.release("redis")
    inventory = {"entries": [{"id": f"{world.namespace}_redis-master_apps_StatefulSet", "v": "v1"}]}
    workload = stateful_set(world.namespace, "redis:nonexistent")
    notes = {"meta.helm.sh/release-name": "redis", "meta.helm.sh/release-namespace": world.namespace}
    workload["metadata"] |= {"annotations": notes}  # type: ignore[operator]
    await world.cluster.apply(workload, manager="test")
    await world.say(redis, "False", "UpgradeFailed", "not ready within 5s", inventory=inventory)
    place = f"{world.namespace}/redis-master"
    text = plain(await until_shown(visitor, f"/object/apps/StatefulSet/{place}", "pulling image"))
    assert f"of HelmRelease {world.namespace}/ redis" in text
    why = text[text.index("Why it is not ready") :]
    assert f"has made Pod {world.namespace}/ redis-master-0 waiting ImagePullBackOff" in why
    assert f"Brought by {COMMIT[:7]} Ann : redis: begin" in why
    assert "correct the image's name or tag in fleet/redis.yaml:1" in why
    text = plain(await shown(visitor, f"/object/core/Pod/{place}-0"))
    assert f"of StatefulSet {world.namespace}/ redis-master" in text
    assert "Why it is not ready" in text
    assert 'pulling image "redis:nonexistent"' in text
    assert "correct the image's name or tag in fleet/redis.yaml:1" in text


async def test_the_graph_goes_down_to_pods_where_that_is_asked_for(visitor: Visitor, world: World) -> None:
    redis = await world.release("redis")
    ids = ("redis-master_apps_StatefulSet", "settings__ConfigMap")
    inventory = {"entries": [{"id": f"{world.namespace}_{item}", "v": "v1"} for item in ids]}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": world.namespace}}
    for manifest in (stateful_set(world.namespace, "redis:nonexistent"), settings):
        await world.cluster.apply(manifest, manager="test")
    await world.say(redis, "False", "UpgradeFailed", "not ready within 5s", inventory=inventory)
    folded = await until_shown(visitor, "/graph", "redis: HelmRelease")
    assert "redis-master" not in folded
    (toggle,) = re.findall(r'<a class="toggle" href="([^"]*)" aria-label="Unfold redis"', folded)
    assert "Unfold what is not ready" in folded
    unfolded = await until_shown(visitor, html.unescape(toggle), "redis-master-0")
    words = plain(unfolded)
    assert "redis-master: StatefulSet" in words
    assert "redis-master-0: Pod" in words
    assert "settings" not in words, "what makes no pods and is well is left out"
    assert unfolded.count('class="arrow part"') == 2
    assert 'href="/graph" aria-label="Fold redis"' in unfolded
    for odd in ("/graph?open=nonsense", "/graph?open=/object/a/b/c/d", "/graph?" + "open=%2Fobject&" * 100):
        assert "redis" in plain(await shown(visitor, odd))


async def test_a_cycle_is_drawn_as_one_with_its_places(visitor: Visitor, world: World) -> None:
    for name, need in (("redis", "backend"), ("backend", "redis")):
        places = {"gitsync.dev/depends-on-origin": f"fleet/{name}.yaml:11"}
        release = await world.release(name, needs=(need,), annotations=places)
        await world.say(release, "False", "DependencyCycle", "dependency cycle")
    text = plain(await until_shown(visitor, "/", "They wait for each other"))
    assert f"backend waits for HelmRelease {world.namespace}/ redis fleet/backend.yaml:11" in text
    assert "remove one of these dependsOn entries: fleet/backend.yaml:11 or fleet/redis.yaml:11" in text
    assert "arrow bad" in await shown(visitor, "/graph")


async def test_hostile_text_stays_text(visitor: Visitor, world: World) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    release = await world.release(
        "redis",
        annotations={"gitsync.dev/commit-subject": evil, "gitsync.dev/commit-author": evil, "gitsync.dev/origin": evil},
        spec={"values": {evil: evil}, "releaseName": "x"},
    )
    await world.say(release, "False", "UpgradeFailed", f"{evil}\u202e\x1b[31m")
    await world.say(await world.source(), "True", "Succeeded", evil)
    await until_shown(visitor, "/sources", "charts")
    paths = ("/", "/releases", "/graph", "/sources", f"{RELEASE}/{world.namespace}/redis", f"/search?q={quote(evil)}")
    for path in paths:
        text = await shown(visitor, path)
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert "\x1b" not in text, path
    for path in ("/", "/releases", f"{RELEASE}/{world.namespace}/redis"):
        assert "&lt;script&gt;alert" in await until_shown(visitor, path, "alert(1)"), path


async def test_names_that_would_steer_a_terminal_are_written_as_escapes(visitor: Visitor, world: World) -> None:
    """Roles may be called nearly anything."""
    name = f"{world.namespace}\x1b[31m\u202e<b>"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": []}
    await world.cluster.apply(role | {"metadata": {"name": name, "namespace": world.namespace}}, manager="test")
    path = f"/object/rbac.authorization.k8s.io/Role/{world.namespace}/{quote(name, safe='')}"
    text = await shown(visitor, path)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\u001b[31m\\u202e&lt;b&gt;" in text


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://charts.example/stable", "https://charts.example/stable"),
        ("http://charts.example", "http://charts.example"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("oci://registry.example/charts", ""),
        ("https://ann:hunter2@charts.example", ""),
    ],
)
def test_only_web_addresses_without_a_login_are_links(url: str, link: str) -> None:
    assert link_of(url) == link


async def test_charts_made_by_hand_are_among_the_sources_and_those_of_releases_are_not(
    visitor: Visitor, world: World
) -> None:
    await world.chart("of-a-release", **{"helm.toolkit.fluxcd.io/name": "redis"})
    await world.chart("by-hand")
    assert "of-a-release" not in await until_shown(visitor, "/sources", "by-hand")


async def test_secrets_are_on_no_page(visitor: Visitor, world: World) -> None:
    hidden = "hunter2-never-shown"
    encoded = base64.b64encode(hidden.encode()).decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "redis-auth", "namespace": world.namespace},
        "stringData": {"values.yaml": f"password: {hidden}"},
    }
    await world.cluster.apply(secret, manager="test")
    release = await world.release(
        "redis",
        spec={
            "values": {
                "auth": {"password": hidden, "enabled": True, "username": "admin-shown"},
                "extraEnv": [{"name": "API_TOKEN", "value": hidden}],
                "tls": {"privateKey": {"inline": hidden}},
            },
            "valuesFrom": [{"kind": "Secret", "name": "redis-auth"}],
        },
    )
    inventory = {"entries": [{"id": f"{world.namespace}_redis-auth__Secret", "v": "v1"}]}
    await world.say(release, inventory=inventory)
    text = await until_shown(visitor, f"{RELEASE}/{world.namespace}/redis", "admin-shown")
    words = plain(text)
    assert "auth.password masked" in words
    assert "extraEnv[0].value masked" in words
    assert "auth.enabled true" in words
    assert f"all values masked Secret {world.namespace}/ redis-auth , key values.yaml" in words
    secret_page = await shown(visitor, f"/object/core/Secret/{world.namespace}/redis-auth")
    assert "redis-auth" in secret_page
    for page in (text, secret_page, await shown(visitor, "/"), await shown(visitor, "/releases")):
        assert hidden not in page
        assert encoded not in page


async def test_lists_are_filtered_and_paged(visitor: Visitor, world: World) -> None:
    names = [f"app-{number:03}" for number in range(105)]
    await asyncio.gather(*(world.release(name) for name in names))
    await world.say(await world.release("broken"), "False", "InstallFailed", "no")
    text = await until_shown(visitor, "/releases", "106 objects · 1 failed")
    assert "broken" in text  # what failed comes first
    assert "1 of 2" in plain(text)
    second = plain(await shown(visitor, "/releases?page=2"))
    assert "app-104" in second
    assert "broken" not in second
    assert "1 object · 1 waiting" in plain(await shown(visitor, "/releases?q=APP-042"))
    assert "0 objects · 1 waiting" in plain(await shown(visitor, "/releases?q=APP-042&status=failed"))
    assert "app-001" not in plain(await shown(visitor, "/releases?status=failed"))
    assert plain(await shown(visitor, "/releases?page=99999999999999999999")).count("app-") > 0


async def test_browsers_hear_of_changes_over_one_watch_for_each_kind(visitor: Visitor, world: World) -> None:
    release = await world.release("redis")
    await until_shown(visitor, "/releases", "redis")
    watches = world.cluster.requests["watch"]
    async with (
        visitor.session.get(f"{visitor.base}/changes") as one,
        visitor.session.get(f"{visitor.base}/changes") as two,
    ):
        for answer in (one, two):
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert b"event: version" in await answer.content.readuntil(b"\n\n")
        await world.say(release, "True", "UpgradeSucceeded", "all is well")
        async with asyncio.timeout(60):
            for answer in (one, two):
                while b"event: change" not in await answer.content.readuntil(b"\n\n"):
                    pass
        assert visitor.page.stream.open == 2
        assert "1 of 1 ready" in plain(await until_shown(visitor, "/", "1 of 1 ready"))
    assert world.cluster.requests["watch"] == watches
    await until(lambda: visitor.page.stream.open == 0)


async def test_there_is_an_end_to_open_pages(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST", 1)
    async with visitor.session.get(f"{visitor.base}/changes") as first:
        await first.content.readuntil(b"\n\n")
        assert (await visitor.get("/changes"))[0] == 503


async def test_actions_are_asked_for_twice_and_done(visitor: Visitor, world: World) -> None:
    await world.release("redis")
    path, key = (
        f"{RELEASE}/{world.namespace}/redis",
        ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", world.namespace, "redis"),
    )
    await until_shown(visitor, path, "Suspend")
    for word, done in (("suspend", True), ("resume", False), ("reconcile", False)):
        asked = await shown(visitor, f"{path}/{word}")
        assert f"{word.capitalize()} HelmRelease" in plain(asked)
        assert (await visitor.post(f"{path}/{word}", {"token": token_in(asked)}))[0] == 303
        found = await world.cluster.get(key)
        assert found["spec"].get("suspend", False) is done
    assert found["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
    assert "Reconcile was asked for" in plain(await shown(visitor, f"{path}?done=reconcile"))
    assert (await visitor.get(f"{path}/delete"))[0] == 404
    assert (await visitor.get(f"/object/core/Secret/{world.namespace}/x/suspend"))[0] == 404


async def test_a_release_whose_retries_are_exhausted_is_tried_again_from_the_page(
    visitor: Visitor, world: World
) -> None:
    redis = await world.release("redis")
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": "RetriesExceeded",
        "message": "no",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    await world.say(redis, "False", "UpgradeFailed", "no")
    body = {"status": {"conditions": [stalled]}}
    await world.cluster.patch(ObjectKey.of(redis), body, manager="test", subresource="status")
    path = f"{RELEASE}/{world.namespace}/redis"
    text = plain(await until_shown(visitor, path, "Try again"))
    assert "Reconcile" not in text
    asked = await shown(visitor, f"{path}/reset")
    assert (await visitor.post(f"{path}/reset", {"token": token_in(asked)}))[0] == 303
    found = await world.cluster.get(ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", world.namespace, "redis"))
    notes = found["metadata"]["annotations"]
    assert notes["reconcile.fluxcd.io/resetAt"] == notes["reconcile.fluxcd.io/requestedAt"]


async def test_a_user_without_rights_sees_and_does_nothing_more(cluster: Cluster, world: World, namespace: str) -> None:
    await world.release("redis")
    reader = cluster.impersonating(namespace, "default")
    rules = [
        {"apiGroups": ["helm.toolkit.fluxcd.io"], "resources": ["helmreleases"], "verbs": ["get", "list", "watch"]}
    ]
    metadata = {"name": "reader", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    await cluster.apply(
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules}, manager="test"
    )
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        "roleRef": {"kind": "Role", "name": "reader", "apiGroup": rbac},
    }
    await cluster.apply(binding, manager="test")
    async with reader, visiting(reader, namespace) as visitor:
        text = plain(await until_shown(visitor, "/", "0 of 1 ready"))
        assert "Kustomization :" in text
        assert "gitsync-under-way" not in text
        assert "10 kinds of objects cannot be seen" in text
        assert "Kustomizations 0 Kustomization cannot be seen" in text
        assert "The journal of commits cannot be seen." in text
        for claim in ("none in the cluster", "No commit is recorded", "Everything that is not suspended"):
            assert claim not in text
        assert "has to let ServiceAccount" in text
        path = f"{RELEASE}/{namespace}/redis"
        assert "HelmRelease" in plain(await shown(visitor, path))
        asked = await shown(visitor, f"{path}/suspend")
        status, refused = await visitor.post(f"{path}/suspend", {"token": token_in(asked)})
        assert status == 403
        assert "cannot patch resource" in plain(refused)
    found = await cluster.get(ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", namespace, "redis"))
    assert "suspend" not in found["spec"]


async def test_what_lacks_fields_is_shown_without_them(visitor: Visitor, world: World) -> None:
    """Anybody may write a status or an Event, and little of it has to be there."""
    spec = {"containers": [{"name": "app", "image": "app:1"}]}
    metadata = {"name": "odd", "namespace": world.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "nodeSelector": {"no": "node"}}}
    await world.cluster.apply(pod, manager="test")
    key = ObjectKey("", "Pod", world.namespace, "odd")
    bare = {"status": {"conditions": [{"type": "example.org/Odd", "status": "False"}]}}
    await world.cluster.patch(key, bare, manager="test", subresource="status")
    about = {"kind": "Pod", "name": "odd", "namespace": world.namespace}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {**metadata, "name": "odd.1"}, "involvedObject": about}
    await world.cluster.apply(event, manager="test")
    text = plain(await until_shown(visitor, f"/object/core/Pod/{world.namespace}/odd", "Last seen"))
    assert "example.org/Odd False" in text


async def test_commits_are_those_of_the_journal(visitor: Visitor, world: World) -> None:
    evil = "<b>not bold</b>"
    change = JournalChange("failed", "HelmRelease/default/redis", "fleet/redis.yaml:1:1", f"it broke {evil}")
    entry = JournalEntry(COMMIT, "Ann", f"redis: begin {evil}", 1767323045.0, 1.5, "failed", {"failed": 1}, (change,))
    store = SyncStore(world.cluster, world.namespace, "gitsync")
    await store.save_journal((entry,))
    await store.save_kustomization_journals({"default/apps": (entry,)})
    await world.release("redis")
    text = await until_shown(visitor, "/commits", "through 1 Kustomization")
    assert f"{COMMIT[:7]} redis: begin {evil} Ann" in plain(text)
    assert evil not in text
    path = f"/commits/{COMMIT}"
    page = plain(await until_shown(visitor, path, "What it brought"))
    assert f"failed HelmRelease/default/redis fleet/redis.yaml:1 it broke {evil}" in page
    assert "Through the Kustomization default/apps" in page
    assert evil not in await shown(visitor, path)
    assert COMMIT[:7] in plain(await shown(visitor, "/"))


async def test_a_commit_that_is_under_way_has_a_page_of_what_it_brought(visitor: Visitor, world: World) -> None:
    await world.say(await world.release("redis"), "Unknown", "Progressing", "Running 'install' action")
    path = f"/commits/{COMMIT}"
    text = plain(await until_shown(visitor, "/releases", "Running 'install' action"))
    assert COMMIT[:7] in text
    page = plain(await shown(visitor, path))
    assert f"{COMMIT[:7]} redis: begin Ann" in page
    assert "it is under way" in page
    assert "Running 'install' action" in page
    assert (await visitor.get("/commits/0000000"))[0] == 404
    assert (await visitor.get("/commits/3"))[0] == 404


async def test_values_and_what_others_noted_are_not_kept_in_memory(visitor: Visitor, world: World) -> None:
    release = await world.release("redis", spec={"values": {"large": "x" * 1000}}, annotations={"example.org/y": "z"})
    await world.say(release, inventory={"entries": [{"id": f"{world.namespace}_x__ConfigMap", "v": "v1"}]})
    known = visitor.page.board.known
    await until(lambda: (found := known.standing(ObjectKey.of(release))) is not None and found.status == "ready")
    kept = known.find(ObjectKey.of(release))
    assert kept is not None
    assert "values" not in kept["spec"]
    assert kept["status"]["inventory"] == {"entries": []}
    assert "example.org/y" not in kept["metadata"]["annotations"]
    assert kept["metadata"]["annotations"]["gitsync.dev/commit"] == COMMIT


async def test_a_browser_that_does_not_read_is_dropped(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    written = web.StreamResponse.write
    blocked = asyncio.Event()

    async def stuck(self: web.StreamResponse, data: bytes) -> None:
        if b"event: change" in data:
            blocked.set()
            await asyncio.Event().wait()
        await written(self, data)

    monkeypatch.setattr(stream, "_PATIENCE", 0.05)
    monkeypatch.setattr(web.StreamResponse, "write", stuck)
    async with visitor.session.get(f"{visitor.base}/changes") as answer:
        await answer.content.readuntil(b"\n\n")
        assert visitor.page.stream.open == 1
        visitor.page.board.tell()
        await blocked.wait()
        await until(lambda: visitor.page.stream.open == 0)


async def test_a_source_says_what_uses_it_and_a_kustomization_what_commits_did_through_it(
    visitor: Visitor, world: World
) -> None:
    source = await world.source()
    await world.say(await world.release("calm"))
    await world.say(await world.release("broken"), "False", "UpgradeFailed", "it broke")
    spec = {"interval": "5m", "path": "./a", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
    apps = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": world.namespace},
        "spec": spec,
    }
    await world.cluster.apply(apps, manager="test")
    store = SyncStore(world.cluster, world.namespace, "gitsync")
    other = JournalEntry("b" * 40, "Bob", "elsewhere", 1767323044.0, 1.5, "succeeded", {"created": 9})
    mine = JournalEntry(COMMIT, "Ann", "apps: begin", 1767323045.0, 1.5, "succeeded", {"changed": 2, "unchanged": 7})
    await store.save_kustomization_journals({f"{world.namespace}/apps": (mine,), "other/apps": (other,)})
    path = f"/object/source.toolkit.fluxcd.io/HelmRepository/{world.namespace}/{source['metadata']['name']}"
    words = plain(await until_shown(visitor, path, "it broke")).partition("What uses it")[2]
    assert words.index("broken") < words.index("calm")
    await until_shown(visitor, "/commits", "apps: begin")
    path = f"/object/kustomize.toolkit.fluxcd.io/Kustomization/{world.namespace}/apps"
    words = plain(await until_shown(visitor, path, "What commits did through it"))
    assert f"{COMMIT[:7]} apps: begin Ann" in words
    assert "succeeded in 1.5 s · 2 changed" in words
    assert "elsewhere" not in words
