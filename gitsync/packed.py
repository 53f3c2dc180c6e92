"""Many texts in one piece of memory: a list of 100,000 paths as objects of Python takes three times as much. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import Final, Self, TypeVar, overload

T = TypeVar("T")

#: Also what is no UTF-8 in a file's name on disk is to come out as it went in.
_CODEC: Final = "utf-8", "surrogatepass"
#: How many are packed at once.
_BATCH: Final = 4096


class Texts(Sequence[str]):
    """Texts one after the other, with 4 bytes each beside their own: their order is that of ``str``."""

    __slots__ = ("_data", "_ends")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._data = bytearray()
        self._ends = array("I", [0])
        for batch in batches(texts):
            self.extend(list(map(utf8, batch)))

    def extend(self, texts: Sequence[bytes]) -> None:
        """Add some at the end, in UTF-8; only for whoever has made it, until others have it."""
        ends = accumulate(map(len, texts), initial=len(self._data))
        self._data += b"".join(texts)
        self._ends.extend(islice(ends, 1, None))

    @property
    def weight(self) -> int:
        """What the texts take in memory, in bytes."""
        return len(self._data) + 4 * len(self._ends)

    def at(self, index: int) -> str:
        """The one with this number, which must be there."""
        return self._data[self._ends[index] : self._ends[index + 1]].decode(*_CODEC)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        numbers = range(len(self))[index]
        return self.at(numbers) if isinstance(numbers, int) else [self.at(number) for number in numbers]

    def __iter__(self) -> Iterator[str]:
        data, begin = self._data, 0
        for end in self._ends[1:]:
            yield data[begin:end].decode(*_CODEC)
            begin = end

    def bisect(self, text: str) -> int:
        """Of sorted ones, how many come before this one."""
        return bisect_left(range(len(self)), text, key=self.at)

    def find(self, text: str) -> int | None:
        """The number of one that is this text; None when none is."""
        wanted, at = utf8(text), -1
        while (at := self._data.find(wanted, at + 1)) >= 0:
            number = bisect_left(self._ends, at)
            if self._ends[number] == at and number < len(self) and self._ends[number + 1] == at + len(wanted):
                return number
        return None

    def chosen(self, numbers: Iterable[int]) -> Texts:
        """The texts with these numbers, in this order."""
        return Texts(map(self.at, numbers))

    def order(self) -> list[int] | None:
        """Their numbers as sorted texts have them; None when they are sorted. Equal ones stay as they are."""
        texts = iter(self)
        before = next(texts, "")
        for text in texts:
            if text < before:
                return sorted(range(len(self)), key=list(self).__getitem__)
            before = text
        return None


class TextMap(Mapping[str, str]):
    """Texts by texts, looked up in a sorted list."""

    __slots__ = ("__weakref__", "_keys", "_values")

    def __init__(self, keys: Texts, values: Texts) -> None:
        if (order := keys.order()) is not None:
            keys, values = keys.chosen(order), values.chosen(order)
        self._keys = keys
        self._values = values

    @classmethod
    def of(cls, items: Mapping[str, str]) -> Self:
        """The same as another mapping has."""
        return cls(Texts(items), Texts(items.values()))

    @property
    def weight(self) -> int:
        """What it takes in memory, in bytes."""
        return self._keys.weight + self._values.weight

    def __getitem__(self, key: str) -> str:
        index = self._keys.bisect(key)
        if index == len(self._keys) or self._keys.at(index) != key:
            raise KeyError(key)
        return self._values.at(index)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Some thousands at a time."""
    left = iter(items)
    while batch := list(islice(left, _BATCH)):
        yield batch


def utf8(text: str) -> bytes:
    """As ``Texts`` keeps it."""
    return text.encode(*_CODEC)
