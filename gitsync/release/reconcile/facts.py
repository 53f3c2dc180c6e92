"""The facts that a decision about a release rests on. Pure data; ``gather`` finds them, ``decide`` decides.

None stands for a fact that has not been found yet, because finding it costs something and mostly is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import ROLLBACK_FAILED, sync_of
from gitsync.api.parts.actions import Install, Upgrade
from gitsync.errors import GitsyncError
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.status.observed import Attempt, ObservedStatus
from gitsync.release.storage.record import Digests, Summary

#: Whether the chart's tests are run, and whether a failed one is a failure of the release.
ChartTestPolicy = Literal["off", "counted", "ignored"]


@dataclass(frozen=True, slots=True)
class ActiveRemediation:
    """As helm-controller's: the remediation policy of the action that was attempted last, with how often exactly this
    attempt has failed.

    ``retries`` is HelmRelease's remediation.retries (negative: without end). ``remediate_last_failure``: also the
    failure after which no retry is left is remediated, by ``strategy``. ``rollback_failed``: a rollback has failed.
    """

    action: CountedAction = "install"
    failures: int = 0
    retries: int = 0
    remediate_last_failure: bool = False
    strategy: Literal["uninstall", "rollback", "none"] = "none"
    rollback_failed: bool = False

    @property
    def retries_exhausted(self) -> bool:
        """Whether no retry is left."""
        return 0 <= self.retries < self.failures

    @property
    def pending(self) -> Literal["uninstall", "rollback", "none"]:
        """How the last failure is to be remediated. A rollback that has failed is not tried again."""
        left_as_it_is = self.retries_exhausted and not self.remediate_last_failure
        in_vain = self.strategy == "rollback" and self.rollback_failed
        return "none" if left_as_it_is or in_vain else self.strategy


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision rests on.

    - ``suspended``: the HelmRelease is suspended; ``hindrance``: why its chart or values cannot be had, or must not be
      applied.
    - ``ref``, ``wanted``: Helm's name of the release, and the digests of the wanted chart and values.
    - ``newest``: the newest record, by its metadata; ``same_content``: its payload is what is wanted.
    - ``holders``: this agent's marks on pending records; ``now``: seconds since the epoch; ``timeout``: seconds that an
      action of somebody else may take.
    - ``remediation``, ``install_retries_exhausted``: about earlier failures; ``tests``: what the chart's tests count
      for.
    - ``force_requested``: one more install or upgrade was asked for, whatever failed before.
    - ``objects_taken``: another release has taken objects of the deployed revision.
    - ``replaced``: the release that it is deployed as, if it is to have another name, namespace or chart.
    - ``dependencies_ready``: no dependency holds the release back.
    """

    suspended: bool = False
    hindrance: GitsyncError | None = None
    ref: ReleaseRef | None = None
    wanted: Digests | None = None
    newest: Summary | None = None
    same_content: bool | None = None
    holders: frozenset[str] = frozenset()
    now: float = 0.0
    timeout: float = 300.0
    remediation: ActiveRemediation = ActiveRemediation()
    install_retries_exhausted: bool = False
    tests: ChartTestPolicy = "off"
    force_requested: bool = False
    objects_taken: bool = False
    replaced: ReleaseRef | None = None
    dependencies_ready: bool | None = None


def holders_of(release: HelmRelease, holder: str) -> frozenset[str]:
    """The marks by which an agent knows a release's pending records as its own: ``holder``, which is
    ``gitsync/NAMESPACE/NAME``, and what gitsync 0.1 wrote: ``gitsync/NAME``, if the agent's own sync applies the
    HelmRelease. An agent of the same name in another namespace wrote that too.
    """
    agent, _, sync = holder.partition("/")
    name = sync.rpartition("/")[2]
    return frozenset({holder, f"{agent}/{name}"} if sync_of(release.metadata.labels) in (sync, name) else {holder})


def policy_of(release: HelmRelease, status: ObservedStatus, action: CountedAction) -> Install | Upgrade:
    """The policy for a failure of ``action``. An install that is to be retried (RetryOnFailure) is retried by upgrades,
    as in Flux; unlike there it is still the install's policy that counts, until a revision has been deployed.
    """
    install = release.spec.install
    retried = install.strategy.retries_forever and not status.was_deployed
    return install if action == "install" or retried else release.spec.upgrade


def active_remediation(release: HelmRelease, status: ObservedStatus, attempt: Attempt) -> ActiveRemediation:
    """The policy for what was attempted last, with how often exactly that has failed."""
    action = status.last_action
    failures = status.failures(action, attempt)
    policy = policy_of(release, status, action)
    if policy.strategy.retries_forever:
        return ActiveRemediation(action, failures, retries=-1)
    remediation = policy.remediation
    remediate_last = remediation.remediates_last_failure()
    return ActiveRemediation(
        action,
        failures,
        retries=remediation.retries,
        remediate_last_failure=remediate_last,
        strategy=remediation.strategy if remediation.retries or remediate_last else "none",
        rollback_failed=status.remediation_failed(ROLLBACK_FAILED),
    )


def install_retries_exhausted(release: HelmRelease, status: ObservedStatus, attempt: Attempt) -> bool:
    """Whether installs of exactly this have failed so often that none is attempted any more."""
    install = release.spec.install
    return not install.strategy.retries_forever and install.remediation.exhausted(status.failures("install", attempt))


def policy_of_tests(release: HelmRelease, action: CountedAction) -> ChartTestPolicy:
    """What the chart's tests count for, on a revision that ``action`` has made."""
    if not release.spec.test.enable:
        return "off"
    policy = release.spec.install if action == "install" else release.spec.upgrade
    return "ignored" if policy.remediation.ignores_test_failures(release.spec.test) else "counted"
