"""What an HTTP request to the API asks for: path, query and body, taken apart. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from gitsync.errors import YamlError
from gitsync.sandbox.failures import Failure, bad_request, expired, no_such_path, not_served
from gitsync.sandbox.kinds import protobuf
from gitsync.sandbox.kinds.catalog import Catalog, Resource
from gitsync.sandbox.objects.writing import Options, Target

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def target_of(path: str, catalog: Catalog) -> Target:
    """Raises: Failure 404 for a path that is not served."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise no_such_path()
    match rest:
        case ["namespaces", namespace, plural, *more] if plural != "status":
            pass
        case [plural, *more]:
            namespace = ""
        case _:
            raise no_such_path()
    if not catalog.knows(group, version):
        raise not_served()
    resource = catalog.find(group, version, plural)
    if resource is None or len(more) > 2:
        raise no_such_path()
    name, subresource = [*more, "", ""][:2]
    if (namespace and not resource.namespaced) or (name and resource.namespaced and not namespace):
        raise no_such_path()
    if subresource and not _has(resource, subresource):
        raise no_such_path()
    return Target(resource, namespace, name, subresource)


def _has(resource: Resource, subresource: str) -> bool:
    if subresource == "status":
        return resource.has_status
    return subresource == "log" and resource.collection == "pods."


def options_of(query: Mapping[str, str], user_agent: str, *, apply: bool = False) -> Options:
    """How a write is meant."""
    manager = query.get("fieldManager") or ("" if apply else user_agent.partition("/")[0] or "unknown")
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise bad_request(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    return Options(
        manager=manager[:128],
        dry_run=bool(dry_run),
        force=query.get("force") == "true",
        validation=query.get("fieldValidation") or "Warn",
    )


def number(query: Mapping[str, str], name: str) -> int:
    """A number of the query, 0 where there is none. Raises: Failure 400 for what is none."""
    text = query.get(name) or "0"
    if not text.isdecimal():
        raise bad_request(f'{name}: Invalid value: "{text}": strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def manifest_of(manifest: Any, resource: Resource) -> Manifest:
    """A body, checked to be an object. Raises: Failure 400 for what is none of this kind."""
    if not isinstance(manifest, dict):
        raise bad_request("the object provided is unrecognized (must be of type " + resource.kind + ")")
    version, kind = manifest.setdefault("apiVersion", resource.api_version), manifest.setdefault("kind", resource.kind)
    if version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    if kind != resource.kind:
        raise bad_request(f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})")
    if not isinstance(manifest.setdefault("metadata", {}), dict):
        raise bad_request("metadata is not an object")
    return manifest


def body_of(body: bytes, content_type: str, catalog: Catalog) -> Any:
    """JSON, protobuf, or YAML (as server-side apply allows). Raises: Failure 400."""
    if content_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(body, catalog.messages, catalog.message_names)
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    from gitsync.kubeyaml import load  # heavy, and hardly anybody sends YAML

    try:
        return load(body.decode())
    except (YamlError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding the body: {error}") from None


def continue_token(version: int, start: tuple[str, str]) -> str:
    """Where a list goes on: after ``start``, as it was at ``version``."""
    return base64.urlsafe_b64encode(orjson.dumps([version, *start])).decode()


def read_token(token: str) -> tuple[int, tuple[str, str]]:
    """The reverse. Raises: Failure for what is none."""
    try:
        version, namespace, name = orjson.loads(base64.urlsafe_b64decode(token))
        return int(version), (namespace, name)
    except (binascii.Error, ValueError, TypeError):
        raise bad_request("continue key is not valid") from None


def token_expired() -> Failure:
    """For a list that was begun too long ago to go on."""
    return expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter."
    )
