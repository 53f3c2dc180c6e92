"""As little of /openapi/v2 as kubectl needs: when it is handed a ``List``, it looks there, in protobuf, whether the
server validates fields, and asks about Namespaces. Everything else is in /openapi/v3. Pure.
"""

from __future__ import annotations

from typing import Final

MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_GVK: Final = 'group: ""\nversion: v1\nkind: Namespace\n'


def document() -> bytes:
    """A gnostic openapi.v2.Document with the patch of a Namespace and its parameter fieldValidation."""
    query = _text(2, "query") + _text(4, "fieldValidation") + _text(6, "string")
    parameter = _part(1, _part(2, _part(3, query)))
    extension = _text(1, "x-kubernetes-group-version-kind") + _part(2, _text(2, _GVK))
    patch = _text(5, "patchCoreV1Namespace") + _part(8, parameter) + _part(13, extension)
    path = _text(1, "/api/v1/namespaces/{name}") + _part(2, _part(8, patch))
    info = _text(1, "Kubernetes") + _text(2, "sandbox")
    return _text(1, "2.0") + _part(2, info) + _part(8, _part(2, path))


def _part(number: int, content: bytes) -> bytes:
    """A field of a message, whose content is bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _text(number: int, content: str) -> bytes:
    return _part(number, content.encode())


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
