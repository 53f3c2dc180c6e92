"""Charts in Git, and releases of them."""

from __future__ import annotations

from tests.e2e.manifests import CHARTS, release


def chart_files(folder: str = "charts/app") -> dict[str, str]:
    """The chart ``app`` as files of a repository."""
    chart = CHARTS / "app"
    files = [path for path in chart.rglob("*") if path.is_file()]
    return {f"{folder}/{path.relative_to(chart).as_posix()}": path.read_text() for path in files}


def in_git(namespace: str, name: str, *needs: str, path: str = "./charts/app", **more: object) -> str:
    """A HelmRelease whose chart is a folder of the synced repository."""
    lines = release(namespace, name, *needs, **more).splitlines(keepends=True)  # type: ignore[arg-type]
    kept = [line for line in lines if not line.startswith(("      chart:", "      version:", "      sourceRef:"))]
    at = kept.index("    spec:\n") + 1
    chart = f"      chart: {path}\n      sourceRef: {{kind: GitRepository, name: flux-system}}\n"
    return "".join([*kept[:at], chart, *kept[at:]])


def chart_yaml(name: str, more: str = "") -> str:
    return f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n{more}"
