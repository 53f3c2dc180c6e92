"""The reader across commits: what it reads again, what it forgets, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gitsync.api import CommitInfo, ObjectKey
from gitsync.api.identity import Origin
from gitsync.errors import GitUnavailable
from tests.cost import measured
from tests.lag import stays_below
from tests.manifests.commits import Repository, config_map, errors, names

RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: {name}
spec:
  interval: 5m
  chart: {{spec: {{chart: app, sourceRef: {{kind: HelmRepository, name: apps}}}}}}
  dependsOn:
    - name: redis
"""
REPOSITORY = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: apps}
spec: {url: https://charts.example, interval: 1m}
"""


async def test_only_blobs_that_are_new_are_read() -> None:
    repository = Repository({f"{name}.yaml": config_map(name) for name in "abc"})
    first = await repository.desired("c1")
    assert repository.asked() == ["a.yaml", "b.yaml", "c.yaml"]
    repository.change({"b.yaml": config_map("b2"), "c.yaml": None, "d.yaml": config_map("d")})
    second = await repository.desired("c2")
    assert repository.asked() == ["b.yaml", "d.yaml"]
    assert names(second) == ["a", "b2", "d"]
    key = ObjectKey("", "ConfigMap", "", "a")
    assert second.objects[key] is first.objects[key]


async def test_going_back_one_commit_reads_nothing_and_two_reads_again() -> None:
    repository = Repository({"a.yaml": config_map("a1")})
    await repository.desired("c1")
    repository.change({"a.yaml": config_map("a2")})
    await repository.desired("c2")
    repository.asked()
    repository.change({"a.yaml": config_map("a1")})
    assert names(await repository.desired("c3")) == ["a1"]
    assert repository.asked() == []
    await repository.desired("c3")
    repository.change({"a.yaml": config_map("a2")})
    assert names(await repository.desired("c4")) == ["a2"]
    assert repository.asked() == []
    repository.change({"a.yaml": config_map("a3")})
    await repository.desired("c5")
    repository.change({"a.yaml": config_map("a1")})
    await repository.desired("c6")
    assert repository.asked() == ["a.yaml", "a.yaml"]


async def test_a_renamed_file_is_told_by_its_new_name() -> None:
    repository = Repository({"a.yaml": config_map("a") + "---\na: [\n", "c.yaml": config_map("c")})
    await repository.desired("c1")
    content = repository.files["a.yaml"].decode()
    repository.change({"a.yaml": None, "b.yaml": content, "c.yaml": None, "d.yaml": config_map("c")})
    desired = await repository.desired("c2")
    assert [item.origin for item in desired.objects.values()] == [Origin("d.yaml", 1, 1)]
    assert errors(desired)[0].startswith("b.yaml:6:1:")


async def test_the_same_content_in_two_files_is_asked_for_once() -> None:
    repository = Repository({"a.yaml": config_map("a"), "b.yaml": config_map("a")})
    assert names(await repository.desired()) == ["a"]  # read_blobs refuses an id twice


async def test_releases_and_repositories_come_typed() -> None:
    repository = Repository({"a.yaml": RELEASE.format(name="app") + "---\n" + REPOSITORY, "b.yaml": config_map("b")})
    desired = await repository.desired()
    ((key, release),) = desired.helm_releases.items()
    assert str(key) == "HelmRelease/default/app"
    assert [str(dependency) for dependency, _ in release.dependencies()] == ["HelmRelease/default/redis"]
    assert [source.spec.url for source in desired.helm_repositories.values()] == ["https://charts.example"]
    ((_, path),) = release.dependencies()
    assert desired.objects[key].field_origin(path).line == 9


async def test_a_failure_to_read_is_passed_on_and_what_was_parsed_is_kept() -> None:
    repository = Repository({f"{number:03}.yaml": config_map(f"c{number}") for number in range(150)})
    calls = 0

    async def failing(blob_ids: Sequence[str]) -> dict[str, bytes]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise GitUnavailable("the remote hangs")
        return await repository.read_blobs(blob_ids)

    with pytest.raises(GitUnavailable):
        await repository.reader.read(CommitInfo("c1"), repository.entries(), failing)
    first = repository.asked()
    repository.change({"new.yaml": config_map("new")})
    assert len((await repository.desired("c2")).objects) == 151
    assert set(first).isdisjoint(repository.asked())


async def test_a_read_can_be_cancelled() -> None:
    repository = Repository({f"{number:03}.yaml": config_map(f"c{number}") for number in range(500)})
    started = asyncio.Event()

    async def slow(blob_ids: Sequence[str]) -> dict[str, bytes]:
        started.set()
        await asyncio.sleep(60)
        return {}

    task = asyncio.create_task(repository.reader.read(CommitInfo("c1"), repository.entries(), slow))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len((await repository.desired("c1")).objects) == 500


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: &labels
    app.kubernetes.io/name: {name}
    app.kubernetes.io/part-of: shop
spec:
  replicas: 3
  selector:
    matchLabels: *labels
  template:
    metadata:
      labels: *labels
    spec:
      containers:
""" + "".join(
    f"""\
        - name: c{number}
          image: registry.example/shop/web:1.2.{number}
          args: ["--port=8080", "--log=info"]
          ports:
            - name: http
              containerPort: 8080
          env:
            - name: CACHE
              value: tcp://redis-master:6379
          resources:
            requests: {{{{cpu: 100m, memory: 128Mi}}}}
"""
    for number in range(4)
)


async def test_a_change_of_one_file_among_two_thousand_costs_one_file() -> None:
    # The bounds are several times what is measured (1.6 s and 0.02 s).
    assert 1400 < len(DEPLOYMENT) < 1700
    files = {f"apps/team{n % 40}/app{n}.yaml": DEPLOYMENT.format(name=f"app{n}") for n in range(1800)}
    files |= {f"releases/app{n}.yaml": RELEASE.format(name=f"app{n}") for n in range(200)}
    repository = Repository(files)
    with measured() as cost:
        assert len((await repository.desired("c1")).objects) == 2000
    assert cost.seconds < 6
    repository.asked()
    costs = []
    for commit in ("c2", "c3", "c4"):
        repository.change({"apps/team1/app1.yaml": DEPLOYMENT.format(name=commit)})
        entries = repository.entries()
        with measured() as cost:
            desired = await repository.reader.read(CommitInfo(commit), entries, repository.read_blobs)
            assert len(desired.helm_releases) == 200
        costs.append(cost.seconds)
        assert repository.asked() == ["apps/team1/app1.yaml"]
    assert min(costs) < 0.1


async def test_the_loop_stays_responsive_while_files_are_parsed() -> None:
    files = {f"{number}.yaml": DEPLOYMENT.format(name=f"app{number}") for number in range(200)}

    async def read() -> None:
        await Repository(dict(files)).desired()

    await stays_below(0.5, read)
