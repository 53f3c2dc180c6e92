"""Bounds of one file and one document. What is beyond them is an error before memory is spent on it."""

from __future__ import annotations

from typing import Final

from gitsync.depth import MAX_DEPTH as MAX_DEPTH

#: Bytes of a file, and characters of a document's scalars once its aliases are replaced.
MAX_BYTES: Final = 10 * 1024 * 1024
#: Keys and values of one document once its aliases are replaced. The largest object that the API server takes, 3 MiB,
#: has fewer.
MAX_NODES: Final = 200_000
#: Values of a JSON file, which take less memory on the way.
MAX_JSON_VALUES: Final = 500_000
#: Documents of one file.
MAX_DOCUMENTS: Final = 10_000
