"""On which lines a release's values are written, as noted on it and read from it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gitsync.api.identity import CommitInfo, Manifest, Origin
from gitsync.manifests import DesiredObject, parse_file
from gitsync.release.values.lines import lines_of, lines_written
from gitsync.sync.owner import Owner, stamped

TEXT = """\
# a line
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: app, namespace: default}
spec:
  interval: 5m
  chartRef: {kind: OCIRepository, name: app}
  values:
    zone: a
    replicas: 2.0

    image:
      tag: "1.0"  # the last one
      pullSecrets:
        - first
        - name: second
    nothing: null
    empty: {}
"""
FILE = "fleet/an app.yaml"


def item(text: str = TEXT) -> DesiredObject:
    (found,) = parse_file(FILE, text.encode()).objects
    return found


def live(found: DesiredObject, **values: Any) -> Manifest:
    """As the API server gives it back."""
    noted = lines_written(found)
    owner = Owner("gitsync", "gitsync-system", "")
    manifest = stamped(found.manifest, owner, CommitInfo("a" * 40), found.origin, values_origin=noted)
    spec = {**manifest["spec"], "values": {**manifest["spec"]["values"], "replicas": 2, **values}}
    return {**manifest, "spec": spec}


def found_in(manifest: Manifest) -> dict[tuple[str | int, ...], int]:
    origins = lines_of(manifest)
    assert {origin.path for origin in origins.values()} <= {FILE}
    return {path: origin.line for path, origin in origins.items()}


def test_each_value_has_the_line_that_it_is_written_in() -> None:
    assert found_in(live(item())) == {
        ("zone",): 9,
        ("replicas",): 10,
        ("image", "tag"): 13,
        ("image", "pullSecrets", 0): 15,
        ("image", "pullSecrets", 1, "name"): 16,
        ("empty",): 18,
    }
    assert str(lines_of(live(item()))["zone",]) == f"{FILE}:9"


def test_a_document_further_down_has_the_lines_of_its_file() -> None:
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n---\n"
    below = next(it for it in parse_file(FILE, (other + TEXT).encode()).objects if it.model is not None)
    assert found_in(live(below))["zone",] == 13


def test_what_came_of_no_line_has_none_and_a_variable_that_was_put_there_has_one() -> None:
    found = item(TEXT.replace("zone: a", "zone: ${zone}"))
    values = {"zone": "eu", "replicas": 9, "added": 1}
    manifest = {**found.manifest, "spec": {**found.manifest["spec"], "values": values}}
    built = replace(found, manifest=manifest)
    assert found_in(live(built, replicas=9)) == {("zone",): 9}


def test_who_changes_values_by_hand_is_told_no_lines() -> None:
    assert found_in(live(item(), zone="b")) == {}


def test_notes_of_somebody_else_are_no_lines() -> None:
    manifest = live(item())
    name = "gitsync.dev/values-origin"
    digest = manifest["metadata"]["annotations"][name].split()[0]
    for noted in ("", "x", f"{digest} 1", f"{digest} one {FILE}", f"{digest} -9,1 {FILE}", f"{digest}  {FILE}"):
        manifest["metadata"]["annotations"][name] = noted
        assert all(isinstance(origin, Origin) and origin.line > 0 for origin in lines_of(manifest).values()), noted


def test_what_is_noted_stays_small() -> None:
    values = "".join(f"    name-{number:05}: {number}\n" for number in range(1500))
    found = item(TEXT.partition("    zone")[0] + values)
    noted = lines_written(found)
    assert len(noted) < 1500
    origins = lines_of({**found.manifest, "metadata": {"annotations": {"gitsync.dev/values-origin": noted}}})
    assert len(origins) == 500
    assert origins["name-00499",].line == 9 + 499
