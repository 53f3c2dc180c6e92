"""What a bucket answers: pages of its list (ListObjectsV2), and errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from gitsync.errors import SourceError

_CODE = re.compile(rb"<Code>([A-Za-z0-9]{3,60})</Code>")
_REGION = re.compile(rb"<Region>([a-z0-9-]{1,64})</Region>")
_REGION_NAME = re.compile(r"[a-z0-9-]{1,64}")


#: What a page has at most, as S3 says.
MOST_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """An object of a bucket: its key, its ETag without quotes, and its size in bytes."""

    key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; ``token`` asks for the next one, "" after the last."""

    items: tuple[Item, ...]
    token: str


class _NoTypes(TreeBuilder):
    """Refuses what declares entities, whatever they would come to."""

    def doctype(self, name: str, public: str, system: str) -> None:
        raise ParseError("it declares a document type")


def read_page(data: bytes, where: str) -> Page:
    """A page of ListObjectsV2 out of its XML. ``where`` is what errors call the bucket.

    Raises: SourceError for what is none, declares a document type, or has more than MOST_ITEMS objects.
    """
    try:
        parser = XMLParser(target=_NoTypes())  # noqa: S314 - without a document type there are no entities
        parser.feed(data)
        root = parser.close()
        if _name(root) != "ListBucketResult":
            raise ValueError
        contents = [node for node in root if _name(node) == "Contents"]
        if len(contents) > MOST_ITEMS:
            raise ValueError
        items = tuple(map(_item, contents))
        more = _text(root, "IsTruncated") == "true"
        token = _text(root, "NextContinuationToken") if more else ""
        if more and not token:
            raise ValueError
    except (ParseError, ValueError, UnicodeDecodeError):
        raise SourceError(
            f"{where}: what it answers is no list of objects", url=where, hint="check endpoint: it has to speak S3"
        ) from None
    return Page(items, token)


def refusal_of(data: bytes) -> tuple[str, str]:
    """The code of an error, and the region that it names, "" for none."""
    code, region = _CODE.search(data), _REGION.search(data)
    return (code[1].decode() if code else "", region[1].decode() if region else "")


def region_in(header: str) -> str:
    """The region that a header names, "" for what is none."""
    return header if _REGION_NAME.fullmatch(header) else ""


def _item(node: Element) -> Item:
    key = unquote(_text(node, "Key"), errors="strict")
    size = int(_text(node, "Size"))
    if not key or size < 0:
        raise ValueError
    return Item(key, _text(node, "ETag").strip('"'), size)


def _text(node: Element, name: str) -> str:
    return next((child.text or "" for child in node if _name(child) == name), "")


def _name(node: Element) -> str:
    """Without its namespace, which not every server writes."""
    return node.tag.rpartition("}")[2]
