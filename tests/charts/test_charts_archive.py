from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from gitsync.charts.source import archive_from_files
from gitsync.errors import ChartError
from gitsync.helm import archive
from gitsync.helm.archive import ArchiveFile
from tests.charts.build import chart_files
from tests.controlplane import binaries
from tests.controlplane.cluster import Cli
from tests.controlplane.errors import CommandError


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def member(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info, data


def test_equal_files_give_equal_archives_and_come_back_as_they_were() -> None:
    files = [ArchiveFile("a.bin", bytes(range(256))), ArchiveFile("charts/x/ü.txt", "é".encode())]

    assert archive.build(files) == archive.build(list(files))
    assert archive.read(archive.build(files)) == files


def test_the_header_time_is_kept_for_helms_record() -> None:
    info, data = member("c/Chart.yaml")
    info.mtime = 1_700_000_000

    assert archive.read(tar_of((info, data)))[0].modified == "2023-11-14T22:13:20Z"


def test_a_byte_order_mark_is_dropped_as_helm_drops_it() -> None:
    assert archive.read(tar_of(member("c/values.yaml", b"\xef\xbb\xbfa: 1")))[0].data == b"a: 1"


def test_backslashes_of_windows_archives_are_slashes() -> None:
    assert archive.read(tar_of(member("c\\templates\\a.yaml")))[0].name == "templates/a.yaml"


def test_a_link_is_an_empty_file_and_is_not_followed() -> None:
    links = [member("c/a", b"", tarfile.SYMTYPE, "/etc/passwd"), member("c/b", b"", tarfile.LNKTYPE, "c/a")]

    assert [(file.name, file.data) for file in archive.read(tar_of(*links))] == [("a", b""), ("b", b"")]


@pytest.mark.parametrize("name", ["c/../../etc/passwd", "c//etc/passwd", "c/..", "Chart.yaml", "top", "c/C:/x"])
def test_names_that_leave_the_chart_are_refused(name: str) -> None:
    with pytest.raises(ChartError, match="outside the chart"):
        archive.read(tar_of(member(name)))


@pytest.mark.parametrize(
    "data",
    [b"", b"not an archive", gzip.compress(b"not a tar"), tar_of(member("c/a", b"x" * 2000))[:-30], tar_of()],
    ids=["nothing", "text", "no tar", "cut short", "no files"],
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(ChartError):
        archive.read(data)


def test_a_file_over_helms_bound_is_refused() -> None:
    with pytest.raises(ChartError, match="larger than 5 MiB"):
        archive.read(tar_of(member("c/big", bytes(5 * 2**20 + 1))))


def test_an_archive_that_unpacks_to_more_than_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert archive.MAX_UNPACKED == 100 * 2**20  # Helm's
    monkeypatch.setattr(archive, "MAX_UNPACKED", 2 * 2**20)
    bomb = tar_of(*(member(f"c/{n}", bytes(2**20)) for n in range(3)))

    assert len(bomb) < 20_000
    with pytest.raises(ChartError, match="larger than 2 MiB"):
        archive.read(bomb)


def test_a_member_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 2 * 2**20)
    monkeypatch.setattr(archive, "MAX_FILES", 10)
    for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, b"x", b"L"):
        info = tarfile.TarInfo("c/huge")
        info.type, info.size = kind, 2**40
        with pytest.raises(ChartError):
            archive.read(gzip.compress(info.tobuf() + bytes(8 * 2**20), 1))


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 50)
    with pytest.raises(ChartError, match="more than 50 files"):
        archive.read(tar_of(*(member(f"c/{n}", b"") for n in range(51))))


def test_archives_in_charts_are_unpacked_beside_it() -> None:
    leaf = archive.build([ArchiveFile("Chart.yaml", b"leaf")], "leaf")
    inner = archive.build([ArchiveFile("Chart.yaml", b"inner"), ArchiveFile("charts/leaf-1.tgz", leaf)], "inner")
    outer = [ArchiveFile("charts/inner-2.tgz", inner), ArchiveFile("files/kept.tgz", b"no chart")]

    found = {file.name: file.data for file in archive.unnested(outer)}

    assert found == {
        "charts/inner-2/Chart.yaml": b"inner",
        "charts/inner-2/charts/leaf-1/Chart.yaml": b"leaf",
        "files/kept.tgz": b"no chart",
    }


IGNORED = """\
# comment
*.bak
/top.txt
sub/only.txt
build/
?.md
[a-c].log
[^x].ini
\\*literal
nested/*/deep.txt
.git
"""
PATHS = """\
a.bak sub/a.bak top.txt sub/top.txt sub/only.txt other/sub/only.txt build/x build/y/z file-build x.md xy.md
b.log d.log a.ini x.ini *literal xliteral nested/a/deep.txt nested/a/b/deep.txt .git/config
templates/.hidden templates/a.yaml templates/sub/.hidden .helmignore README values.yaml
"""


@pytest.mark.parametrize("rules", [IGNORED, "", "!*.md\n", "*/\n", "templates\n"])
def test_helmignore_leaves_out_what_helm_package_leaves_out(rules: str, tmp_path: Path) -> None:
    files = chart_files() | dict.fromkeys(PATHS.split(), b"a: 1\n") | {".helmignore": rules.encode()}
    folder = tmp_path / "app"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    ours = {file.name for file in archive.read(archive_from_files(files))}
    helm = Cli(binaries.ensure(binaries.HELM), tmp_path / "no-kubeconfig")

    if "Chart.yaml" in ours:
        helm("package", folder, "--destination", tmp_path)
        assert ours == {file.name for file in archive.read((tmp_path / "app-1.0.0.tgz").read_bytes())}
    else:
        with pytest.raises(CommandError, match=r"Chart\.yaml file is missing"):
            helm("package", folder, "--destination", tmp_path)


@pytest.mark.parametrize("rules", ["a**b\n", "[a\n", "a\\\n", "[]\n"])
def test_bad_patterns_are_refused_as_helm_refuses_them(rules: str) -> None:
    with pytest.raises(ChartError, match="helmignore"):
        archive_from_files(chart_files() | {".helmignore": rules.encode()})


@pytest.mark.timeout(60)
def test_a_hostile_pattern_is_matched_quickly() -> None:
    pattern = "*a" * 30 + "b"
    archive_from_files(chart_files() | {".helmignore": pattern.encode(), "a" * 200: b""})
