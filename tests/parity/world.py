"""The two sides of a comparison: a namespace where gitsync installs, one where helm does, and charts for both."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitsync.charts.serve import files_below
from gitsync.charts.source import archive_from_files
from tests.charts.cases import DATA, SAMPLES
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError
from tests.parity import live
from tests.parity.serving import Serving
from tests.until import ask_until

HELM_RELEASES = "/apis/helm.toolkit.fluxcd.io/v2"
#: Seconds after which a HelmRelease that has not come to where a test wants it is given up.
PATIENCE = 120.0
Status = dict[str, Any]
_numbers = itertools.count(1)


def changed_chart(folder: Path, changes: Mapping[str, tuple[str, str]]) -> bytes:
    """The archive of a chart in which, by file, one text was replaced by another."""
    files = files_below(folder)
    for name, (old, new) in changes.items():
        assert old.encode() in files[name], f"{folder}/{name} does not hold {old!r}"
        files[name] = files[name].replace(old.encode(), new.encode())
    return archive_from_files(files)


#: Charts that differ from those on disk in one thing, at a higher version: name-version -> archive.
VARIANTS = {
    # nothing but the version, which no template shows
    "keep-1.0.1": changed_chart(DATA / "keep", {"Chart.yaml": ("version: 1.0.0", "version: 1.0.1")}),
    "hooks-1.0.1": changed_chart(DATA / "hooks", {"Chart.yaml": ("version: 1.0.0", "version: 1.0.1")}),
    # nothing but the version, which is the same to Helm, and a hook
    "weights-hook": changed_chart(
        DATA / "weights",
        {
            "Chart.yaml": ("version: 1.0.0", "version: 1.0.0+hook"),
            "templates/hooks.yaml": ("backoffLimit: 0", "backoffLimit: 1"),
        },
    ),
    # a CRD that has one more field
    "crds-1.0.1": changed_chart(
        DATA / "crds",
        {
            "Chart.yaml": ("version: 1.0.0", "version: 1.0.1"),
            "crds/widgets.yaml": (
                "size: {type: integer}",
                "size: {type: integer}\n                colour: {type: string}",
            ),
        },
    ),
}


_FOLDERS = [item for item in (*sorted(DATA.iterdir()), SAMPLES / "redis", SAMPLES / "podinfo") if item.is_dir()]
#: The versions of the charts on disk.
VERSIONS = {
    folder.name: found.group(1)
    for folder in _FOLDERS
    if (found := re.search(r"^version: (\S+)$", (folder / "Chart.yaml").read_text(), re.MULTILINE))
}


def archives() -> dict[str, bytes]:
    """Every chart by folder name (``NAME-VERSION`` for a variant)."""
    return {folder.name: archive_from_files(files_below(folder)) for folder in _FOLDERS} | VARIANTS


@dataclass
class World:
    """Drives both sides. ``ours`` is gitsync's namespace, ``theirs`` helm's; ``charts`` are archives by name."""

    cluster: Cluster
    helm: Cli
    serving: Serving
    ours: str
    theirs: str
    charts: Mapping[str, Path]
    scratch: Path
    name: str = "demo"
    _made: list[str] = field(default_factory=list)

    def deploy(
        self, chart: str, values: Mapping[str, Any] | None = None, *, version: str = "", **spec: Any
    ) -> dict[str, Any]:
        """Create or change the HelmRelease; the chart's version defaults to the one on disk, not that of a variant."""
        source = {"kind": "HelmRepository", "name": "charts", "namespace": self.ours}
        wanted = {"chart": chart, "version": version or VERSIONS[chart]}
        body = {"interval": "1h", "timeout": "30s", "chart": {"spec": {**wanted, "sourceRef": source}}, **spec}
        if values is not None:
            body["values"] = values
        try:
            existing = self.helm_release()
        except ApiError:
            return self.cluster.request("POST", self._place(), self._manifest(body))
        existing["spec"] = body
        return self._put(existing)

    def patch_spec(self, **spec: Any) -> None:
        """Change fields of the HelmRelease's spec."""
        existing = self.helm_release()
        existing["spec"] |= spec
        self._put(existing)

    def remove(self) -> Callable[[], None]:
        """Delete the HelmRelease. What comes back waits until it is gone."""
        self.cluster.request("DELETE", f"{self._place()}/{self.name}")
        return lambda: self.until(self._is_gone, "the HelmRelease is gone")

    def helm_release(self) -> dict[str, Any]:
        """The HelmRelease as it is."""
        return self.cluster.request("GET", f"{self._place()}/{self.name}")

    def ready(self) -> Status:
        """Wait until the HelmRelease is Ready at its generation."""
        return self.condition("Ready", "True")

    def condition(self, kind: str, status: str, containing: str = "") -> Status:
        """Wait until the HelmRelease says so about its present generation; its status."""
        seen: Status = {}

        def says() -> bool:
            manifest = self.helm_release()
            seen.clear()
            seen.update(manifest.get("status") or {})
            if seen.get("observedGeneration") != manifest["metadata"]["generation"]:
                return False
            found = [item for item in seen["conditions"] if item["type"] == kind]
            return bool(found) and found[0]["status"] == status and containing in found[0]["message"]

        self.until(says, f"{kind} is {status}", lambda: json.dumps(seen.get("conditions"), indent=1))
        return seen

    def until(self, condition: Callable[[], bool], what: str, state: Callable[[], str] = lambda: "") -> None:
        """Wait for anything."""
        try:
            ask_until(condition, bool, what, PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{state()}") from None

    def look(self) -> Status:
        """Have the HelmRelease reconciled, and wait until that is over. Returns its status."""
        asked = f"look {next(_numbers)}"
        existing = self.helm_release()
        existing["metadata"].setdefault("annotations", {})["reconcile.fluxcd.io/requestedAt"] = asked
        self._put(existing)
        release = ask_until(
            self.helm_release,
            lambda found: found["status"].get("lastHandledReconcileAt") == asked,
            "the HelmRelease has been looked at",
            PATIENCE,
        )
        status: Status = release["status"]
        return status

    def install(self, chart: str, values: Mapping[str, Any] | None = None, *flags: str, namespace: str = "") -> None:
        """``helm install``, waiting for everything as gitsync does."""
        self._helm("install", chart, values, namespace, *flags)

    def upgrade(self, chart: str, values: Mapping[str, Any] | None = None, *flags: str, namespace: str = "") -> None:
        """``helm upgrade``, likewise."""
        self._helm("upgrade", chart, values, namespace, *flags)

    def _helm(self, verb: str, chart: str, values: Mapping[str, Any] | None, namespace: str, *flags: str) -> None:
        file = self.scratch / f"values-{next(_numbers)}.json"
        # As YAML reads it: it takes no surrogates, and a line separator that is not escaped is a line's end to it.
        file.write_text(json.dumps(values or {}, ensure_ascii=False).replace("\u2028", "\\u2028"))
        wait = ("--wait", "--wait-for-jobs", "--timeout", "30s")
        place = ("--namespace", namespace or self.theirs)
        self.helm(verb, self.name, self.charts[chart], *place, "--values", file, *wait, *flags)

    def revisions(self, namespace: str = "") -> list[tuple[int, str]]:
        """Stored revisions with their statuses; gitsync's unless said otherwise."""
        return live.revisions(self.cluster, namespace or self.ours, self.name)

    def record(self, revision: int, namespace: str = "") -> dict[str, Any]:
        """A release record's body."""
        return live.record(self.cluster, namespace or self.ours, self.name, revision)

    def same_records(self, revision: int) -> None:
        """Both sides stored the same revision."""
        ours = live.stored(self.cluster, self.ours, self.name, revision)
        theirs = live.stored(self.cluster, self.theirs, self.name, revision)
        found = live.differences(ours, theirs)
        assert not found, "\n".join(found)

    def same_objects(self) -> None:
        """Both namespaces hold the same objects."""
        found = live.differences(live.objects(self.cluster, self.ours), live.objects(self.cluster, self.theirs))
        assert not found, "\n".join(found)

    def object(self, group: str, plural: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """An object of gitsync's namespace, None when it is not there."""
        try:
            return self.cluster.request("GET", f"{group}/namespaces/{namespace or self.ours}/{plural}/{name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _is_gone(self) -> bool:
        try:
            self.helm_release()
        except ApiError as error:
            return error.status == 404
        return False

    def _place(self) -> str:
        return f"{HELM_RELEASES}/namespaces/{self.ours}/helmreleases"

    def _manifest(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": self.name, "namespace": self.ours},
            "spec": spec,
        }

    def _put(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """gitsync writes the status and the finalizer meanwhile; spec and annotations are nobody's but ours."""
        for _ in range(20):
            try:
                return self.cluster.request("PUT", f"{self._place()}/{self.name}", manifest)
            except ApiError as error:
                if error.status != 409:
                    raise
                now = self.helm_release()
                metadata = {**now["metadata"], "annotations": manifest["metadata"].get("annotations", {})}
                manifest = {**now, "metadata": metadata, "spec": manifest["spec"]}
        raise AssertionError("the HelmRelease changes all the time")
