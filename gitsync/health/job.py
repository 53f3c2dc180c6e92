"""Job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import first_true, number, section, text
from gitsync.health.pods import broken, waiting
from gitsync.health.verdict import READY, Health, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def job(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Complete is ready, Failed is failed (kstatus). One that runs or is suspended is progressing: kstatus calls it
    current once it has started, but Helm (--wait-for-jobs, hooks) and Flux put that right with a rule of their own,
    which is this one.
    """
    end = first_true(manifest, "Complete", "Failed")
    if text(end, "type") == "Complete":
        return READY
    counts = _counts(manifest)
    if end:
        # Its message restates the reason ("Job has reached the specified backoff limit"); the pods say what happened.
        return broken(text(end, "reason") or "JobFailed", f"{text(end, 'message') or 'failed'}; {counts}", pods)
    if first_true(manifest, "Suspended"):
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
