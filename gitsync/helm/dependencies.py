"""The dependencies of a chart's folder: which are declared, pinned by a lock file, missing from ``charts/``. Blocks.

``helm dependency build`` and Flux's source-controller fetch what is missing and put it into ``charts/`` as an archive;
helm's own install refuses a chart of which something is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gitsync import semver
from gitsync.errors import ChartError, ValuesError
from gitsync.helm import archive
from gitsync.helm.values import read_values

#: Dependencies that one chart may declare; Helm has no bound.
MAX_DECLARED = 100
_MARK = b"dependencies"
_SPEAKING = frozenset({"Chart.yaml", "requirements.yaml", "Chart.lock", "requirements.lock"})


@dataclass(frozen=True, slots=True)
class Dependency:
    """A chart that another one needs: ``version`` is a range, or what the lock file pins; ``repository`` a URL, or
    ``file://`` and a path from the chart's folder, "" where it has to be in ``charts/``."""

    name: str
    version: str
    repository: str


@dataclass(frozen=True, slots=True)
class ChartHead:
    """What a chart's folder says of itself. ``missing`` are the dependencies that are not in its ``charts/``."""

    name: str
    version: str
    missing: tuple[Dependency, ...] = ()


def declares_dependencies(files: Mapping[str, bytes]) -> bool:
    """Whether a chart may have dependencies, by Chart.yaml and, if there is one, requirements.yaml."""
    return any(_MARK in files.get(name, b"") for name in ("Chart.yaml", "requirements.yaml"))


def speaks(path: str) -> bool:
    """Whether this is one of those files of a chart's folder that ``head_of`` looks at."""
    return path in _SPEAKING or path.startswith("charts/")


def head_of(files: Mapping[str, bytes]) -> ChartHead:
    """What the files of a chart's folder, by their paths in it, say of the chart.

    Raises: ChartError for files that cannot be read, and for a lock file that is out of sync with what is declared.
    """
    chart = _mapping(files, "Chart.yaml")
    name, version = str(chart.get("name") or ""), str(chart.get("version") or "")
    declared = _dependencies(chart, "Chart.yaml")
    if "requirements.yaml" in files:
        declared = _dependencies(_mapping(files, "requirements.yaml"), "requirements.yaml") or declared
    if not declared:
        return ChartHead(name, version)
    present = list(_present(files))
    missing = [item for item in declared if not any(_satisfies(item, *found) for found in present)]
    lock = next((file for file in ("Chart.lock", "requirements.lock") if file in files), None)
    if lock is not None:
        pinned = _dependencies(_mapping(files, lock), lock)
        missing = [_pinned(item, pinned, lock) for item in missing]
    return ChartHead(name, version, tuple(dict.fromkeys(missing)))


def head_of_archive(data: bytes, chart: str) -> ChartHead:
    """Name and version of a packaged chart; ``chart`` is for messages. Raises: ChartError."""
    files = {file.name: file.data for file in archive.read(data, chart) if file.name == "Chart.yaml"}
    found = _mapping(files, "Chart.yaml")
    return ChartHead(str(found.get("name") or ""), str(found.get("version") or ""))


def _present(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Name and version of the charts in ``charts/``, of those that Helm looks at."""
    for path, data in files.items():
        parts = path.split("/")
        if parts[0] != "charts" or len(parts) < 2 or parts[1].startswith(("_", ".")):
            continue
        if len(parts) == 3 and parts[2] == "Chart.yaml":
            found = _mapping(files, path)
            yield str(found.get("name") or ""), str(found.get("version") or "")
        elif len(parts) == 2 and path.endswith(".tgz"):
            try:
                head = head_of_archive(data, path)
            except ChartError as error:
                raise ChartError(f"{path}: {error.message}", chart=path, hint=error.hint) from error
            yield head.name, head.version


def _satisfies(wanted: Dependency, name: str, version: str) -> bool:
    return name == wanted.name and (not wanted.version or semver.compatible(wanted.version, version))


def _pinned(wanted: Dependency, pinned: list[Dependency], lock: str) -> Dependency:
    for item in pinned:
        same = _comparable(item.repository) == _comparable(wanted.repository)
        if same and _satisfies(wanted, item.name, item.version):
            return replace(wanted, version=item.version)
    raise ChartError(
        f"{lock} is out of sync: it pins no version of {wanted.name} {wanted.version} from its repository",
        hint="run `helm dependency update` and commit the lock file",
    )


def _dependencies(document: Mapping[str, Any], file: str) -> list[Dependency]:
    listed = document.get("dependencies") or []
    if not isinstance(listed, list) or not all(isinstance(item, dict) and item.get("name") for item in listed):
        raise ChartError(f"{file}: dependencies is no list of charts with names")
    if len(listed) > MAX_DECLARED:
        raise ChartError(f"{file} declares more than {MAX_DECLARED} dependencies")
    return [Dependency(*(str(item.get(key) or "") for key in ("name", "version", "repository"))) for item in listed]


def _mapping(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    if name not in files:
        raise ChartError(f"no chart here: {name} is missing", hint="`chart` must name the folder that holds Chart.yaml")
    try:
        return read_values(files[name].decode())
    except (UnicodeDecodeError, ValuesError):
        raise ChartError(f"{name} holds no YAML mapping") from None


def _comparable(url: str) -> str:
    return url.rstrip("/")
