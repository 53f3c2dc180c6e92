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


CHART = member("c/Chart.yaml", b"apiVersion: v2\nname: c\nversion: 1.0.0\n")
REAL = member("c/templates/real.yaml", b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: real}\n")
ODD = "c/templates/odd.yaml"
TEXT = b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: odd}\n"


@pytest.fixture
def helm(tmp_path: Path) -> Cli:
    return Cli(binaries.ensure(binaries.HELM), tmp_path / "no-kubeconfig")


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        (tarfile.SYMTYPE, "real.yaml", "a symbolic link"),
        (tarfile.SYMTYPE, "/etc/passwd", "a symbolic link"),
        (tarfile.LNKTYPE, "c/templates/real.yaml", "a hard link"),
        (tarfile.CHRTYPE, "", "a device"),
        (tarfile.BLKTYPE, "", "a device"),
        (tarfile.FIFOTYPE, "", "a named pipe"),
    ],
    ids=["symbolic link", "symbolic link out", "hard link", "character device", "block device", "pipe"],
)
def test_what_helm_takes_for_an_empty_file_without_a_word_is_refused_by_name(
    kind: bytes, target: str, words: str, helm: Cli, tmp_path: Path
) -> None:
    data = tar_of(CHART, REAL, member(ODD, b"", kind, target))
    (tmp_path / "c.tgz").write_bytes(data)
    assert helm("template", "demo", tmp_path / "c.tgz").count("kind:") == 1, "helm has one, without a word"

    with pytest.raises(ChartError) as caught:
        archive.read(data)
    assert caught.value.message == f"chart archive has {words} at '{ODD}', of which Helm makes an empty file"
    inside = [ArchiveFile("charts/inner-1.tgz", data)]
    with pytest.raises(ChartError, match=f"charts/inner-1.tgz: chart archive has {words}"):
        archive.unnested(inside)


@pytest.mark.parametrize("name", ["/templates/odd.yaml", "../templates/odd.yaml", "//templates/odd.yaml"])
def test_what_stands_nowhere_in_the_chart_and_helm_takes_for_a_part_of_it_is_refused(
    name: str, helm: Cli, tmp_path: Path
) -> None:
    data = tar_of(CHART, REAL, member(name, TEXT))
    (tmp_path / "c.tgz").write_bytes(data)
    if not name.startswith("//"):
        assert "name: odd" in helm("template", "demo", tmp_path / "c.tgz"), "helm has it, without a word"

    with pytest.raises(ChartError, match=f"outside the chart's directory: '{name}'"):
        archive.read(data)


@pytest.mark.parametrize("name", ["c/../../etc/passwd", "c//etc/passwd", "c/..", "Chart.yaml", "top", "c/C:/x"])
def test_names_that_leave_the_chart_are_refused_as_helm_refuses_them(name: str, helm: Cli, tmp_path: Path) -> None:
    data = tar_of(CHART, member(name))
    with pytest.raises(ChartError, match="outside the chart"):
        archive.read(data)
    (tmp_path / "c.tgz").write_bytes(data)
    with pytest.raises(CommandError):
        helm("template", "demo", tmp_path / "c.tgz")


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
    with pytest.raises(ChartError, match="more than 50 files and directories"):
        archive.read(tar_of(*(member(f"c/{n}", b"") for n in range(51))))


def test_a_crowd_of_entries_is_said_to_be_one() -> None:
    crowd = gzip.compress(member("c/x", b"")[0].tobuf() * 200_000, 1)
    with pytest.raises(ChartError, match="more than 20,000 files and directories"):
        archive.read(crowd)


def test_headers_that_lead_to_headers_without_end_are_refused() -> None:
    with pytest.raises(ChartError, match="cannot be read"):
        archive.read(gzip.compress(header_of_headers(5000)))


def header_of_headers(times: int) -> bytes:
    """Each says that the next one has a long name."""
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    return (info.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(tarfile.BLOCKSIZE, b"\0")) * times


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
def test_helmignore_leaves_out_what_helm_package_leaves_out(rules: str, helm: Cli, tmp_path: Path) -> None:
    files = chart_files() | dict.fromkeys(PATHS.split(), b"a: 1\n") | {".helmignore": rules.encode()}
    folder = tmp_path / "app"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    ours = {file.name for file in archive.read(archive_from_files(files))}

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


@pytest.mark.timeout(5)
def test_a_hostile_pattern_is_matched_quickly() -> None:
    pattern = "*a" * 30 + "b"
    archive_from_files(chart_files() | {".helmignore": pattern.encode(), "a" * 200: b""})
