"""How large the answers of an API server may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """``answer`` bounds one answer and ``event`` one event of a watch, in bytes as they come. ``weight`` bounds the
    memory that one of them takes once it is decoded (see ``json_weight``), ``whole`` that of a list with all its pages.
    A page of a list that is too large is asked for again in smaller ones."""

    answer: int
    weight: int
    whole: int
    event: int


#: For the API server of the agent's own cluster.
OWN: Final = Bounds(answer=64 << 20, weight=192 << 20, whole=512 << 20, event=32 << 20)
#: For one that a ``kubeConfig`` names: tenants choose these servers, as many as they like. An object of Kubernetes has
#: 3 MiB at most. ``whole`` also bounds the memory of all answers and watches of one such server at a moment.
FOREIGN: Final = Bounds(answer=8 << 20, weight=24 << 20, whole=48 << 20, event=6 << 20)
#: Bytes of memory for the answers and watches of all these servers at a moment; each may have FOREIGN_ALWAYS whatever
#: the others have, which is enough for a few releases.
FOREIGN_TOGETHER: Final = 64 << 20
FOREIGN_ALWAYS: Final = 1 << 20
