"""Charts as trees, which artifacts are made of, and trees that are charts."""

from __future__ import annotations

import pytest
import yaml

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import EXTERNAL_ARTIFACT
from gitsync.errors import ArtifactError, ChartError
from gitsync.sources.charts.charttree import ChartTrees
from gitsync.sources.charts.treefiles import chart_folder
from gitsync.sources.generator.circles import check_circle, is_circular
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.tree import Entries, FileList, TreeEntry
from tests.sources.world import World, chart, config_map, release


async def files(world: World, release: HelmRelease) -> tuple[str, dict[str, str]]:
    """The revision of a chart as a tree, and its files by path."""
    assert world.locator is not None
    found = await world.locator.locate(release)
    artifact = await ChartTrees(world.fetched.unpacker, world.fetched.trees).of(found, "default")
    entries = list(await artifact.tree.entries())
    blobs = await artifact.tree.read([entry.blob_id for entry in entries])
    assert [len(blobs[entry.blob_id]) for entry in entries] == [entry.size for entry in entries]
    return artifact.revision, {entry.path: blobs[entry.blob_id].decode(errors="replace") for entry in entries}


async def test_a_chart_is_a_folder_of_its_name_with_what_stands_in_it_instead(world: World) -> None:
    artifact = await world.commit(
        {
            "charts/app/Chart.yaml": chart(
                "app", more="dependencies: [{name: lib, version: 1.x, repository: file://../lib}]"
            ),
            "charts/app/values.yaml": "text: own\n",
            "charts/app/templates/a.yaml": config_map("a"),
            "charts/lib/Chart.yaml": chart("lib"),
            "prod.yaml": "text: prod\n",
        }
    )
    revision, found = await files(world, release("charts/app"))
    assert revision == "1.0.0"
    names = {"Chart.yaml", "charts/lib-1.0.0.tgz", "templates/a.yaml", "values.yaml"}
    assert found.keys() == {f"app/{name}" for name in names}

    revision, found = await files(world, release("charts/app", reconcileStrategy="Revision", valuesFiles=["prod.yaml"]))
    assert revision == f"1.0.0+{artifact.commit.id[:12]}"
    metadata = yaml.safe_load(found["app/Chart.yaml"])
    assert (metadata["name"], metadata["version"]) == ("app", revision)
    assert metadata["dependencies"][0]["name"] == "lib"
    assert yaml.safe_load(found["app/values.yaml"]) == {"text": "prod"}
    assert "app/templates/a.yaml" in found


async def test_an_artifact_is_the_chart_in_it_and_its_revision_is_in_the_version(world: World) -> None:
    artifact = await world.commit(
        {"it/app/Chart.yaml": chart("app", "1.2.0"), "it/app/templates/a.yaml": config_map("a")}
    )
    assert world.locator is not None
    entries = [entry._replace(path=entry.path.removeprefix("it/")) for entry in await artifact.tree.entries()]
    revision = "latest@sha256:" + "ab" * 32

    async def made(source: ObjectKey) -> TreeArtifact:
        tree = type(artifact.tree)(revision, entries, artifact.tree.reader)
        return TreeArtifact(revision, CommitInfo("ab" * 32), "", tree)

    world.locator.made = made
    spec = {"interval": "5m", "chartRef": {"kind": "ExternalArtifact", "name": "app"}}
    manifest = release("charts/app").manifest
    named = HelmRelease.parse({**manifest, "spec": spec})
    found = await world.locator.locate(named)
    assert (found.name, found.version) == ("app", "1.2.0+abababababab")
    assert found.digest.partition("+")[0] == revision
    assert (await found.load()).version == found.version
    revision = f"1.2.0@sha256:{'ab' * 32}"  # of an OCIRepository, by `revision`
    tagged = await world.locator.locate(named)
    assert (tagged.version, tagged.digest.partition("+")[0]) == (found.version, f"sha256:{'ab' * 32}")
    revision = "1.2.0"  # of a HelmChart, by `revision`
    plain = await world.locator.locate(named)
    assert (plain.version, plain.digest == found.digest) == ("1.2.0", False)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["Chart.yaml", "templates/a.yaml"], ""),
        (["app/Chart.yaml", "app/values.yaml"], "app"),
        (["app/Chart.yaml", "README.md"], "holds no chart, but 'README.md', 'app'"),
        (["app/Chart.yaml", "lib/Chart.yaml"], "holds no chart, but 'app', 'lib'"),
        (["app/inner/Chart.yaml"], "holds no chart, but 'app'"),
        (["app-1.0.0.tgz"], "strategy Extract"),
        ([], "holds no chart, but nothing"),
    ],
)
def test_a_chart_is_the_one_folder_that_an_artifact_holds(paths: list[str], expected: str) -> None:
    entries = Entries(FileList.of(TreeEntry(path, "0" * 64, 1) for path in paths))
    if expected in ("", "app"):
        assert chart_folder(entries, "it") == expected
        return
    with pytest.raises(ChartError) as caught:
        chart_folder(entries, "it")
    assert expected in f"{caught.value.message} {caught.value.hint}"


def generator(name: str, *sources: str) -> ArtifactGenerator:
    """One that makes the artifact NAME of others."""
    copied = [{"alias": f"s{number}", "kind": EXTERNAL_ARTIFACT, "name": it} for number, it in enumerate(sources)]
    copy = [{"from": "@s0/", "to": "@artifact/"}]
    return ArtifactGenerator.parse(
        {
            "apiVersion": "source.extensions.fluxcd.io/v1beta1",
            "kind": "ArtifactGenerator",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"sources": copied, "artifacts": [{"name": name, "copy": copy}]},
        }
    )


@pytest.mark.parametrize(
    ("sources", "circular"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["elsewhere"]}, {}),
        ({"a": ["a"]}, {"a": "default/a -> default/a"}),
        ({"a": ["b"], "b": ["a"], "c": ["a"]}, {"a": "default/a -> default/b -> default/a", "b": "default/b -> "}),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["x"]}, {}),
    ],
)
def test_who_wants_what_he_makes_is_found(sources: dict[str, list[str]], circular: dict[str, str]) -> None:
    """Not so who wants something of those who do: they are told, and he waits for them."""
    generators = {name: generator(name, *of) for name, of in sources.items()}

    def makers(key: ObjectKey) -> list[ArtifactGenerator]:
        return [generators[key.name]] if key.name in generators else []

    for name, it in generators.items():
        assert is_circular(it, makers) == (name in circular)
        if name in circular:
            with pytest.raises(ArtifactError, match=f"circle: {circular[name]}"):
                check_circle(it, makers)
