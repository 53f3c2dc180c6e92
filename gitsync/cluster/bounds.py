"""How much of an API server's answers is taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """``answer`` is in bytes of one answer, and ``event`` of one event of a watch; ``weight`` in bytes of memory that
    either may come to (see ``json_weight``), and ``whole`` of memory that a list of all its pages may. A page of a list
    that is more is asked for in smaller ones."""

    answer: int
    weight: int
    whole: int
    event: int


#: Of the API server that the agent itself works on.
OWN: Final = Bounds(answer=64 << 20, weight=192 << 20, whole=512 << 20, event=32 << 20)
#: Of one that a kubeConfig names: whoever writes that chooses the server, and may name as many as he likes. An object
#: of Kubernetes has 3 MiB at most. ``whole`` is also what all that is known of it at a moment may come to.
FOREIGN: Final = Bounds(answer=8 << 20, weight=24 << 20, whole=48 << 20, event=6 << 20)
#: What all that is known of all of these at a moment may come to, in bytes of memory; one may always have a little,
#: which is enough for what a few releases ask of theirs.
FOREIGN_TOGETHER: Final = 64 << 20
FOREIGN_ALWAYS: Final = 1 << 20
