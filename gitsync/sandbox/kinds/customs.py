"""What the schema of a CustomResourceDefinition says against an object, in the real server's words. Pure.

A module of its own because jsonschema takes long to load.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import jsonschema
import re2
from jsonschema import validators

from gitsync.sandbox.failures import Cause
from gitsync.sandbox.kinds.catalog import Resource
from gitsync.sandbox.kinds.rules import invalid_value

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def complaints(manifest: Manifest, resource: Resource) -> Iterator[Cause]:
    """What a custom resource's schema says against it."""
    for error in _Validator(resource.crd).iter_errors(manifest):
        yield from _causes(error)


def _typed(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if instance is None and schema.get("nullable"):
        return
    yield from jsonschema.Draft4Validator.VALIDATORS["type"](validator, wanted, instance, schema)


def _pattern(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """In Go's dialect, and in linear time whatever somebody's CRD says."""
    if isinstance(instance, str) and not re2.search(wanted, instance):
        yield jsonschema.ValidationError("pattern")


def _int_or_string(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if wanted and (isinstance(instance, bool) or not isinstance(instance, int | str)):
        yield jsonschema.ValidationError("int or string", validator="type", validator_value="integer,string")


def _unique_keys(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if isinstance(instance, list) and all(isinstance(item, dict) for item in instance):
        seen: list[Any] = []
        for place, item in enumerate(instance):
            key = {name: item.get(name) for name in wanted}
            if key in seen:
                yield jsonschema.ValidationError("Duplicate", validator="duplicate", instance=key, path=(place,))
            seen.append(key)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if wanted == "set" and isinstance(instance, list):
        for place, item in enumerate(instance):
            if item in instance[:place]:
                yield jsonschema.ValidationError("Duplicate", validator="duplicate", instance=item, path=(place,))


#: OpenAPI v3's schemas are JSON schema's draft 4 but for ``nullable`` and Kubernetes' own words.
_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft4Validator,
    {
        "type": _typed,
        "pattern": _pattern,
        "x-kubernetes-int-or-string": _int_or_string,
        "x-kubernetes-list-map-keys": _unique_keys,
        "x-kubernetes-list-type": _unique_items,
    },
)


def _causes(error: jsonschema.ValidationError) -> Iterator[Cause]:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    value, wanted = cast(Any, error.instance), cast(Any, error.validator_value)
    if error.validator == "required":
        missing = [name for name in wanted if name not in value]
        # One error each: jsonschema names the field in its message only.
        name = next(name for name in missing if repr(name) in error.message)
        yield Cause("FieldValueRequired", f"{path}.{name}".lstrip("."), "Required value")
    elif error.validator == "enum":
        known = ", ".join(json.dumps(each) for each in wanted)
        said = f"Unsupported value: {json.dumps(value)}: supported values: {known}"
        yield Cause("FieldValueNotSupported", path, said)
    elif error.validator == "type":
        got = _type_name(value)
        said = f'Invalid value: "{got}": {path} in body must be of type {wanted}: "{got}"'
        yield Cause("FieldValueTypeInvalid", path, said)
    elif error.validator == "duplicate":
        yield Cause("FieldValueDuplicate", path, f"Duplicate value: {json.dumps(value, separators=(',', ':'))}")
    elif error.validator == "pattern":
        yield invalid_value(path, value, f"{path} in body should match '{wanted}'")
    elif error.validator == "maxItems":
        yield Cause("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {wanted} items")
    elif error.validator == "maxLength":
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {wanted} bytes")
    elif error.validator in ("minimum", "maximum"):
        than = "greater" if error.validator == "minimum" else "less"
        yield invalid_value(path, value, f"{path} in body should be {than} than or equal to {wanted}")
    else:
        yield invalid_value(path, value, f"{path} in body {error.message}")


def _type_name(value: Any) -> str:
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
