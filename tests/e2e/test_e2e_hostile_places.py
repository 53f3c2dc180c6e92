"""What a stranger names leads nowhere else: a schema to no server and no file, a digest to nobody's download; and where
little can be written, a commit with a subject without end is carried out all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.charts.build import chart_files, config_map, packed
from tests.charts.servers import Server, serving
from tests.e2e.background import Background
from tests.e2e.badnamespace import bad
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostility import GRACE
from tests.e2e.limits import limited
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Watch, is_ready, says
from tests.git.git_world import Repository
from tests.until import until

__all__ = ["bad"]

HONEST = packed(chart_files(templates__a_yaml=config_map(a="'1'")))
#: Where the schema of a chart says that the rest of it is.
REFERENCES = {"asks": "{url}/secret.json", "reads": "file:///etc/hostname"}


@pytest.fixture
def server(background: Background) -> Iterator[Server]:
    """Charts of others: two with schemas that lead elsewhere, and one by the digest of the honest one, which never
    comes."""
    found: list[Server] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        _, name, file = request.path.split("/")
        if file == "index.yaml":
            entry = {"name": "app", "version": "1.0.0", "urls": ["app-1.0.0.tgz"]}
            if name in ("honest", "claims"):
                entry["digest"] = hashlib.sha256(HONEST).hexdigest()
            return web.json_response({"apiVersion": "v1", "entries": {"app": [entry]}})
        if name == "claims":
            await until(lambda: request.transport is None, timeout=3600)
        if name in ("honest", "claims"):
            return web.Response(body=HONEST)
        schema = json.dumps({"$ref": REFERENCES[name].format(url=found[0].url)})
        return web.Response(body=packed(chart_files() | {"values.schema.json": schema.encode()}))

    serves = serving(answer)
    found.append(background.run(serves.__aenter__()))
    yield found[0]
    background.run(serves.__aexit__(None, None, None))


def from_(place: str, server: Server, name: str) -> str:
    source = repository(place, server.url).replace("/apps", f"/{name}").replace("name: charts", f"name: {name}")
    return source + "---\n" + release(place, name).replace("name: charts", f"name: {name}")


def committed_with(fleet: Fleet, subject: bytes) -> str:
    """What is staged as a commit that git itself would not take from an editor."""
    repository = Repository(fleet.path)
    tree, parent = (repository.git("rev-parse", name) for name in ("HEAD^{tree}", "HEAD"))
    text = b"tree %s\nparent %s\nauthor Ada <a@b> 1 +0000\ncommitter G <g@h> 2 +0000\n\n%s"
    commit = repository.git(
        "hash-object", "-t", "commit", "-w", "--stdin", stdin=text % (tree.encode(), parent.encode(), subject)
    )
    repository.git("update-ref", "refs/heads/main", commit)
    return commit


@pytest.mark.timeout(300)
def test_what_a_stranger_names_leads_nowhere_else(
    agent: AgentProcess, fleet: Fleet, server: Server, releases: Watch, namespace: str, bad: str
) -> None:
    fleet.commit({"fleet/bad.yaml": "---\n".join(from_(bad, server, name) for name in (*REFERENCES, "claims"))}, "bad")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("gitsync started")

    with limited(agent.pid) as memory:
        claiming = {"for": f"an answer of {server.url}/claims", "release": f"{bad}/claims"}
        agent.until(lambda line: line.says("waiting", **claiming), "the download that never comes is under way")
        fleet.commit({"fleet/honest.yaml": from_(namespace, server, "honest")}, "an honest one")
        releases.first(f"{namespace}/honest", lambda seen: is_ready(seen.manifest))
        for name in REFERENCES:
            releases.first(f"{bad}/{name}", says("may refer to itself only"))
        assert "/secret.json" not in server.paths
        assert not is_ready(releases.get(f"{bad}/claims"))

    memory.check()
    assert agent.stop(GRACE) == 0


@pytest.mark.timeout(300)
def test_a_subject_without_end_and_a_cache_that_cannot_be_written_hold_up_nobody(
    agent: AgentProcess, fleet: Fleet, server: Server, releases: Watch, namespace: str
) -> None:
    fleet.commit({"fleet/honest.yaml": from_(namespace, server, "honest")}, "an honest one")
    commit = committed_with(fleet, b"https://ada:correct-horse@git.example/ " + b"x" * (20 << 20))
    cache = agent.directory / "state" / "charts"
    cache.parent.mkdir(parents=True)
    cache.touch()
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("gitsync started")

    with limited(agent.pid) as memory:
        line = agent.wait_for("sync finished", commit=commit[:7])
        releases.first(f"{namespace}/honest", lambda seen: is_ready(seen.manifest))

    memory.check()
    assert line.fields["subject"].startswith("https://***@git.example/ xxx")
    assert len(line.fields["subject"]) <= 200
    assert "correct-horse" not in agent.log + agent.command("log")
    assert agent.stop(GRACE) == 0
