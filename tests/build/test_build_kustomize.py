"""kustomize as a program that may hang, crash, or be led astray, and that must leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitsync.build.kustomization import as_yaml
from gitsync.errors import KustomizeError, KustomizeUnavailable
from gitsync.kustomize import CONCURRENT, LARGE_MEMORY, MEMORY, Kustomizer, find_kubectl, in_short
from gitsync.runtime.progress import reporting
from tests.until import until

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: hunter2\n"
PATIENCE = 60.0


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where kustomize's directories come to be, so that a test sees what stays of them."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def kubectl(tmp_path: Path, script: str) -> Path:
    """A program in place of kubectl."""
    path = tmp_path / "kubectl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def files(manifest: str = MANIFEST, **content: object) -> Mapping[str, str]:
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["manifest.yaml"],
        **content,
    }
    return {"kustomization.yaml": json.dumps(kustomization), "manifest.yaml": manifest}


def patched(patch: object, kind: str = "ConfigMap") -> Mapping[str, str]:
    return files(patches=[{"patch": json.dumps(patch), "target": {"kind": kind}}])


def left_in(place: Path) -> list[str]:
    return [item.name for item in place.iterdir()]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_the_same_files_are_built_once(tmp_path: Path, places: Path) -> None:
    runs = tmp_path / "runs"
    counting = kubectl(tmp_path, f'echo run >> {runs}\nexec {find_kubectl()} "$@"')
    kustomizer = Kustomizer(counting)
    change = [{"op": "add", "path": "/data/y", "value": "z"}]
    first = await kustomizer.build(patched(change))
    assert '  x: hunter2\n  "y": z\n' in first
    assert await kustomizer.build(patched(change)) == first
    assert runs.read_text() == "run\n"
    await kustomizer.build(patched([{**change[0], "value": "other"}]))
    assert runs.read_text() == "run\n" * 2
    assert not left_in(places)


async def test_it_gets_an_empty_environment_and_a_private_directory_with_nothing_else(
    tmp_path: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    monkeypatch.setenv("GITSYNC_GIT_TOKEN", "hunter3")
    seen = tmp_path / "seen"
    looking = kubectl(tmp_path, f"(/usr/bin/env; /bin/ls -a; /usr/bin/stat -c %a .; echo $@) > {seen}")
    assert await Kustomizer(looking).build(files()) == ""
    lines = set(seen.read_text().splitlines()) - {"SHLVL=0", "_=/usr/bin/env", "SHLVL=1"}
    directories = {line for line in lines if line.startswith("PWD=")}
    assert [Path(line.removeprefix("PWD=")).parent for line in directories] == [places]
    expected = {
        "GOMAXPROCS=1",
        "GOMEMLIMIT=128MiB",
        "GOGC=200",
        "LC_ALL=fr_FR.UTF-8",
        "KUBERC=off",
        "HTTP_PROXY=http://0.0.0.0:1",
        "HTTPS_PROXY=http://0.0.0.0:1",
    }
    expected |= {".", "..", "kustomization.yaml", "manifest.yaml", "700", "kustomize ."}
    assert lines - directories == expected


async def test_one_that_hangs_is_ended_and_its_directory_removed(tmp_path: Path, places: Path) -> None:
    pid = tmp_path / "pid"
    hanging = kubectl(
        tmp_path, f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec /bin/sleep 1000".replace("mv", "/bin/mv")
    )
    kustomizer = Kustomizer(hanging, timeout=3.0)
    told: list[str] = []

    async def note(reason: str) -> bool:
        told.append(reason)
        return False

    with reporting(note), pytest.raises(KustomizeUnavailable, match="did not end within 3 s"):
        await kustomizer.build(files())
    assert told == ["kustomize, which builds 2 files"]
    if pid.exists():  # on a machine so busy that it did not even begin, there is nothing to look for
        assert is_gone(int(pid.read_text()))
    assert not left_in(places)


async def test_one_that_goes_on_and_on_is_ended_by_the_time_of_a_processor(tmp_path: Path, places: Path) -> None:
    busy = kubectl(tmp_path, "while :; do :; done")
    with pytest.raises(KustomizeError, match="it needs more than 1 s of a processor's time"):
        await Kustomizer(busy, timeout=PATIENCE, processor_time=1).build(files())
    assert not left_in(places)


async def test_cancelling_leaves_no_process_and_no_directory(tmp_path: Path, places: Path) -> None:
    pid = tmp_path / "pid"
    hanging = kubectl(tmp_path, f"echo $$ > {pid}.new; /bin/mv {pid}.new {pid}; exec /bin/sleep 1000")
    kustomizer = Kustomizer(hanging)
    builds = [asyncio.ensure_future(kustomizer.build(files(namePrefix=str(number)))) for number in range(3)]
    await until(pid.exists)
    for build in builds:
        build.cancel()
    assert all(
        isinstance(item, asyncio.CancelledError) for item in await asyncio.gather(*builds, return_exceptions=True)
    )
    assert is_gone(int(pid.read_text()))
    assert not left_in(places)


async def test_a_few_run_at_once_and_no_more(tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    waiting = kubectl(tmp_path, f"echo x >> {begun}\nuntil [ -e {go} ]; do /bin/sleep 0.05; done")
    kustomizer = Kustomizer(waiting)
    builds = [asyncio.ensure_future(kustomizer.build(files(namePrefix=str(number)))) for number in range(5)]
    await until(lambda: begun.exists() and len(begun.read_text().split()) == CONCURRENT)
    await asyncio.sleep(0.3)  # time in which a third one could begin
    assert len(begun.read_text().split()) == CONCURRENT
    go.touch()
    assert await asyncio.gather(*builds) == [""] * 5


async def test_owners_take_turns(tmp_path: Path) -> None:
    """One that has many builds to be done holds up another's one for no longer than the first of them."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    go.mkdir()
    waiting = kubectl(
        tmp_path,
        f"name=$(/bin/cat kustomization.yaml | /bin/grep -o 'n-[a-z0-9]*')\n"
        f"echo $name >> {begun}\nuntil [ -e {go}/$name ]; do /bin/sleep 0.05; done",
    )
    kustomizer = Kustomizer(waiting)

    async def build(name: str, owner: str) -> None:
        await kustomizer.build(files(namePrefix=name), owner=owner)

    def begins(*names: str) -> bool:
        return begun.exists() and set(names) <= set(begun.read_text().split())

    greedy = [asyncio.ensure_future(build(f"n-{number}", "greedy")) for number in range(6)]
    await until(lambda: begins("n-0", "n-1"))
    modest = asyncio.ensure_future(build("n-modest", "modest"))
    await asyncio.sleep(0)
    (go / "n-0").touch()
    await until(lambda: begins("n-modest"))
    assert not begins("n-2")
    for name in ("n-modest", *(f"n-{number}" for number in range(6))):
        (go / name).touch()
    await asyncio.gather(modest, *greedy)


async def test_those_that_take_long_make_way_and_are_built_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.runtime.places.SLICE", 2.0)
    go = tmp_path / "go"
    waiting = kubectl(
        tmp_path, f"/bin/grep -q quick kustomization.yaml || until [ -e {go} ]; do /bin/sleep 0.05; done\necho done"
    )
    kustomizer = Kustomizer(waiting)
    slow = [asyncio.ensure_future(kustomizer.build(files(namePrefix=f"slow-{number}"))) for number in range(4)]
    await asyncio.sleep(0)
    for number in range(10):
        assert await kustomizer.build(files(namePrefix=f"quick-{number}")) == "done\n"
    assert not any(build.done() for build in slow)
    go.touch()
    assert await asyncio.gather(*slow) == ["done\n"] * 4


async def test_endless_output_is_cut_off(tmp_path: Path, places: Path) -> None:
    for stream in ("1", "2"):
        endless = kubectl(tmp_path, f"exec /usr/bin/yes >&{stream}")
        with pytest.raises(KustomizeError, match=r"more than 16 MiB come out of kustomize|crashed"):
            await Kustomizer(endless).build(files())
    assert not left_in(places)


async def test_too_much_is_not_even_begun(tmp_path: Path) -> None:
    with pytest.raises(KustomizeError, match="more than 16 MiB are too much"):
        await Kustomizer(tmp_path / "none").build(files("#" * (17 << 20)))


async def test_without_kubectl_or_a_temporary_directory_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KustomizeUnavailable, match="No such file"):
        await Kustomizer(tmp_path / "none").build(files())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(KustomizeUnavailable, match="No such file"):
        await Kustomizer().build(files())


async def test_a_patch_that_copies_an_object_into_itself_is_ended_by_its_memory() -> None:
    copies = [{"op": "copy", "from": "/data", "path": f"/data/a{number}"} for number in range(24)]
    with pytest.raises(KustomizeError, match="it needs more than 192 MiB of memory"):
        await Kustomizer().build(patched(copies))


def _schema(depth: int) -> dict[str, object]:
    fields = {f"field{number}": _schema(depth - 1) for number in range(5)} if depth else {}
    kind = {"type": "object", "properties": fields} if fields else {"type": "string"}
    return {"description": "What this field says about the object.", **kind}


def _definition(number: int) -> dict[str, object]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _schema(5)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things{number}.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "versions": [version]},
    }


def _definitions(count: int) -> dict[str, str]:
    texts = {f"crd{number}.yaml": as_yaml(_definition(number)) for number in range(count)}
    return {"kustomization.yaml": json.dumps({"resources": list(texts)}), **texts}


async def test_megabytes_of_definitions_are_built() -> None:
    """What a directory of definitions needs is more than once with the garbage of each step beside it."""
    texts = _definitions(4)
    assert 1 << 20 < sum(map(len, texts.values())) < 2 << 20
    built = await Kustomizer().build(texts)
    assert built.count("kind: CustomResourceDefinition") == 4


@pytest.mark.timeout(300)
async def test_what_needs_more_memory_gets_it_in_the_place_of_slow_work(tmp_path: Path) -> None:
    """As definitions of a few large operators in one directory do."""
    texts, memory = _definitions(8), tmp_path / "memory"
    assert 2 << 20 < sum(map(len, texts.values())) < 3 << 20
    # The limit is set once the program runs.
    watched = kubectl(
        tmp_path, f'/bin/sleep 0.2\n/bin/grep "Max data size" /proc/self/limits >> {memory}\nexec {find_kubectl()} "$@"'
    )
    kustomizer = Kustomizer(watched, timeout=4 * PATIENCE)
    built = await kustomizer.build(texts)
    assert built.count("kind: CustomResourceDefinition") == 8
    limits = [int(line.split()[3]) for line in memory.read_text().splitlines()]
    assert limits == [MEMORY, MEMORY, LARGE_MEMORY]


async def test_files_from_outside_plugins_and_helm_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(MANIFEST)
    kustomizer = Kustomizer()
    for content in (
        {"resources": ["manifest.yaml", str(secret)]},
        {"patchesStrategicMerge": [str(secret)]},
        {"configMapGenerator": [{"name": "x", "files": [f"y={secret}"]}]},
        {"helmCharts": [{"name": "x", "repo": "https://charts.invalid"}]},
        {
            "transformers": [
                "apiVersion: x/v1\nkind: Shell\nmetadata: {name: x, annotations: "
                "{config.kubernetes.io/function: 'exec: {path: /bin/true}'}}"
            ]
        },
    ):
        with pytest.raises(KustomizeError) as caught:
            await kustomizer.build(files(**content))
        assert "hunter2" not in caught.value.message


def test_what_is_quoted_is_left_out_of_messages() -> None:
    quoting = "error: trouble configuring builtin PatchTransformer with config: `\npatch: 'p: hunter2'\n`: "
    assert in_short(quoting + 'unable to parse SM or JSON patch from [patch: "p: hunter2"]') == (
        "unable to parse SM or JSON patch"
    )
    assert "hunter2" not in in_short(quoting.removesuffix("\n`: "))  # cut off in the middle of the quotation
    assert in_short("# Warning: old\nerror: wrong node kind: expected MappingNode: node contents:\nhunter2") == (
        "wrong node kind: expected MappingNode"
    )
    assert in_short("panic: hunter2\n\ngoroutine 1 [running]:\n") == "kustomize crashed"
