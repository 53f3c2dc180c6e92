"""Kubernetes' YAML: documents split and read exactly as kubectl does, bounded, and with line and column for everything.

libyaml's events are made into values as Kubernetes' parser makes them, which is a port of libyaml. That both read alike
is held by generated documents, against kubectl and against the parser itself, which helm_python carries. So there is no
Go in the agent's own process: that would be 52 MiB more, and a stack of Go's that overflows takes all with it.
"""

from gitsync.kubeyaml.documents import Document, decode, first_document, split
from gitsync.kubeyaml.limits import MAX_BYTES, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES
from gitsync.kubeyaml.places import Positions, positions
from gitsync.kubeyaml.reading import Reading, load, read, read_first
from gitsync.kubeyaml.resolve import json_number

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_DOCUMENTS",
    "MAX_NODES",
    "Document",
    "Positions",
    "Reading",
    "decode",
    "first_document",
    "json_number",
    "load",
    "positions",
    "read",
    "read_first",
    "split",
]
