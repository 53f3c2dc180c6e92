"""How objects come into a cluster before Git or a chart takes them over: by the real kubectl, as people use it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gitsync.api.identity import Manifest
from tests.controlplane.cluster import Cli, Cluster

#: By field manager: the method of ``Writing`` by which it writes.
Make = Callable[["Writing"], None]
#: The "editor" of ``kubectl edit``. Its arguments: the file with the full manifest, and the file that is edited.
_EDITOR = """
import json, sys

full, path = json.load(open(sys.argv[1])), sys.argv[2]
live = json.load(open(path))
for field in ("labels", "annotations"):
    live["metadata"].setdefault(field, {}).update(full["metadata"].get(field, {}))
json.dump({**live, **full, "metadata": live["metadata"]}, open(path, "w"))
"""


def config_map(name: str, namespace: str, *, full: bool) -> Manifest:
    """``full``: with a key, a label and an annotation that are dropped later."""
    labels = {"tier": "front"} | ({"old": "label"} if full else {})
    annotations = {"note": "kept"} | ({"gone": "soon"} if full else {})
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data(full=full)}


def deployment(name: str, namespace: str, *, full: bool, idle: bool = False) -> Manifest:
    """``full``: with a variable and a container that are dropped later. ``idle``: no pods."""
    env = [{"name": "MODE", "value": "a"}, *([{"name": "DEBUG", "value": "1"}] if full else [])]
    containers = [{"name": "web", "image": "registry.example/web:1", "env": env}]
    containers += [{"name": "extra", "image": "registry.example/extra:1"}] if full else []
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template} | ({"replicas": 0} if idle else {}),
    }


def secret(name: str, namespace: str, *, full: bool) -> Manifest:
    """``full``: with a key that is dropped later. Both are written as text, and kept as base64."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data(full=full)}


def data(*, full: bool) -> dict[str, str]:
    return {"keep": "1"} | ({"legacy": "unused"} if full else {})


KINDS = ("configmap", "deployment", "secret")


def objects(name: str, namespace: str, *, full: bool, idle: bool = False) -> list[Manifest]:
    return [
        config_map(name, namespace, full=full),
        deployment(name, namespace, full=full, idle=idle),
        secret(name, namespace, full=full),
    ]


@dataclass(frozen=True)
class Writing:
    """Writes the objects of a name with kubectl."""

    cluster: Cluster
    kubectl: Cli
    namespace: str
    name: str
    directory: Path
    idle: bool = False

    @property
    def full(self) -> Path:
        return self._file(full=True)

    @property
    def small(self) -> Path:
        return self._file(full=False)

    def _file(self, *, full: bool) -> Path:
        file = self.directory / f"{self.name}-{'full' if full else 'small'}.json"
        items = objects(self.name, self.namespace, full=full, idle=self.idle)
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        return file

    def __call__(self, *arguments: str | Path) -> None:
        self.kubectl("--namespace", self.namespace, *arguments)

    def edit(self) -> None:
        """``kubectl edit``, with an editor that writes each object's full manifest over it."""
        editor = self.directory / "editor.py"
        editor.write_text(_EDITOR)
        items = objects(self.name, self.namespace, full=True, idle=self.idle)
        for kind, item in zip(KINDS, items, strict=True):
            file = self.directory / f"{self.name}-{kind}.json"
            file.write_text(json.dumps(item))
            editing = replace(self.kubectl, environment={"KUBE_EDITOR": f"{sys.executable} {editor} {file}"})
            editing("--namespace", self.namespace, "edit", kind, self.name, "--output=json")

    def forget_writers(self) -> None:
        """Removes managedFields, as of objects that are older than these, or whose were cleared by hand."""
        for kind in KINDS:
            self("patch", kind, self.name, "--type=merge", '--patch={"metadata":{"managedFields":[{}]}}')

    def by_hand(self) -> None:
        """One field after the other, each with its command."""
        self("label", "configmap", self.name, "old=label")
        self("annotate", "configmap", self.name, "gone=soon")
        self("patch", "configmap", self.name, "--type=merge", '--patch={"data":{"legacy":"unused"}}')
        self("patch", "secret", self.name, "--type=merge", '--patch={"stringData":{"legacy":"unused"}}')
        self("set", "env", f"deployment/{self.name}", "DEBUG=1")
        extra = {
            "spec": {"template": {"spec": {"containers": [{"name": "extra", "image": "registry.example/extra:1"}]}}}
        }
        self("patch", "deployment", self.name, f"--patch={json.dumps(extra)}")

    def shown(self) -> Mapping[str, object]:
        """The fields of the objects that come and go."""
        hidden = self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/secrets/{self.name}")
        found = self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/configmaps/{self.name}")
        web = self.cluster.request("GET", f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}")
        metadata = found["metadata"]
        containers = {item["name"]: item for item in web["spec"]["template"]["spec"]["containers"]}
        return {
            "data": found["data"],
            "secret": hidden["data"],
            "labels": {name: value for name, value in metadata["labels"].items() if name in ("tier", "old")},
            "annotations": {
                name: value
                for name, value in metadata["annotations"].items()
                if name in ("note", "gone") or name.startswith("kubectl")
            },
            "containers": sorted(containers),
            "env": [item["name"] for item in containers["web"]["env"]],
        }


FULL: Mapping[str, object] = {
    "data": {"keep": "1", "legacy": "unused"},
    "secret": {"keep": "MQ==", "legacy": "dW51c2Vk"},
    "labels": {"tier": "front", "old": "label"},
    "annotations": {"note": "kept", "gone": "soon"},
    "containers": ["extra", "web"],
    "env": ["MODE", "DEBUG"],
}
SMALL: Mapping[str, object] = {
    "data": {"keep": "1"},
    "secret": {"keep": "MQ=="},
    "labels": {"tier": "front"},
    "annotations": {"note": "kept"},
    "containers": ["web"],
    "env": ["MODE"],
}


def _apply(*flags: str) -> Make:
    return lambda writing: writing("apply", *flags, "-f", writing.full)


def _create(*flags: str) -> Make:
    return lambda writing: writing("create", *flags, "-f", writing.full)


def _after_create(*arguments: str) -> Make:
    def make(writing: Writing) -> None:
        writing("create", "-f", writing.small)
        writing(*arguments, "-f", writing.full)

    return make


def _edited(writing: Writing) -> None:
    writing("create", "--field-manager=somebody", "-f", writing.small)
    writing.edit()


def _migrated(writing: Writing) -> None:
    writing("apply", "-f", writing.full)
    writing("apply", "--server-side", "-f", writing.full)


def _by_hand(writing: Writing) -> None:
    writing("create", "-f", writing.small)
    writing.by_hand()


def _forgotten(verb: str) -> Make:
    def make(writing: Writing) -> None:
        writing(verb, "-f", writing.full)
        writing.forget_writers()

    return make


SERVER_SIDE = "--server-side"
#: Writers that own the whole object: all their fields are removed, whether Git ever had them or not.
DECLARED: Mapping[str, Make] = {
    "kubectl apply": _apply(),
    "kubectl apply --field-manager=deploy.sh": _apply("--field-manager=deploy.sh"),
    "kubectl apply --server-side": _apply(SERVER_SIDE),
    "kubectl apply, then --server-side": _migrated,
    "kubectl create": _create(),
    "kubectl create --save-config": _create("--save-config"),
    "kubectl create, then replace": _after_create("replace"),
    "kubectl edit": _edited,
    "kustomize-controller": _apply(SERVER_SIDE, "--field-manager=kustomize-controller"),
    "helm-controller of today": _apply(SERVER_SIDE, "--field-manager=helm-controller"),
    "helm-controller of before": _create("--field-manager=helm-controller"),
    "argocd-controller": _apply("--field-manager=argocd-controller"),
    "argocd-controller server-side": _apply(SERVER_SIDE, "--field-manager=argocd-controller"),
    "argocd-application-controller": _create("--field-manager=argocd-application-controller"),
    "before-first-apply, of kubectl apply": _forgotten("apply"),
}
#: Writers of which the fields are removed that Git had for a while, while those stay that it never had.
ADDED: Mapping[str, Make] = {
    "before-first-apply": _forgotten("create"),
    "kubectl label, annotate, patch, set env": _by_hand,
}
WRITERS: Mapping[str, Make] = {**DECLARED, **ADDED}


def written(cluster: Cluster, kubectl: Cli, namespace: str, directory: Path) -> Mapping[str, Writing]:
    """By writer, the objects that it has written, side by side and without pods."""
    found = {
        how: Writing(cluster, kubectl, namespace, f"writer-{number}", directory, idle=True)
        for number, how in enumerate(WRITERS)
    }
    for how, writing in found.items():
        WRITERS[how](writing)
    return found
