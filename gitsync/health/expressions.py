"""Health by expressions: what the answers to a HelmRelease's healthCheckExprs say about an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitsync.api.identity import group_of
from gitsync.health.fields import text
from gitsync.health.generic import leaving, unobserved
from gitsync.health.verdict import READY, Health, failed, one_line, progressing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitsync.api.identity import Manifest

#: The expressions of one check, in the order in which they are asked (Flux RFC 0009); the first that is true decides.
ASKED: Final = ("inProgress", "failed", "current")
_WHERE: Final = "healthCheckExprs"


def before_asking(manifest: Manifest) -> Health | None:
    """What is true of an object whatever the expressions say: it is being deleted, or its controller has not seen its
    generation yet (where status.observedGeneration is kept). None when they are to be asked.
    """
    return leaving(manifest) or unobserved(manifest)


def by_answers(manifest: Manifest, answers: Mapping[str, bool | str]) -> Health:
    """``answers`` are those to the expressions given, by their names: a boolean, or why there is none. Without an
    answer an object is progressing, for the field that is missing may yet come.
    """
    for name in ASKED:
        answer = answers.get(name, False)
        if isinstance(answer, str):
            return progressing("NoAnswer", f"{_WHERE} {name}: {_shown(manifest, answer)}")
        if answer and name == "failed":
            return failed("Failed", f"{_WHERE} failed is true")
        if answer:
            return READY if name == "current" else progressing("InProgress", f"{_WHERE} inProgress is true")
    return progressing("NotCurrent", f"{_WHERE} current is false")


def _shown(manifest: Manifest, why: str) -> str:
    """Why there is no answer; of a Secret nothing is told, since that may quote from it."""
    secret = (group_of(text(manifest, "apiVersion")), text(manifest, "kind")) == ("", "Secret")
    return "cannot be evaluated" if secret else one_line(why)
