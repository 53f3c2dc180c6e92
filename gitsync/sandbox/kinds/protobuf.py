"""Kubernetes' protobuf, in which kubectl and helm write some objects, read into JSON. Pure."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from gitsync.sandbox.failures import bad_request

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
#: Messages by full name; their fields by number: JSON name ("" for one whose fields are its parent's), type, and "" for
#: one, "repeated" or "map" for many.
Messages = Mapping[str, Mapping[str, tuple[str, str, str]]]

_MAGIC: Final = b"k8s\x00"
_META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1."
_TIMES: Final = (f"{_META}Time", f"{_META}MicroTime")
_INT_OR_STRING: Final = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY: Final = "k8s.io.apimachinery.pkg.api.resource.Quantity"
_RAW: Final = ("k8s.io.apimachinery.pkg.runtime.RawExtension", f"{_META}FieldsV1")


def decode(body: bytes, messages: Messages, names: Mapping[tuple[str, str], str]) -> Manifest:
    """The object of a request; ``names`` are messages by apiVersion and kind. Raises: Failure 400."""
    try:
        if not body.startswith(_MAGIC):
            raise ValueError("no magic number")
        envelope = dict(_fields(body[len(_MAGIC) :]))
        about = {number: value.decode() for number, value in _fields(envelope[1])}
        api_version, kind = about.get(1, ""), about.get(2, "")
        message = names.get((api_version, kind)) or f"{_META}{kind}"
        return {"apiVersion": api_version, "kind": kind, **_Reader(messages).message(envelope[2], message)}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, OverflowError) as error:
        raise bad_request(f"error decoding protobuf: {type(error).__name__}: {error}") from None


class _Reader:
    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def message(self, data: bytes, kind: str) -> Any:
        fields = self._messages[kind]
        found: dict[str, Any] = {}
        for number, raw in _fields(data):
            if str(number) not in fields:
                continue
            name, below, many = fields[str(number)]
            if many == "map":
                key, value = self._entry(raw, below)
                found.setdefault(name, {})[key] = value
                continue
            value = self._value(raw, below)
            if not name:
                found.update(value)
            elif many:
                found.setdefault(name, []).append(value)
            elif value not in (None, ""):  # Go's JSON leaves these out
                found[name] = value
        return found

    def _entry(self, raw: bytes, kind: str) -> tuple[str, Any]:
        parts = dict(_fields(raw))
        return parts.get(1, b"").decode(), self._value(parts.get(2, b""), kind)

    def _value(self, raw: Any, kind: str) -> Any:
        if kind == "string":
            return raw.decode()
        if kind == "bytes":
            return base64.b64encode(raw).decode()
        if kind == "bool":
            return bool(raw)
        if kind == "double":
            return struct.unpack("<d", raw)[0]
        if kind.startswith(("int", "uint")):
            return raw - 2**64 if raw >= 2**63 else raw
        return self._special(raw, kind) if kind in _SPECIAL else self.message(raw, kind)

    @staticmethod
    def _special(raw: bytes, kind: str) -> Any:
        parts = dict(_fields(raw))
        if kind in _TIMES:
            return _time(parts, micro=kind.endswith("MicroTime"))
        if kind == _QUANTITY:
            return parts.get(1, b"").decode() or "0"
        if kind == _INT_OR_STRING:
            return parts.get(3, b"").decode() if parts.get(1) else parts.get(2, 0)
        return orjson.loads(parts[1]) if parts.get(1) else None


_SPECIAL: Final = (*_TIMES, _INT_OR_STRING, _QUANTITY, *_RAW)


def _time(parts: Mapping[int, int], *, micro: bool) -> str | None:
    seconds = parts.get(1, 0)
    if not seconds or seconds >= 2**63:  # the year 1 is no time
        return None
    when = datetime.fromtimestamp(seconds, UTC).replace(microsecond=parts.get(2, 0) // 1000)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: number, and what is there (a number, or bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size, at = (8, at) if wire == 1 else (4, at) if wire == 5 else _varint(data, at)
        if wire not in (1, 2, 5) or at + size > len(data):
            raise ValueError("truncated, or not protobuf")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
