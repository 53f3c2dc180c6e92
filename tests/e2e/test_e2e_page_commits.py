"""Commits on the page: how one went, and what it changed as objects."""

from __future__ import annotations

import html
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map, release, repository
from tests.e2e.moving import CHART, box, finished
from tests.e2e.pages import asked, serving, words
from tests.forked import Forked
from tests.until import ask_until

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: {namespace}}}
stringData: {{password: {value}}}
"""


class OwnPage:
    """``gitsync ui``, with its printed address opened."""

    def __init__(self, address: str) -> None:
        self._base = address.partition("/?")[0]
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        self._opener.open(address, timeout=60).close()

    def get(self, path: str, timeout: float = 120.0) -> tuple[int, str]:
        try:
            with self._opener.open(self._base + path, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@contextmanager
def own_page(agent: AgentProcess, *flags: str) -> Iterator[OwnPage]:
    arguments = ["ui", f"--kubeconfig={agent.kubeconfig}", f"--state-dir={agent.directory / 'page'}", *flags]
    process = Forked(arguments, agent._environment(), merged=True)
    try:
        head = "".join(process.stdout.readline() for _ in range(4))
        found = re.search(r"http://127[.]0[.]0[.]1:[0-9]+/[?]key=\S+", head)
        assert found is not None, head
        yield OwnPage(found[0])
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


def test_a_commits_page_tells_the_order_and_what_each_object_waited_for(
    new_agent: NewAgent, fleet: Fleet, charts: ChartServer, namespace: str
) -> None:
    agent, port = serving(new_agent, fleet)
    files = {
        **CHART,
        "fleet/backend.yaml": box(namespace, "backend", needs="redis"),
        # One after the other, the first of which takes its time: the last has said for what it waits long before.
        "fleet/redis.yaml": box(namespace, "redis", needs="store"),
        "fleet/store.yaml": box(namespace, "store", needs="disk"),
        "fleet/disk.yaml": release(namespace, "disk", values={"args": ["--ready-after=3s"]}),
        "fleet/source.yaml": repository(namespace, charts.url),
        "fleet/plain.yaml": config_map(namespace, "plain"),
    }
    commit = fleet.commit(files, "redis and backend")
    finished(agent, commit)

    def has_come() -> str:
        return asked(port, f"/commits/{commit}")[1]

    # The page may be of the moment before, at which the commit was under way.
    page = ask_until(has_come, lambda text: "Its way" in text and "goes-on" not in text, "how the commit went")
    told = html.unescape(words(page))
    assert f"HelmRelease/{namespace}/backend fleet/backend.yaml:1" in told
    waits = re.findall(r'<rect class="wait"[^>]*><title>([^<]*)</title>', page)
    assert any(re.search("dependency .*redis.* is not ready", html.unescape(what)) for what in waits), waits
    assert "redis and backend" in told
    assert told.index(f"ConfigMap/{namespace}/plain") < told.index(f"HelmRelease/{namespace}/backend")
    ready = re.findall(r'<rect class="settle" x="([0-9.]+)" width="([0-9.]+)"', page)
    assert ready, "releases take a while to become ready"
    assert "/difference" not in page, "the agent reads no repository for its readers"


def test_what_a_commit_changed_is_shown_as_objects_with_secrets_masked(
    new_agent: NewAgent, fleet: Fleet, namespace: str, sync_name: str
) -> None:
    agent = new_agent(fleet, "--path=fleet").start()
    files = {
        **CHART,
        "fleet/redis.yaml": box(namespace, "redis"),
        "fleet/secret.yaml": SECRET.format(namespace=namespace, value="hunter2-before"),
    }
    first = fleet.commit(files, "begin")
    finished(agent, first)
    files = {
        "fleet/redis.yaml": box(namespace, "redis", adminPassword="hunter2-inline").replace("redis-own", "redis-other"),
        "fleet/secret.yaml": SECRET.format(namespace=namespace, value="hunter2-after"),
    }
    second = fleet.commit(files, "another map", author="Ben")
    finished(agent, second)
    with own_page(agent, f"--repo={fleet.path}", "--path=fleet", f"--name={sync_name}") as page:
        path = f"/commits/{second}/difference"
        commit = ask_until(
            lambda: page.get(f"/commits/{second}")[1], lambda text: path in text, "the commit's page leads to it"
        )
        assert "Ben" in words(commit)
        status, text = page.get(path)
        told = html.unescape(words(text))
        assert status == 200, told
        assert f"deleted ConfigMap {namespace}/ redis-own" in told
        assert f"created ConfigMap {namespace}/ redis-other" in told
        assert f"of release {namespace}/redis" in told
        assert f"changed Secret {namespace}/ login" in told
        assert "adminPassword: masked" in told
        assert "hunter2" not in text
        assert page.get(f"/commits/{first}/difference")[0] == 404, "nothing is recorded before it"


def test_a_repository_that_cannot_be_read_is_told_with_what_to_do(
    new_agent: NewAgent, fleet: Fleet, namespace: str, sync_name: str, kubectl: Cli
) -> None:
    agent = new_agent(fleet, "--path=fleet").start()
    for number in ("one", "two"):
        finished(agent, commit := fleet.commit({"fleet/a.yaml": config_map(namespace, "a", number)}, number))
    with own_page(agent, f"--repo={fleet.path}-elsewhere", "--path=fleet", f"--name={sync_name}") as page:
        ask_until(lambda: page.get(f"/commits/{commit}")[0], lambda status: status == 200, "the commit is recorded")
        status, text = page.get(f"/commits/{commit}/difference")
        assert status == 502
        assert "That did not work" in text
