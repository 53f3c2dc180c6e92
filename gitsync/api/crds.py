"""CustomResourceDefinitions, generated from the typed models. ``python -m gitsync.api.crds config/crds`` writes them.

All versions of a kind share one schema that takes the fields of all of them, so that no conversion is needed. Columns,
short names and the status that a new object begins with are Flux's.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

import gitsync
from gitsync.api.fields import ApiModel
from gitsync.api.generator import (
    ArtifactGenerator,
    ArtifactGeneratorSpec,
    ArtifactGeneratorStatus,
    ExternalArtifact,
    ExternalArtifactSpec,
    ExternalArtifactStatus,
)
from gitsync.api.helmrelease import HelmRelease, HelmReleaseSpec
from gitsync.api.identity import Manifest
from gitsync.api.kustomization import Kustomization, KustomizationSpec
from gitsync.api.notification import Alert, AlertSpec, Provider, ProviderSpec
from gitsync.api.receiver import Receiver, ReceiverSpec, ReceiverStatus
from gitsync.api.resource import Resource
from gitsync.api.sources import (
    Bucket,
    BucketSpec,
    GitRepository,
    GitRepositorySpec,
    HelmChart,
    HelmChartSpec,
    HelmRepository,
    HelmRepositorySpec,
    OCIRepository,
    OCIRepositorySpec,
)
from gitsync.api.status import (
    BucketStatus,
    GitRepositoryStatus,
    HelmChartStatus,
    HelmReleaseStatus,
    HelmRepositoryStatus,
    KustomizationStatus,
    OCIRepositoryStatus,
)

_HEADER = "# Generated from gitsync/api by `python -m gitsync.api.crds config/crds`. Do not edit.\n"

Column = dict[str, str]


def _column(name: str, path: str, kind: str = "string") -> Column:
    return {"name": name, "type": kind, "jsonPath": path}


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_READY = _column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_STATUS = _column("Status", '.status.conditions[?(@.type=="Ready")].message')
_URL = _column("URL", ".spec.url")


class _Kind(NamedTuple):
    resource: type[Resource]
    plural: str
    short: str
    spec: type[ApiModel]
    #: None for a kind that has none.
    status: type[ApiModel] | None
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        return self.resource.__name__

    @property
    def crd_name(self) -> str:
        return f"{self.plural}.{self.resource.group}"


_SOURCE_COLUMNS = (_URL, _AGE, _READY, _STATUS)
_CHART_COLUMNS = (
    _column("Chart", ".spec.chart"),
    _column("Version", ".spec.version"),
    _column("Source Kind", ".spec.sourceRef.kind"),
    _column("Source Name", ".spec.sourceRef.name"),
    _AGE,
    _READY,
    _STATUS,
)

_KINDS = (
    _Kind(HelmRelease, "helmreleases", "hr", HelmReleaseSpec, HelmReleaseStatus, (_AGE, _READY, _STATUS)),
    _Kind(HelmRepository, "helmrepositories", "helmrepo", HelmRepositorySpec, HelmRepositoryStatus, _SOURCE_COLUMNS),
    _Kind(GitRepository, "gitrepositories", "gitrepo", GitRepositorySpec, GitRepositoryStatus, _SOURCE_COLUMNS),
    _Kind(
        OCIRepository,
        "ocirepositories",
        "ocirepo",
        OCIRepositorySpec,
        OCIRepositoryStatus,
        (_URL, _READY, _STATUS, _AGE),
    ),
    _Kind(
        Kustomization,
        "kustomizations",
        "ks",
        KustomizationSpec,
        KustomizationStatus,
        (_AGE, _READY, _STATUS),
    ),
    _Kind(
        Bucket,
        "buckets",
        "",
        BucketSpec,
        BucketStatus,
        (_column("Endpoint", ".spec.endpoint"), _AGE, _READY, _STATUS),
    ),
    _Kind(HelmChart, "helmcharts", "hc", HelmChartSpec, HelmChartStatus, _CHART_COLUMNS),
    _Kind(
        ArtifactGenerator,
        "artifactgenerators",
        "ag",
        ArtifactGeneratorSpec,
        ArtifactGeneratorStatus,
        (_AGE, _READY, _STATUS),
    ),
    _Kind(
        ExternalArtifact,
        "externalartifacts",
        "ea",
        ExternalArtifactSpec,
        ExternalArtifactStatus,
        (_AGE, _READY, _STATUS, _column("Source", ".spec.sourceRef.name")),
    ),
    _Kind(Provider, "providers", "", ProviderSpec, None, (_AGE,)),
    _Kind(Alert, "alerts", "", AlertSpec, None, (_AGE,)),
    _Kind(Receiver, "receivers", "", ReceiverSpec, ReceiverStatus, (_AGE, _READY, _STATUS)),
)


#: Labels of the CustomResourceDefinitions; the version tells those of another gitsync from ours.
LABELS = {"app.kubernetes.io/part-of": "gitsync", "app.kubernetes.io/version": gitsync.__version__}


def crds() -> list[Manifest]:
    """The CustomResourceDefinitions of our own kinds, ready to apply."""
    return [_crd(kind) for kind in _KINDS]


def crd_names() -> list[str]:
    """Their names, such as ``helmreleases.helm.toolkit.fluxcd.io``: without the work of making them."""
    return [kind.crd_name for kind in _KINDS]


def kinds() -> list[tuple[str, str]]:
    """Group and kind of each of them."""
    return [(kind.resource.group, kind.name) for kind in _KINDS]


def _crd(kind: _Kind) -> Manifest:
    group = kind.resource.group
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "labels": dict(LABELS)},
        "spec": {
            "group": group,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                **({"shortNames": [kind.short]} if kind.short else {}),
            },
            "scope": "Namespaced",
            "versions": [_version(kind, version) for version in kind.resource.versions],
        },
    }


def _version(kind: _Kind, version: str) -> dict[str, Any]:
    newest = kind.resource.versions[0]
    entry: dict[str, Any] = {"name": version, "served": True, "storage": version == newest}
    if version != newest:
        entry["deprecated"] = True
        entry["deprecationWarning"] = f"{version} {kind.name} is deprecated, upgrade to {newest}"
    entry["additionalPrinterColumns"] = [dict(column) for column in kind.columns]
    entry["schema"] = {"openAPIV3Schema": _schema(kind)}
    if kind.status is not None:
        entry["subresources"] = {"status": {}}
    return entry


def _schema(kind: _Kind) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "description": (kind.resource.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(kind.spec),
        },
    }
    if kind.status is not None:
        # Until somebody has dealt with it, an object is visibly unobserved (kstatus calls it in progress).
        schema["properties"]["status"] = {**structural(kind.status), "default": {"observedGeneration": -1}}
    return schema


def structural(model: type[ApiModel]) -> dict[str, Any]:
    """A model's JSON schema as Kubernetes wants it: references resolved, no titles, no null, no defaults.

    Defaults stay ours: what the API server filled in would differ from what Git says.
    """
    schema = model.model_json_schema()
    found: dict[str, Any] = _resolved(schema, schema.get("$defs", {}))
    return found


def _resolved(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _flat(node, definitions)
    kept = {name: value for name, value in node.items() if name not in ("title", "default", "$defs")}
    if "properties" in kept:
        kept["properties"] = {name: _resolved(field, definitions) for name, field in kept["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _resolved(kept[name], definitions)
    if kept.get("additionalProperties") is True:
        del kept["additionalProperties"]
        kept["x-kubernetes-preserve-unknown-fields"] = True
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    return kept


def _flat(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A node without $ref and without the alternative of null; its own description wins over the definition's."""
    if "anyOf" in node:
        (choice,) = (choice for choice in node["anyOf"] if choice != {"type": "null"})
        node = {**_flat(choice, definitions), **{name: value for name, value in node.items() if name != "anyOf"}}
    if "$ref" in node:
        definition = definitions[node["$ref"].rpartition("/")[2]]
        node = {**definition, **{name: value for name, value in node.items() if name != "$ref"}}
    return node


def write(directory: Path) -> list[Path]:
    """Writes one file a kind, named as Flux names them. Returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for crd in crds():
        path = directory / f"{crd['spec']['group']}_{crd['spec']['names']['plural']}.yaml"
        path.write_text(rendered(crd), encoding="utf-8")
        written.append(path)
    return written


def rendered(crd: Manifest) -> str:
    """The text of a CRD's file."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    text = io.StringIO()
    yaml.dump(crd, text)
    return _HEADER + text.getvalue()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
