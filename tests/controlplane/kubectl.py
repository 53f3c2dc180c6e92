"""kubectl, for tests that ask it hundreds of times: the program takes a tenth of a second of a processor to start.

What is asked most often and means one thing only (``get`` of one kind with ``-o json``, ``-o name`` or a plain path,
and ``wait``) is asked of the API server at once. All else is the program's, and so is what ends in an error other than
a time that is up: the words are kubectl's own.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError, CommandError
from tests.until import ask_until

Json = dict[str, Any]

_PATH = re.compile(r"jsonpath=\{((?:\.[A-Za-z][\w-]*|\[\d+\])+)\}")
_STEP = re.compile(r"\.([A-Za-z][\w-]*)|\[(\d+)\]")
_SECONDS = re.compile(r"(\d+)s")
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class _Unknown(Exception):
    """This is for the program to answer."""


@dataclass(frozen=True)
class _Resource:
    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "") -> str:
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        place = f"{root}/namespaces/{namespace}/{self.plural}" if self.namespaced else f"{root}/{self.plural}"
        return f"{place}/{quote(name)}" if name else place

    def named(self, manifest: Json) -> str:
        """As ``-o name`` has it."""
        group = f".{self.group}" if self.group else ""
        return f"{self.kind.lower()}{group}/{manifest['metadata']['name']}\n"


@dataclass
class _Asked:
    """A command line, taken apart: the words, and the flags with their values ("" for none)."""

    words: list[str] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Sequence[str], known: set[str], switches: set[str]) -> _Asked:
        """Raises: _Unknown for any other flag."""
        asked, rest = cls(), list(arguments)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-"):
                asked.words.append(word)
                continue
            name, equals, value = word.partition("=")
            name = {"-n": "--namespace", "-o": "--output", "-l": "--selector"}.get(name, name)
            if name in switches and not equals:
                asked.flags[name] = ""
            elif name in known and (equals or rest):
                asked.flags[name] = value if equals else rest.pop(0)
            else:
                raise _Unknown
        return asked

    @property
    def namespace(self) -> str:
        return self.flags.get("--namespace", "default")

    def objects(self) -> list[tuple[str, str]]:
        """Kind and name of each; no name for all of a kind. Raises: _Unknown."""
        if all(word.count("/") == 1 for word in self.words):
            return [(kind, name) for kind, _, name in (word.partition("/") for word in self.words)]
        if not self.words or any("/" in word or "," in word for word in self.words):
            raise _Unknown
        kind, *names = self.words
        return [(kind, name) for name in names or [""]]


@dataclass(frozen=True)
class Kubectl(Cli):
    """The program on ``cluster``, as its administrator, and the shorter way."""

    cluster: Cluster | None = None
    _resources: dict[str, _Resource] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, *arguments: Any, stdin: str | None = None, timeout: float = 120) -> str:
        shorter = {"get": self._get, "wait": self._wait}.get(str(arguments[0])) if stdin is None else None
        if shorter is not None and self.cluster is not None:
            try:
                return shorter(self.cluster, [str(argument) for argument in arguments[1:]])
            except (_Unknown, ApiError):
                pass
        return super().__call__(*arguments, stdin=stdin, timeout=timeout)

    def _get(self, cluster: Cluster, arguments: list[str]) -> str:
        asked = _Asked.of(arguments, {"--namespace", "--output", "--selector"}, {"--ignore-not-found"})
        written = _writer(asked.flags.get("--output", ""))
        ((kind, name),) = asked.objects() if len(asked.words) < 3 else _unknown()
        resource = self._resource(cluster, kind)
        if not name:
            return _listed(cluster, resource, asked)
        if "--selector" in asked.flags:
            raise _Unknown
        found = _found(cluster, resource, asked.namespace, name)
        if found is None:
            return "" if "--ignore-not-found" in asked.flags else _unknown()
        return written(resource, found)

    def _wait(self, cluster: Cluster, arguments: list[str]) -> str:
        asked = _Asked.of(arguments, {"--namespace", "--for", "--timeout"}, set())
        whole = _SECONDS.fullmatch(asked.flags.get("--timeout", "30s")) or _unknown()
        end = time.monotonic() + int(whole.group(1))
        said = ""
        for kind, name in asked.objects():
            resource = self._resource(cluster, kind)
            met = _condition(asked.flags.get("--for", ""), cluster, resource, asked.namespace, name or _unknown())
            try:
                ask_until(met, bool, asked.flags["--for"], max(end - time.monotonic(), 0.0))
            except AssertionError:
                what = f"error: timed out waiting for the condition on {resource.plural}/{name}"
                raise CommandError([self.binary.name, "wait", *arguments], 1, said, what) from None
            said += f"{resource.named({'metadata': {'name': name}}).strip()} condition met\n"
        return said

    def _resource(self, cluster: Cluster, kind: str) -> _Resource:
        """Raises: _Unknown."""
        if kind not in self._resources:
            self._resources.clear()
            self._resources.update(_served(cluster))
        return self._resources.get(kind) or _unknown()


def _unknown() -> Any:
    raise _Unknown


def _found(cluster: Cluster, resource: _Resource, namespace: str, name: str) -> Json | None:
    """Raises: ApiError."""
    try:
        return cluster.request("GET", resource.path(namespace, name))
    except ApiError as error:
        # Where the kind itself is gone the answer is no Status of an object.
        if error.status == 404 and '"details"' in error.body and f'"name":"{name}"' in error.body.replace(" ", ""):
            return None
        raise


def _listed(cluster: Cluster, resource: _Resource, asked: _Asked) -> str:
    selector = urlencode({"labelSelector": asked.flags["--selector"]}) if "--selector" in asked.flags else ""
    items = cluster.request("GET", f"{resource.path(asked.namespace)}?{selector}")["items"]
    if asked.flags.get("--output") == "name":
        return "".join(map(resource.named, items))
    if asked.flags.get("--output") != "json":
        raise _Unknown
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    shown = [_shown({**head, **item}) for item in items]
    return json.dumps({"apiVersion": "v1", "items": shown, "kind": "List", "metadata": {"resourceVersion": ""}})


def _shown(manifest: Json) -> Json:
    """What kubectl shows of an object."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    return {**manifest, "metadata": metadata}


def _writer(output: str) -> Callable[[_Resource, Json], str]:
    """Raises: _Unknown."""
    if output == "json":
        return lambda _, manifest: json.dumps(_shown(manifest))
    if output == "name":
        return lambda resource, manifest: resource.named(manifest)
    path = _PATH.fullmatch(output) or _unknown()
    return lambda _, manifest: _text(_at(manifest, path.group(1)))


def _at(manifest: Json, path: str) -> Any:
    """What is at a path, None for nothing."""
    value: Any = manifest
    for name, number in _STEP.findall(path):
        if number:
            value = value[int(number)] if isinstance(value, list) and int(number) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    """As kubectl prints it. Raises: _Unknown for what is more than one value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int)) else str(_unknown())


def _condition(wanted: str, cluster: Cluster, resource: _Resource, namespace: str, name: str) -> Callable[[], bool]:
    """Raises: _Unknown; so it does for an object that is not there and cannot come to be as is wanted."""
    kind, _, value = wanted.partition("=")
    first = _found(cluster, resource, namespace, name)

    def look() -> Json | None:
        return _found(cluster, resource, namespace, name)

    if kind == "create":
        return lambda: look() is not None
    if kind == "delete":
        uid = first["metadata"]["uid"] if first is not None else ""
        return lambda: (now := look()) is None or now["metadata"]["uid"] != uid
    if first is None:
        raise _Unknown
    if kind == "condition" and "=" not in value:
        return lambda: _is_true(look() or _unknown(), value)
    path, equals, text = value.partition("}=")
    found = _PATH.fullmatch(f"jsonpath={path}}}")
    if kind != "jsonpath" or not equals or found is None:
        raise _Unknown
    return lambda: _text(_at(look() or _unknown(), found.group(1))) == text.strip("'\"")


def _is_true(manifest: Json, kind: str) -> bool:
    """Whether a condition is, of the object as it is now."""
    status = manifest.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"].lower() == kind.lower():
            seen = condition.get("observedGeneration") or status.get("observedGeneration")
            old = seen is not None and seen < manifest["metadata"].get("generation", 0)
            return not old and condition["status"] == "True"
    return False


def _served(cluster: Cluster) -> dict[str, _Resource]:
    """The kinds, by whatever they may be called; of several with one name the first, as kubectl has it."""
    found: dict[str, _Resource] = {}
    for root in ("/api", "/apis"):
        answer = cluster.answer("GET", root, {"Accept": _DISCOVERY})
        for group in json.loads(answer.data)["items"] if answer.status == 200 else ():
            for version in group["versions"]:
                for item in version.get("resources", ()):
                    _name(found, group["metadata"].get("name", ""), version["version"], item)
    return found


def _name(found: dict[str, _Resource], group: str, version: str, item: Json) -> None:
    kind = item["responseKind"]["kind"]
    resource = _Resource(group, version, kind, item["resource"], item["scope"] == "Namespaced")
    names = [item["resource"], item.get("singularResource") or kind.lower(), kind.lower(), kind]
    for name in [*names, *item.get("shortNames", ())]:
        found.setdefault(name, resource)
        if group:
            found.setdefault(f"{name}.{group}", resource)
            found.setdefault(f"{name}.{version}.{group}", resource)
