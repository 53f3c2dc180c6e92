"""Job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import condition, number, section, text
from gitsync.health.model import READY, Health, progressing
from gitsync.health.pods import broken, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def job(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Complete is ready, Failed is failed (kstatus, Helm, Argo CD). One that runs is progressing, as for Helm's
    --wait-for-jobs; to bare kstatus it is current once started. Suspended is ready (kstatus): it moves only when
    somebody lets it.
    """
    suspended = text(condition(manifest, "Suspended"), "status") == "True"
    return READY if suspended else finished_job(manifest, pods)


def finished_job(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Whether it has run to its end, as Helm's hooks must: a suspended one has not."""
    if text(condition(manifest, "Complete"), "status") == "True":
        return READY
    counts = _counts(manifest)
    end = condition(manifest, "Failed")
    if text(end, "status") == "True":
        # Its message restates the reason ("Job has reached the specified backoff limit"); the pods say what happened.
        return broken(text(end, "reason") or "JobFailed", f"{text(end, 'message') or 'failed'}; {counts}", pods)
    if text(condition(manifest, "Suspended"), "status") == "True":
        return progressing("Suspended", f"suspended; {counts}")
    return waiting("JobNotComplete", counts, pods)


def _counts(manifest: Manifest) -> str:
    """``0 of 1 completions, 2 failed``"""
    # A Job without completions is a work queue: one success ends it, however many pods share the work.
    want = number(manifest, "spec", "completions", default=1)
    lost = number(manifest, "status", "failed")
    done = f"{number(manifest, 'status', 'succeeded')} of {want} completions"
    if "startTime" not in section(manifest, "status"):
        done = f"not started; {done}"
    return f"{done}, {lost} failed" if lost else done
