"""Charts that are meant to do harm, or do it by mistake: each hurts its own release, and nobody else."""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from gitsync.charts import Charts, ReleaseContext
from gitsync.charts.workers import WORKERS
from gitsync.errors import ChartError, RenderError, ValuesError
from gitsync.helm.archive import MAX_UNPACKED
from gitsync.runtime import places
from gitsync.runtime.places import Ticket, chosen
from gitsync.runtime.progress import reporting
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from tests.charts.build import chart_files, config_map, packed
from tests.charts.endless import CONTEXT, ENDLESS, HONEST, Peak, chart, honest, loaded
from tests.charts.processes import busy, workers
from tests.clock import jumping_clock
from tests.until import until

MIB = 1 << 20


#: A process that runs out of memory says so, or is ended by native code that does not look whether it got any.
MEMORY = "MiB of memory|want of memory"


@pytest.mark.e2e  # a long attack
@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param('{{ range until 20000 }}{{ "x" | repeat 1000000 }}{{ end }}', MEMORY, id="20 GB"),
        pytest.param('{{ range until 500 }}{{ "x" | repeat 1000000 }}{{ end }}', MEMORY, id="500 MB"),
        pytest.param('{{ range until 17 }}{{ "x" | repeat 1000000 }}{{ end }}', "more than 8 MiB", id="17 MB"),
        pytest.param("{{ tpl .Values.again . }}", MEMORY, id="tpl that calls itself"),
        pytest.param(
            "apiVersion: v1\nkind: X\nmetadata: {name: a}\na: [{{ range until 600000 }}{},{{ end }}]",
            "more than 200,000 keys and values",
            id="many small objects",
        ),
    ],
)
async def test_a_template_that_asks_for_too_much_fails_and_the_next_one_is_rendered(
    charts: Charts, template: str, words: str
) -> None:
    hostile = await chart(charts, template)
    peak = Peak()

    with pytest.raises(RenderError, match=words) as caught:
        await charts.render(hostile, {"again": "{{ tpl .Values.again . }}"}, CONTEXT)

    assert (caught.value.chart, caught.value.version) == ("app", "1.0.0")
    assert caught.value.hint
    assert peak.grown < 100 * MIB
    assert await honest(charts, "b") == "b"


async def test_a_template_that_never_ends_is_given_up_and_its_process_with_it(
    charts: Charts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 1.0)
    endless = await chart(charts, ENDLESS)

    with pytest.raises(RenderError, match="chart app was not rendered within 1 s"):
        await charts.render(endless, {}, CONTEXT)

    assert [process for process in workers() if process.status() == psutil.STATUS_RUNNING] == []
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 60.0)
    assert await honest(charts, "b") == "b"


async def test_what_ran_into_a_limit_is_not_tried_again_at_once(
    charts: Charts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 1.0)
    endless = await chart(charts, ENDLESS)
    messages = []
    for deadline in (1.0, 1000.0):  # the second would not end
        monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", deadline)
        with pytest.raises(RenderError) as caught:
            await charts.render(endless, {}, CONTEXT)
        messages.append(caught.value.message)

    assert messages == ["chart app was not rendered within 1 s"] * 2
    other = asyncio.create_task(charts.render(endless, {"other": 1}, CONTEXT))  # other values are another question
    await until(lambda: busy() or other.done())
    assert not other.done()
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


async def test_what_ran_into_a_limit_for_one_owner_is_tried_for_another(
    charts: Charts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same chart and values, and something else in the cluster, which ``lookup`` finds: only time tells here."""
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 0.001)
    app = await chart(charts, HONEST)
    for owner in ("bad", "bad"):
        with pytest.raises(RenderError, match="was not rendered within"):
            await charts.render(app, {"a": "b"}, CONTEXT, owner=owner)
        monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 60.0)

    rendered = await charts.render(app, {"a": "b"}, CONTEXT, owner="good")
    assert rendered.objects[0]["data"] == {"a": "b"}


async def test_archives_inside_of_archives_are_measured_together(charts: Charts) -> None:
    bomb = packed(chart_files("inner", files__x_bin="\0" * (5 * MIB)))
    files = chart_files() | {f"charts/inner{number}-1.0.0.tgz": bomb for number in range(40)}
    peak = Peak()

    with pytest.raises(ChartError, match=f"larger than {MAX_UNPACKED // MIB} MiB unpacked|MiB of memory"):
        await loaded(charts, files)

    assert peak.grown < 100 * MIB
    assert await honest(charts, "b") == "b"


async def test_a_worker_that_is_ended_from_outside_costs_nobody_a_release(charts: Charts) -> None:
    slow = await chart(charts, ENDLESS.replace("30000", "2000") + HONEST)
    task = asyncio.create_task(charts.render(slow, {"a": "kept"}, CONTEXT))
    await until(busy)

    for process in workers():
        process.kill()

    assert (await task).objects[0]["data"] == {"a": "kept"}


async def test_three_that_never_end_hold_nobody_up_for_long(charts: Charts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SLICE", 2.0)
    endless = await chart(charts, ENDLESS)
    hostile = [
        asyncio.create_task(charts.render(endless, {"n": n}, ReleaseContext("demo", f"team-{n}"))) for n in range(3)
    ]
    await asyncio.sleep(0)
    waits: list[str] = []

    async def note(reason: str) -> bool:
        waits.append(reason)
        return False

    with reporting(note):
        for number in range(20):
            assert await honest(charts, str(number)) == str(number)

    assert not any(task.done() for task in hostile)  # they had 60 s
    assert len(workers()) <= WORKERS
    for task in hostile:
        task.cancel()
    await asyncio.gather(*hostile, return_exceptions=True)


async def test_a_wait_for_a_worker_is_said(charts: Charts) -> None:
    endless = await chart(charts, ENDLESS)
    hostile = [asyncio.create_task(charts.render(endless, {"n": n}, CONTEXT)) for n in range(WORKERS)]
    await asyncio.sleep(0)
    told = asyncio.get_running_loop().create_future()

    async def note(reason: str) -> bool:
        if not told.done():
            told.set_result(reason)
        return False

    with reporting(note):
        waiting = asyncio.create_task(honest(charts, "a"))
    assert "all 2 are busy" in await told

    for task in [*hostile, waiting]:
        task.cancel()
    await asyncio.gather(*hostile, waiting, return_exceptions=True)


async def test_who_is_interrupted_gives_the_worker_back_at_once(charts: Charts) -> None:
    endless = await chart(charts, ENDLESS)
    tasks = [asyncio.create_task(charts.render(endless, {"n": n}, CONTEXT)) for n in range(WORKERS)]
    await until(lambda: len(busy()) == WORKERS)
    before = {process.pid for process in workers()}

    for task in tasks:
        task.cancel()

    assert await honest(charts, "a") == "a"
    await until(lambda: not before & {process.pid for process in workers()})


async def test_closing_ends_what_is_under_way() -> None:
    charts = Charts()
    task = asyncio.create_task(charts.render(await chart(charts, ENDLESS), {}, CONTEXT))
    await until(busy)

    await charts.close()

    assert workers() == []
    await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_ends_with_who_started_it(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from gitsync.charts import Charts, ReleaseContext
from gitsync.spool import Body
async def main():
    charts = Charts()
    app = await charts.from_archive(Body.opened(Path(sys.argv[1])))
    print(charts.workers._pool._idle[0].pid, flush=True)
    await charts.render(app, {}, ReleaseContext("demo", "apps"))
asyncio.run(main())
"""
    (tmp_path / "app.tgz").write_bytes(packed(chart_files(templates__a_yaml=ENDLESS)))
    command = [sys.executable, "-c", program, str(tmp_path / "app.tgz")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:  # noqa: ASYNC220  # it ends at once
        assert agent.stdout is not None
        worker = psutil.Process(int(agent.stdout.readline()))
        await until(lambda: worker.cpu_times().user > 0.6)
        agent.send_signal(signal.SIGKILL)

    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


async def test_no_credential_is_in_a_workers_arguments_or_environment(
    charts: Charts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITSYNC_GIT_TOKEN", "s3cret-token")
    app = await chart(charts, config_map(a='{{ lookup "v1" "Pod" "" "" | len }}'))
    with suppress(Exception):
        await charts.render(app, {}, CONTEXT, access={"kube_apiserver": "http://127.0.0.1:1", "kube_token": "s3cret"})

    (worker,) = workers()
    assert "s3cret" not in " ".join(worker.cmdline()) + str(worker.environ())
    assert worker.cwd() == "/"


def test_a_worker_imports_little() -> None:
    program = "import sys, gitsync.runtime.child, gitsync.helm.calls; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout

    assert set(modules.split()) & {"asyncio", "aiohttp", "pydantic", "kubernetes", "structlog", "gitsync.api"} == set()


@asynccontextmanager
async def listening(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server on this machine."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "URL/a.json"},
        {"properties": {"a": {"items": [{"$ref": "URL/a.json#/definitions/x"}]}}},
        {"$id": "URL/base.json", "properties": {"a": {"$ref": "other.json"}}},
        {"$schema": "URL/metaschema.json"},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicRef": "URL/a.json"},
        {"$ref": "FILE"},
        {"allOf": [{"$ref": "FILE"}]},
    ],
)
@pytest.mark.parametrize("where", ["values.schema.json", "charts/inner/values.schema.json"])
async def test_a_schema_leads_nowhere_else(charts: Charts, tmp_path: Path, schema: dict[str, Any], where: str) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object", "required": ["read-from-disk"]}')
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"type": "object", "required": ["fetched"]})

    async with listening(answer) as url:
        text = json.dumps(schema).replace("URL", url).replace("FILE", f"file://{tmp_path}/schema.json")
        inner = {f"charts/inner/{name}": data for name, data in chart_files("inner").items()}
        metadata = "dependencies: [{name: inner, version: 1.x, repository: ''}]\n"
        app = await loaded(charts, chart_files(metadata=metadata) | inner | {where: text.encode()})

        with pytest.raises(ValuesError, match="may refer to itself only") as caught:
            await charts.render(app, {"a": [1]}, CONTEXT)

        assert asked == []
    assert where in caught.value.message
    assert "read-from-disk" not in str(caught.value)


async def test_a_schema_may_refer_to_itself_and_name_its_metaschema(charts: Charts) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/values.json",
        "$defs": {"number": {"type": "integer"}},
        "properties": {"a": {"$ref": "#/$defs/number"}},
    }
    app = await loaded(charts, chart_files() | {"values.schema.json": json.dumps(schema).encode()})

    await charts.render(app, {"a": 1}, CONTEXT)
    with pytest.raises(ValuesError, match="a: got string, want integer"):
        await charts.render(app, {"a": "x"}, CONTEXT)


ENTRY = '{"version": "1.0.0", "urls": ["a.tgz"]}'


@pytest.mark.parametrize(
    ("before", "entry", "times", "after"),
    [
        pytest.param('{"apiVersion": "v1", "entries": {"a": [', f"{ENTRY}, ", 1_000_000, f"{ENTRY}]}}}}", id="JSON"),
        pytest.param("apiVersion: v1\nentries: {a: [", f"{ENTRY}, ", 1_000_000, "]}", id="YAML on one line"),
        pytest.param("apiVersion: v1\nentries:\n  a:\n", f"  - {ENTRY}\n", 300_000, "", id="many versions"),
    ],
)
async def test_an_index_that_lists_without_end_is_refused(
    repositories: ChartRepositories, before: str, entry: str, times: int, after: str
) -> None:
    body = f"{before}{entry * times}{after}".encode()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body)

    async with listening(answer) as url:
        peak = Peak()
        with pytest.raises(ChartError, match=r"more than 200,000 versions|MiB of memory|for want of memory"):
            await repositories.refresh(RepositorySpec(url))

    assert peak.grown < 150 * MIB


@pytest.mark.parametrize(
    ("waiting", "running", "first"),
    [
        ([("a", False), ("b", False)], [], "a"),
        ([("a", False), ("b", False)], [("a", False)], "b"),  # owners take turns
        ([("a", True), ("b", False)], [], "b"),  # quick before slow
        ([("a", True)], [], "a"),
        ([("a", True)], [("b", True)], None),  # the last place is for what is quick
        ([("a", True), ("b", False)], [("c", True)], "b"),
        ([], [], None),
    ],
)
def test_who_gets_a_worker_next(
    waiting: list[tuple[str, bool]], running: list[tuple[str, bool]], first: str | None
) -> None:
    tickets = [Ticket(owner, slow, number) for number, (owner, slow) in enumerate(waiting)]
    found = chosen(tickets, [Ticket(owner, slow, 100) for owner, slow in running], 2)
    assert (found.owner if found else None) == first


async def test_a_place_is_taken_also_from_who_has_yet_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose process is being started, which takes long on a busy machine, and who then never ends."""
    monkeypatch.setattr(places, "SLICE", 0.05)
    both = places.Places(2)
    first, second, good = (both.ticket(owner, "", number, 60.0) for number, owner in enumerate(("bad", "bad", "good")))
    for ticket in (first, second):
        await both.take(ticket)
    waiting = asyncio.create_task(both.take(good))
    with jumping_clock():
        await asyncio.sleep(6 * places.SLICE)  # nobody can be ended yet
    assert not waiting.done()
    for ticket in (first, second):
        ticket.end = functools.partial(both.leave, ticket)
    await waiting
    both.leave(good)
