"""Kubernetes' YAML: documents split and read exactly as kubectl does, bounded, and with line and column for everything.

Kubernetes' own parser (goyaml, which helm_python carries) gives the values. libyaml, of which goyaml is a port, gives
places, finds duplicate keys, and shows whether a text is within bounds before the Go side sees it. A document has to be
accepted by both.
"""

from gitsync.kubeyaml.documents import Document, decode, split
from gitsync.kubeyaml.limits import MAX_BYTES, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES
from gitsync.kubeyaml.places import Positions, positions
from gitsync.kubeyaml.reading import Reading, load, read

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_DOCUMENTS",
    "MAX_NODES",
    "Document",
    "Positions",
    "Reading",
    "decode",
    "load",
    "positions",
    "read",
    "split",
]
