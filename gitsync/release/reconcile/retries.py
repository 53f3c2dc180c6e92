"""The failure policy that a release is under, by what its HelmRelease says of the action that failed. Pure."""

from __future__ import annotations

from gitsync.api.actions import Install, Upgrade
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import ROLLBACK_FAILED
from gitsync.release.reconcile.state import Tries
from gitsync.release.status.status import Attempt, CountedAction, StatusBuilder


def policy_of(release: HelmRelease, status: StatusBuilder, verb: CountedAction) -> Install | Upgrade:
    """The policy for a failure of ``verb``. An install that is to be retried (RetryOnFailure) is retried by upgrades,
    as in Flux; unlike there it is still the install's policy that counts, until a revision has been good.
    """
    install = release.spec.install
    retried = install.strategy.retries_forever and not status.was_good
    return install if verb == "install" or retried else release.spec.upgrade


def tries_of(release: HelmRelease, status: StatusBuilder, attempt: Attempt) -> Tries:
    """The policy for what was tried last, with how often exactly that has failed."""
    verb = status.last_verb
    failures = status.failures(verb, attempt)
    action = policy_of(release, status, verb)
    if action.strategy.retries_forever:
        return Tries(verb, failures, retries=-1)
    remediation = action.remediation
    return Tries(
        verb,
        failures,
        retries=remediation.retries,
        remediate_last=remediation.remediates_last_failure(),
        strategy=remediation.strategy if remediation.retries or remediation.remediates_last_failure() else "none",
        rollback_failed=status.remedy_failed(ROLLBACK_FAILED),
    )
