"""Charts in Git with symbolic links: what helm makes of a checkout, without one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from gitsync.errors import ChartError, ChartNotFound
from tests.sources.world import World, chart, config_map, documents, templated

APP = {
    "charts/app/Chart.yaml": chart("app"),
    "charts/app/values.yaml": "a: chart\n",
    "charts/app/templates/own.yaml": config_map("own", "'{{ .Values.a }}'"),
    "charts/common/Chart.yaml": chart("common"),
    "charts/common/templates/cm.yaml": config_map("from-common"),
    "shared/shared.yaml": config_map("shared"),
    "shared/more/_helper.tpl": '{{ define "more" }}more{{ end }}',
    "shared/more/more.yaml": config_map("more", '{{ include "more" . }}'),
    "shared/values.yaml": "a: linked\n",
}


@pytest.fixture
async def linked(world: World) -> World:
    """A chart with links to a file, to a folder of files, to a chart beside it; itself behind two links."""
    world.link("charts/app/templates/shared.yaml", "../../../shared/shared.yaml")
    world.link("charts/app/templates/more", "../../../shared/more")
    world.link("charts/app/charts/common", "../../common")
    world.link("env/prod.yaml", "../shared/values.yaml")
    world.link("linked/chart", "../charts/app")
    world.link("other", "linked")
    await world.commit(APP)
    return world


@pytest.mark.parametrize("path", ["charts/app", "linked/chart", "other/chart"])
async def test_links_are_followed_to_files_folders_and_charts_as_on_a_checkout(
    linked: World, helm: Path, path: str
) -> None:
    rendered = await linked.render(path)
    assert {item["metadata"]["name"] for item in rendered.objects} == {"own", "shared", "more", "from-common"}
    assert documents(rendered.manifest) == templated(helm, linked.origin.path / path)


async def test_a_values_file_may_be_a_link(linked: World, helm: Path) -> None:
    rendered = await linked.render("charts/app", valuesFiles=["env/prod.yaml"])
    values = str(linked.origin.path / "env/prod.yaml")
    assert documents(rendered.manifest) == templated(helm, linked.origin.path / "charts/app", "--values", values)
    assert "text: 'linked'" in rendered.manifest


async def test_a_change_of_what_a_link_leads_to_is_another_chart_and_a_change_elsewhere_is_not(linked: World) -> None:
    before = await linked.digest("charts/app"), await linked.digest("charts/common")
    await linked.commit({"notes.md": "1"})
    assert (await linked.digest("charts/app"), await linked.digest("charts/common")) == before
    await linked.commit({"shared/more/more.yaml": config_map("more", "changed")})
    assert await linked.digest("charts/app") != before[0]
    assert await linked.digest("charts/common") == before[1]
    assert "changed" in (await linked.render("charts/app")).manifest


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../../../outside.yaml", "which leads out of the repository"),
        ("/etc/hostname", "which leads out of the repository"),
        ("nowhere.yaml", "which leads to nothing"),
        ("bad.yaml", "which leads in a circle"),
        ("..", "which leads in a circle"),
    ],
)
async def test_a_link_that_cannot_be_followed_is_an_error_of_that_chart_and_names_the_link(
    world: World, target: str, why: str
) -> None:
    world.link("charts/app/templates/bad.yaml", target)
    await world.commit(APP)
    with pytest.raises(ChartError) as caught:
        await world.render("charts/app")
    assert "charts/app/templates/bad.yaml is a symbolic link to" in caught.value.message
    assert why in caught.value.message
    assert [item["metadata"]["name"] for item in (await world.render("charts/common")).objects] == ["from-common"]


async def test_a_link_that_helmignore_leaves_out_is_nobodys_business(world: World) -> None:
    world.link("charts/app/bad.yaml", "/etc/hostname")
    await world.commit({**APP, "charts/app/.helmignore": "bad.yaml\n"})
    assert [item["metadata"]["name"] for item in (await world.render("charts/app")).objects] == ["own"]


async def test_a_chart_path_that_is_a_link_to_nowhere_says_so(world: World) -> None:
    world.link("charts/gone", "../elsewhere")
    await world.commit(APP)
    with pytest.raises(ChartNotFound, match=r"there is no folder 'charts/gone' in commit .*leads to nothing") as gone:
        await world.render("charts/gone")
    assert "correct spec.chart.spec.chart" in gone.value.hint
    with pytest.raises(ChartNotFound, match=r"'shared/values.yaml' in commit .*is a file"):
        await world.render("shared/values.yaml")


async def test_a_values_file_that_is_a_link_to_nowhere_says_so(world: World) -> None:
    world.link("env/prod.yaml", "../../secret.yaml")
    await world.commit(APP)
    with pytest.raises(
        ChartError, match=r"values file 'env/prod.yaml' is a symbolic link to '../../secret\.yaml'"
    ) as found:
        await world.render("charts/app", valuesFiles=["env/prod.yaml"])
    assert "correct valuesFiles" in found.value.hint


@pytest.mark.parametrize("declared", ["", "dependencies: [{name: inner, version: 1.x, repository: ''}]\n"])
async def test_a_link_in_an_archive_among_the_dependencies_is_an_error_that_names_both(
    world: World, declared: str
) -> None:
    """In Git a link leads somewhere, in an archive Helm makes an empty file of it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        link = tarfile.TarInfo("inner/templates/cm.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "../Chart.yaml"
        text = chart("inner").encode()
        head = tarfile.TarInfo("inner/Chart.yaml")
        head.size = len(text)
        tar.addfile(head, io.BytesIO(text))
        tar.addfile(link)
    archive = packed.getvalue()
    files: dict[str, str | bytes | None] = {"app/Chart.yaml": chart("app", more=declared)}
    await world.commit({**files, "app/charts/inner-1.0.0.tgz": archive})
    words = "charts/inner-1.0.0.tgz: chart archive has a symbolic link at 'inner/templates/cm.yaml'"
    with pytest.raises(ChartError, match=words):
        await world.render("app")
