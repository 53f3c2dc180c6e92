"""How a release is installed, upgraded, tested, rolled back and uninstalled, and what to do when that fails.

Defaults are helm-controller's. Where one depends on another field, a method answers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, Duration, Items, Name, cel_rule

CrdPolicy = Literal["Skip", "Create", "CreateReplace"]
RemediationStrategy = Literal["rollback", "uninstall"]
ServerSideApply = Literal["enabled", "disabled", "auto"]

DEFAULT_RETRY_INTERVAL = 300.0

_TIMEOUT = "How long the {} may take, hooks and waiting included; the release's timeout when unset."
_NO_WAIT = "Do not wait until the objects are ready."
_NO_JOBS = "Wait, but not for Jobs to complete."
_NO_HOOKS = "Run no hooks."
_NO_OPENAPI = "Accepted and without effect: the API server alone validates objects, as with Helm 4."
_NO_SCHEMA = "Do not validate the values against the chart's schema."
_NO_ADOPTION = "Refuse objects that exist and belong to nobody or to another release, rather than adopt them."
_CRDS = "What to do with the chart's crds/ folder: Skip, Create (missing ones only) or CreateReplace (never deletes)."
_FORCE = "Delete and create anew objects whose change Kubernetes refuses, unless data would go with them."
_CLEANUP = "Delete what this action created when it fails."
_RETRIES = "How many more tries after a failure; 0 by default, negative for no end."
_IGNORE_TESTS = "Do not count failed tests as a failure; test.ignoreFailures when unset."


class FailureStrategy(ApiModel):
    """What follows a failed install or upgrade."""

    model_config = cel_rule(
        "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
        "retryInterval can only be set when name is RetryOnFailure",
    )

    name: Literal["RemediateOnFailure", "RetryOnFailure"] = Field(
        description="RemediateOnFailure: as remediation says. RetryOnFailure: try again, without remediation or end."
    )
    retry_interval: Duration = Field(
        DEFAULT_RETRY_INTERVAL, description="Pause between tries of RetryOnFailure; 5m when unset."
    )

    @property
    def retries_forever(self) -> bool:
        """Whether a failure is tried again at retry_interval, rather than remediated."""
        return self.name == "RetryOnFailure"


REMEDIATE = FailureStrategy(name="RemediateOnFailure")


class Remediation(ApiModel):
    """What install and upgrade remediation share."""

    retries: int = Field(0, description=_RETRIES)
    ignore_test_failures: bool | None = Field(None, description=_IGNORE_TESTS)

    def exhausted(self, failures: int) -> bool:
        """Whether this many failures leave no retry."""
        return 0 <= self.retries < failures

    def ignores_test_failures(self, test: HelmTest) -> bool:
        """Whether failed tests are no failure of the action."""
        return test.ignore_failures if self.ignore_test_failures is None else self.ignore_test_failures


class InstallRemediation(Remediation):
    """Uninstalls between tries."""

    remediate_last_failure: bool | None = Field(
        None, description="Uninstall also after the last try; false when unset."
    )

    @property
    def strategy(self) -> RemediationStrategy:
        """A failed install can only be uninstalled."""
        return "uninstall"

    def remediates_last_failure(self) -> bool:
        """Whether the last failure, too, is remediated."""
        return bool(self.remediate_last_failure)


class UpgradeRemediation(Remediation):
    """Rolls back or uninstalls between tries."""

    remediate_last_failure: bool | None = Field(
        None, description="Remediate also after the last try; true when unset and retries are above 0."
    )
    strategy: RemediationStrategy = Field("rollback", description="rollback (default) or uninstall.")

    def remediates_last_failure(self) -> bool:
        """Whether the last failure, too, is remediated."""
        return self.retries > 0 if self.remediate_last_failure is None else self.remediate_last_failure


class Install(ApiModel):
    """The first revision of a release."""

    timeout: Duration | None = Field(None, description=_TIMEOUT.format("install"))
    strategy: FailureStrategy = Field(REMEDIATE, description="What follows a failure; RemediateOnFailure when unset.")
    remediation: InstallRemediation = Field(InstallRemediation(), description="Retries of a failed install.")
    crds: CrdPolicy | None = Field(None, description=_CRDS + " Create when unset.")
    skip_crds: bool = Field(False, alias="skipCRDs", description="Deprecated: crds: Skip replaces it.")
    replace: bool = Field(False, description="Use a release name again whose history says that it was uninstalled.")
    create_namespace: bool = Field(False, description="Create targetNamespace when missing; it is never deleted.")
    disable_hooks: bool = Field(False, description=_NO_HOOKS)
    disable_openapi_validation: bool = Field(False, alias="disableOpenAPIValidation", description=_NO_OPENAPI)
    disable_schema_validation: bool = Field(False, description=_NO_SCHEMA)
    disable_take_ownership: bool = Field(False, description=_NO_ADOPTION)
    disable_wait: bool = Field(False, description=_NO_WAIT)
    disable_wait_for_jobs: bool = Field(False, description=_NO_JOBS)
    server_side_apply: bool = Field(True, description="Apply server-side (default) rather than by merge patches.")

    def crd_policy(self) -> CrdPolicy:
        """``crds``; when unset, Skip by the deprecated skipCRDs, else Create."""
        return self.crds or ("Skip" if self.skip_crds else "Create")


class Upgrade(ApiModel):
    """Every later revision of a release."""

    timeout: Duration | None = Field(None, description=_TIMEOUT.format("upgrade"))
    strategy: FailureStrategy = Field(REMEDIATE, description="What follows a failure; RemediateOnFailure when unset.")
    remediation: UpgradeRemediation = Field(UpgradeRemediation(), description="Retries of a failed upgrade.")
    crds: CrdPolicy | None = Field(None, description=_CRDS + " Create when unset.")
    chart_name_change_strategy: Literal["Reinstall", "InPlaceUpdate"] = Field(
        "Reinstall", description="When the chart has another name: Reinstall (default), or upgrade in place."
    )
    cleanup_on_fail: bool = Field(False, description=_CLEANUP)
    force: bool = Field(False, description=_FORCE)
    preserve_values: bool = Field(False, description="Start from the last revision's values rather than the chart's.")
    disable_hooks: bool = Field(False, description=_NO_HOOKS)
    disable_openapi_validation: bool = Field(False, alias="disableOpenAPIValidation", description=_NO_OPENAPI)
    disable_schema_validation: bool = Field(False, description=_NO_SCHEMA)
    disable_take_ownership: bool = Field(False, description=_NO_ADOPTION)
    disable_wait: bool = Field(False, description=_NO_WAIT)
    disable_wait_for_jobs: bool = Field(False, description=_NO_JOBS)
    server_side_apply: ServerSideApply = Field(
        "auto", description="Apply server-side: enabled, disabled, or auto (default): as the last revision was."
    )

    def crd_policy(self) -> CrdPolicy:
        """``crds``; when unset Create, as helm-controller does (its documentation says Skip)."""
        return self.crds or "Create"


class HelmTestFilter(ApiModel):
    """One test to run, or to leave out."""

    name: Name = Field(description="Name of the test hook.")
    exclude: bool = Field(False, description="Run all tests but this one.")


class HelmTest(ApiModel):
    """The chart's test hooks, run after an install or upgrade."""

    enable: bool = Field(False, description="Run the chart's tests; a failed one fails the release.")
    timeout: Duration | None = Field(None, description=_TIMEOUT.format("tests"))
    ignore_failures: bool = Field(False, description="Run the tests, but let none of them fail the release.")
    filters: Items[HelmTestFilter] = Field((), description="Tests to run or to leave out.")


class Rollback(ApiModel):
    """Going back to the last good revision."""

    timeout: Duration | None = Field(None, description=_TIMEOUT.format("rollback"))
    disable_wait: bool = Field(False, description=_NO_WAIT)
    disable_wait_for_jobs: bool = Field(False, description=_NO_JOBS)
    disable_hooks: bool = Field(False, description=_NO_HOOKS)
    force: bool = Field(False, description=_FORCE)
    recreate: bool = Field(False, description="Accepted and without effect, as since Helm 3.")
    cleanup_on_fail: bool = Field(False, description=_CLEANUP)
    server_side_apply: ServerSideApply = Field(
        "auto", description="Apply server-side: enabled, disabled, or auto (default): as the revision gone back to."
    )


class Uninstall(ApiModel):
    """Removing a release and its objects."""

    timeout: Duration | None = Field(None, description=_TIMEOUT.format("uninstall"))
    disable_hooks: bool = Field(False, description=_NO_HOOKS)
    keep_history: bool = Field(False, description="Keep the release's records, marked as uninstalled.")
    disable_wait: bool = Field(False, description="Do not wait until the objects are gone.")
    deletion_propagation: Literal["background", "foreground", "orphan"] = Field(
        "background", description="What happens to what the objects own: background (default), foreground or orphan."
    )
