"""What one text may ask of us. Whatever is beyond is an error before memory is spent on it."""

from __future__ import annotations

from typing import Final

#: Bytes of a file, and characters of a document's scalars once its aliases are replaced.
MAX_BYTES: Final = 10 * 1024 * 1024
#: Mappings and lists inside each other. CustomResourceDefinitions, the deepest that are seen, reach about 40.
MAX_DEPTH: Final = 200
#: Keys and values of one document once its aliases are replaced. The largest bundles of CRDs have about 300,000.
MAX_NODES: Final = 500_000
#: Documents of one file.
MAX_DOCUMENTS: Final = 10_000
