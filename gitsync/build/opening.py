"""Decrypting what is encrypted with SOPS, when Flux does: files of secretGenerator and of patches before kustomize
runs, objects and the entries of Secrets after it.

An object goes through kustomize encrypted. What it is decrypted to comes from the file that it was written in, which is
decrypted as a whole and with its MAC checked: kustomize has changed the object by then, and its own MAC fits no more.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gitsync.api.identity import Origin
from gitsync.build.follow import Plan
from gitsync.errors import ManifestError, SopsError, SopsUnavailable, YamlError
from gitsync.kubeyaml import decode, load, split
from gitsync.manifests import is_encrypted, stays_encrypted
from gitsync.runtime.together import finish_all
from gitsync.sops import Format, Keys, Sops, file_format, is_marked, marked_format
from gitsync.text import MASK

#: What SOPS leaves in a file, whatever its format: its values, and its own fields.
_VALUE: Final = b"ENC[AES256_GCM,"
_FIELDS: Final = b"sops"
_WORD: Final = re.compile(r"[^\s'\"`:,;=\[\]{}()<>]{2,}")
_WHOLE_HINT: Final = "encrypt the object as a whole; a patch of it is decrypted as a file of its own, named in patches"
#: Entries of a Secret that may be encrypted texts are longer than this, in base64.
_SHORTEST_ENTRY: Final = 100


class NotOpened(Exception):
    """Why an object cannot be decrypted. ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Closed(NamedTuple):
    """An encrypted value: its text, the MAC of its document, and its path there, which begins with the kind of the
    object and has no places in lists (nor has SOPS'). Decrypted values are looked up by all three, so that nobody can
    copy an encrypted value elsewhere to have it shown there."""

    mac: str
    path: tuple[str, ...]
    text: str


@dataclass
class Opened:
    """What was decrypted for a build. ``values`` has the values of objects, ``entries`` those of Secrets' data, by the
    encrypted ones; ``texts`` are the contents of decrypted files; ``failed`` is why something could not be decrypted,
    by its MAC or the encrypted entry. ``sealed``: there are no keys, and what is encrypted stays so."""

    values: dict[Closed, Any] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    failed: dict[str, SopsError] = field(default_factory=dict)
    sealed: bool = False

    @property
    def weight(self) -> int:
        """About how many bytes of memory this takes."""
        values = sum(500 + len(closed.text) + len(str(value)) for closed, value in self.values.items())
        entries = sum(len(closed) + len(entry) for closed, entry in self.entries.items())
        return values + entries + sum(map(len, self.texts))

    def found_in(self, value: Any) -> frozenset[str]:
        """Those of ``texts`` that are in an object."""
        return self.texts.intersection(_leaves(value)) if self.texts else frozenset()


class Plain(NamedTuple):
    """A decrypted object, and the values that were decrypted."""

    value: dict[str, Any]
    secrets: tuple[str, ...]


class _Group(NamedTuple):
    """Documents of a file that were encrypted together."""

    path: str
    line: int
    format: Format
    text: bytes


def is_encrypted_file(data: bytes) -> bool:
    """Whether SOPS has encrypted a file, or something in it, whatever its format."""
    return _VALUE in data and _FIELDS in data


def may_be_encrypted(text: str) -> bool:
    """Whether a document may hold something encrypted: a cheap look, before the careful one."""
    return "sops:" in text or "ENC[" in text or "kind: Secret" in text


def holds_encrypted(value: dict[str, Any]) -> bool:
    """Whether an object is encrypted, or is a Secret with an encrypted text in it."""
    return is_encrypted(value) or bool(_entries(value))


def spelled(secrets: Iterable[str]) -> frozenset[str]:
    """Values in all forms in which they must not be shown: as they are, decoded where they are base64, and their
    lines."""
    found = set(secrets)
    for text in tuple(found):
        with suppress(ValueError):  # no base64, or no text
            found.add(base64.b64decode(text, validate=True).decode())
    return frozenset({*found, *(line.strip() for text in found for line in text.splitlines())} - {""})


def opened_value(value: dict[str, Any], opened: Opened) -> Plain | None:
    """A document, decrypted; None when nothing of it is encrypted, or it is to stay so. Raises: NotOpened."""
    if stays_encrypted(value):
        return None
    secrets: list[str] = []
    if is_encrypted(value):
        mac = _mac(value)
        if (error := opened.failed.get(mac)) is not None:
            raise NotOpened(error.message, error.hint)
        rest = {name: item for name, item in value.items() if name != "sops"}
        return Plain(_replaced(rest, _start(mac, value), opened, secrets), tuple(secrets))
    if "sops" not in value and any(leaf.startswith(_VALUE.decode()) for leaf in _leaves(value)):
        raise NotOpened("a value in it is encrypted with SOPS, but not the object", _WHOLE_HINT)
    entries = _entries(value)
    for text in entries.values():
        if (error := opened.failed.get(text)) is not None:
            raise NotOpened(error.message, error.hint)
    found = {name: opened.entries[text] for name, text in entries.items() if text in opened.entries}
    if not found:
        return None
    return Plain({**value, "data": {**value["data"], **found}}, tuple(found.values()))


class Opening:
    """Decrypts for one build, on behalf of its ``owner``."""

    def __init__(self, sops: Sops, keys: Keys, plan: Plan, owner: str) -> None:
        self._sops = sops
        self._keys = keys
        self._plan = plan
        self._owner = owner

    async def files(self, contents: Mapping[str, bytes]) -> tuple[dict[str, bytes], list[ManifestError]]:
        """The files that are to be decrypted before kustomize reads them, decrypted, and the errors of those that
        cannot be. Raises: SopsUnavailable."""
        marked = {
            path: as_is
            for path, as_is in self._plan.opens.items()
            if is_encrypted_file(contents[path]) and is_marked(contents[path], as_is)
        }
        found: dict[str, bytes] = {}
        errors: list[ManifestError] = []
        await finish_all(self._file(path, contents[path], as_is, found, errors) for path, as_is in marked.items())
        return found, sorted(errors, key=lambda error: str(error.origin))

    async def objects(self, text: str, contents: Mapping[str, bytes], files: Mapping[str, bytes]) -> Opened:
        """What is decrypted in ``text``, which kustomize has made of ``contents``. Raises: SopsUnavailable."""
        macs, entries = await asyncio.to_thread(_wanted, text)
        resources = {path: data for path, data in contents.items() if path not in self._plan.secret}
        groups = await asyncio.to_thread(_groups, resources) if macs else {}
        opened = Opened(texts=await asyncio.to_thread(_texts, files))
        await finish_all(self._document(mac, groups[mac], opened) for mac in macs if mac in groups)
        await finish_all(self._entry(name, entry, opened) for entry, name in entries.items())
        return opened

    async def _file(
        self, path: str, data: bytes, as_is: Format, found: dict[str, bytes], errors: list[ManifestError]
    ) -> None:
        origin = Origin(self._plan.place(path), 1)
        try:
            with _naming(origin):
                found[path] = await self._sops.open(data, as_is, as_is, self._keys, self._owner)
        except SopsError as error:
            errors.append(ManifestError(error.message, origin=origin, hint=error.hint))

    async def _document(self, mac: str, copies: Sequence[_Group], opened: Opened) -> None:
        """Decrypts the document with this MAC. There may be copies of it: the first that can be decrypted will do."""
        failure: SopsError | None = None
        for group in {group.text: group for group in copies}.values():
            try:
                with _naming(Origin(self._plan.place(group.path), group.line)):
                    plain = await self._sops.open(group.text, group.format, group.format, self._keys, self._owner)
                opened.values |= await asyncio.to_thread(_pairs, mac, group.text, plain)
                return
            except SopsError as error:
                failure = failure or error
        if failure is not None:
            opened.failed[mac] = failure

    async def _entry(self, name: str, entry: str, opened: Opened) -> None:
        data = base64.b64decode(entry)
        given = marked_format(data)
        assert given is not None
        wanted = file_format(name)
        if wanted == "binary" and given != "json":
            wanted = given  # where Flux would ask for what cannot be
        try:
            plain = await self._sops.open(data, given, wanted, self._keys, self._owner)
        except SopsError as error:
            opened.failed[entry] = SopsError(f"data.{name}: {error.message}", hint=error.hint)
        else:
            opened.entries[entry] = base64.b64encode(plain).decode()


@contextmanager
def _naming(origin: Origin) -> Iterator[None]:
    """Puts the place of a file before the message of a SopsUnavailable."""
    try:
        yield
    except SopsUnavailable as error:
        raise SopsUnavailable(f"{origin}: {error.message}", hint=error.hint) from None


def told(error: ManifestError, files: Mapping[str, bytes]) -> ManifestError:
    """An error of kustomize, without words that it may quote out of decrypted ``files``."""
    words = {word for data in files.values() for word in _WORD.findall(data.decode("utf-8", "replace"))}
    message = _WORD.sub(lambda match: MASK if match[0] in words else match[0], error.message)
    return ManifestError(message, origin=error.origin, field=error.field, key=error.key, hint=error.hint)


def _wanted(text: str) -> tuple[set[str], dict[str, str]]:
    """The MACs of the encrypted objects in kustomize's output, and the encrypted entries of Secrets with their
    names."""
    macs: set[str] = set()
    entries: dict[str, str] = {}
    for document in split(text):
        if not may_be_encrypted(document.text):
            continue
        try:
            value = load(document.text)
        except YamlError:
            continue  # the error is reported when the object is made
        if not isinstance(value, dict) or stays_encrypted(value):
            continue
        if is_encrypted(value):
            macs.add(_mac(value))
        else:
            entries |= {entry: name for name, entry in _entries(value).items()}
    return macs, entries


def _groups(contents: Mapping[str, bytes]) -> dict[str, list[_Group]]:
    """The documents of files that were encrypted together, by their MAC."""
    found: dict[str, list[_Group]] = {}
    for path, data in contents.items():
        if is_encrypted_file(data):
            for mac, group in _groups_of(path, data).items():
                found.setdefault(mac, []).append(group)
    return found


def _groups_of(path: str, data: bytes) -> dict[str, _Group]:
    given: Format = "json" if path.endswith(".json") else "yaml"
    documents: dict[str, list[tuple[int, str]]] = {}
    try:
        for document in split(decode(data)):
            value = load(document.text)
            mac = _mac(value) if isinstance(value, dict) else ""
            documents.setdefault(mac, []).append((document.line, document.text))
    except YamlError:
        return {}
    if len(documents) == 1:
        return {mac: _Group(path, parts[0][0], given, data) for mac, parts in documents.items() if mac}
    return {
        mac: _Group(path, parts[0][0], given, "\n---\n".join(text for _, text in parts).encode())
        for mac, parts in documents.items()
        if mac
    }


def _pairs(mac: str, encrypted: bytes, plain: bytes) -> dict[Closed, Any]:
    """The decrypted values by the encrypted ones. Raises: SopsError when the texts are not alike."""
    try:
        before = [load(document.text) for document in split(decode(encrypted))]
        after = [load(document.text) for document in split(decode(plain))]
        pairs = [_paired(one, other, _start(mac, one)) for one, other in zip(before, after, strict=True)]
        return dict(pair for found in pairs for pair in found)
    except (YamlError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise SopsError("what sops has decrypted is not the same document any more") from None


def _start(mac: str, value: Mapping[str, Any]) -> Closed:
    return Closed(mac, (str(value.get("kind")),), "")


def _paired(encrypted: Any, plain: Any, at: Closed) -> Iterator[tuple[Closed, Any]]:
    if isinstance(encrypted, dict):
        for name, value in encrypted.items():
            if name != "sops" or name in plain:
                yield from _paired(value, plain[name], at._replace(path=(*at.path, name)))
    elif isinstance(encrypted, list):
        for value, other in zip(encrypted, plain, strict=True):
            yield from _paired(value, other, at)
    elif isinstance(encrypted, str) and encrypted.startswith(_VALUE.decode()):
        yield at._replace(text=encrypted), plain


def _replaced(value: Any, at: Closed, opened: Opened, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _replaced(item, at._replace(path=(*at.path, name)), opened, secrets) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_replaced(item, at, opened, secrets) for item in value]
    if not isinstance(value, str) or not value.startswith(_VALUE.decode()):
        return value
    if (closed := at._replace(text=value)) not in opened.values:
        raise NotOpened("a value in it was encrypted in another place or file", _WHOLE_HINT)
    plain = opened.values[closed]
    secrets.append(str(plain))
    return plain


def _entries(value: Mapping[str, Any]) -> dict[str, str]:
    """The entries of a Secret's data, in base64, that are encrypted texts."""
    data = value.get("data")
    if value.get("kind") != "Secret" or not isinstance(data, dict):
        return {}
    found = {}
    for name, text in data.items():
        if isinstance(text, str) and len(text) > _SHORTEST_ENTRY:
            try:
                plain = base64.b64decode(text)
            except binascii.Error:
                continue  # no base64, which the API server will refuse
            if is_encrypted_file(plain) and marked_format(plain) is not None:
                found[name] = text
    return found


def _texts(files: Mapping[str, bytes]) -> frozenset[str]:
    """The forms in which a decrypted file may be in an object: as a whole, and each of its lines and values."""
    found: set[str] = set()
    for data in files.values():
        text = data.decode("utf-8", "replace")
        found |= {text, base64.b64encode(data).decode(), *(line.partition("=")[2] for line in text.splitlines())}
        try:
            found |= {leaf for document in split(text) for leaf in _leaves(load(document.text))}
        except YamlError:
            continue
    return frozenset(found - {""})


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _mac(value: Mapping[str, Any]) -> str:
    metadata = value.get("sops")
    mac = metadata.get("mac") if isinstance(metadata, dict) else None
    return mac if isinstance(mac, str) else ""
