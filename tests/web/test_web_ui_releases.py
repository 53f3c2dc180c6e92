"""A release's revisions, its values and the way back, on a real API server."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster
from gitsync.manifests import parse_file
from gitsync.release.storage.record import Record, encode
from gitsync.release.values.lines import lines_written
from gitsync.web.ui import Page, Readers
from tests.until import until
from tests.web.conftest import Visiting, Visitor, World
from tests.web.pages import RELEASE, plain, shown, token_in, until_shown
from tests.web.revisions import HIDDEN, HIDDEN_BEFORE, MANIFEST, two_revisions


async def test_what_differs_between_two_revisions_is_shown_and_nothing_of_a_secret(
    visitor: Visitor, world: World
) -> None:
    await two_revisions(world)
    path = f"{RELEASE}/{world.namespace}/redis"
    assert f'{path}/revisions"' in await until_shown(visitor, path, "All revisions")
    text = await shown(visitor, f"{path}/revisions")
    words = plain(text)
    assert "From revision 1 to 2" in words
    assert "redis-1.1.0" in words
    assert "step 2 (commit 3f2a91c)" in words
    for line in ("-level: info", "+level: debug", "- level: info", "+ level: debug"):
        assert line.replace("- ", "-").replace("+ ", "+") in words.replace("- ", "-").replace("+ ", "+"), words
    assert "changed Secret" in words
    for hidden in (HIDDEN, HIDDEN_BEFORE):
        assert hidden not in text
    back = plain(await shown(visitor, f"{path}/revisions?from=2&to=1"))
    assert "From revision 2 to 1" in back
    assert (await visitor.get(f"{path}/revisions?from=9"))[0] == 404
    assert (await visitor.get(f"/object/core/Secret/{world.namespace}/login/revisions"))[0] == 404


async def test_every_value_says_where_it_is_from(visitor: Visitor, world: World) -> None:
    await two_revisions(world)
    text = await shown(visitor, f"{RELEASE}/{world.namespace}/redis/values")
    words = plain(text)
    assert 'level "debug" fleet/redis.yaml:1' in words
    assert f"auth.login masked Secret {world.namespace}/ login , key values.yaml" in words
    assert "port 6379 redis-1.2.0" in words
    assert HIDDEN not in text


async def test_values_of_what_a_kustomization_has_built_name_no_file(visitor: Visitor, world: World) -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": world.namespace}
    await world.release("redis", spec={"values": {"level": "debug"}}, labels=labels)
    path = f"{RELEASE}/{world.namespace}/redis"
    await until_shown(visitor, path, "applied by")
    assert 'level "debug" spec.values' in plain(await shown(visitor, f"{path}/values"))


async def test_a_release_is_rolled_back_after_a_second_question_and_stays_suspended(
    visitor: Visitor, world: World
) -> None:
    key = await two_revisions(world)
    path = f"{RELEASE}/{world.namespace}/redis"
    asked = await shown(visitor, f"{path}/rollback?revision=1")
    assert "Back to revision 1" in plain(asked)
    assert "It stays suspended" in plain(asked)
    form = {"token": token_in(asked), "revision": "1"}
    assert (await visitor.post(f"{path}/rollback", {**form, "token": "wrong"}))[0] == 403
    assert (await visitor.post(f"{path}/rollback", form))[0] == 303
    await until_shown(visitor, f"{path}/revisions", "Back to revision 1: done. It is back, as revision 3.")
    live = await world.cluster.get(ObjectKey("", "ConfigMap", world.namespace, "redis"))
    assert live["data"]["level"] == "info"
    assert (await world.cluster.get(key))["spec"]["suspend"] is True
    newest = await world.cluster.get(ObjectKey("", "Secret", world.namespace, "sh.helm.release.v1.redis.v3"))
    assert newest["metadata"]["labels"]["status"] == "deployed"


async def test_a_revision_that_is_not_there_is_refused_and_nothing_is_done(visitor: Visitor, world: World) -> None:
    key = await two_revisions(world)
    path = f"{RELEASE}/{world.namespace}/redis"
    form = {"token": token_in(await shown(visitor, f"{path}/rollback?revision=7")), "revision": "7"}
    status, text = await visitor.post(f"{path}/rollback", form)
    assert status == 502
    assert "has no revision 7" in plain(text)
    assert "suspend" not in (await world.cluster.get(key))["spec"]


async def test_a_rollback_that_is_under_way_when_the_page_closes_leaves_a_failed_revision(
    cluster: Cluster, world: World
) -> None:
    await two_revisions(world)
    never = (
        MANIFEST.format(level="x", password="hunter3")
        + """\
---
apiVersion: v1
kind: Pod
metadata: {name: never}
spec: {nodeSelector: {no: node}, containers: [{name: main, image: "registry.example/app:nonexistent"}]}
"""
    )
    chart = {"metadata": {"name": "redis", "version": "1"}}
    for number, status, text in ((3, "superseded", never), (4, "deployed", "")):
        record = Record("redis", world.namespace, number, status, chart, {}, text)  # type: ignore[arg-type]
        await cluster.create(encode(record), manager="helm")
    path = f"{RELEASE}/{world.namespace}/redis"
    async with Visiting(Page(cluster, (world.namespace, "gitsync"), world.namespace)) as visitor:
        form = {"token": token_in(await shown(visitor, f"{path}/rollback?revision=3")), "revision": "3"}
        assert (await visitor.post(f"{path}/rollback", form))[0] == 303
        await until_shown(visitor, f"{path}/revisions", "It waits for")
    name = "sh.helm.release.v1.redis.v5"
    found = await cluster.get(ObjectKey("", "Secret", world.namespace, name))
    assert found["metadata"]["labels"]["status"] == "failed"


async def test_readers_of_the_agents_page_are_shown_no_record(cluster: Cluster, world: World) -> None:
    await two_revisions(world)
    page = Page(cluster, (world.namespace, "gitsync"), world.namespace, readers=Readers())
    path = f"{RELEASE}/{world.namespace}/redis"
    async with Visiting(page) as visitor:
        text = await until_shown(visitor, path, "redis")
        assert "/revisions" not in text
        for more in ("revisions", "values", "rollback?revision=1"):
            assert (await visitor.get(f"{path}/{more}"))[0] == 404
        await until(lambda: page.stream.open == 0)


async def test_values_say_the_line_that_they_are_written_in(visitor: Visitor, world: World) -> None:
    values = {"level": "debug", "nodes": [{"name": "a"}], "auth": {"password": HIDDEN}}
    release = await world.release("redis", spec={"values": values})
    text = (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: redis, namespace: x}\n"
        "spec:\n  interval: 5m\n  chartRef: {kind: OCIRepository, name: x}\n  values:\n"
        f"    auth:\n      password: {HIDDEN}\n    level: debug\n    nodes:\n      - name: a\n"
    )
    (item,) = parse_file("apps/redis.yaml", text.encode()).objects
    note = {"metadata": {"annotations": {"gitsync.dev/values-origin": lines_written(item)}}}
    await world.cluster.patch(ObjectKey.of(release), note, manager="test")
    path = f"{RELEASE}/{world.namespace}/redis"
    for page in (path, f"{path}/values"):
        words = plain(await until_shown(visitor, page, "apps/redis.yaml:10"))
        assert 'level "debug" apps/redis.yaml:10' in words
        assert 'nodes[0].name "a" apps/redis.yaml:12' in words
        assert "auth.password masked apps/redis.yaml:9" in words
    key = ObjectKey.of(release)
    assert "gitsync.dev/values-origin" not in str(visitor.page.board.known.find(key)), "it is read when it is shown"
    await world.cluster.patch(key, {"spec": {"values": {"level": "trace"}}}, manager="somebody")
    assert 'level "trace" fleet/redis.yaml:1' in plain(await until_shown(visitor, path, '"trace"'))
