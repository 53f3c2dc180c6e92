"""The words of the API: groups, versions, kinds, annotations, conditions and their reasons.

Flux's own words keep Flux's spelling, so that its tools (``flux get``, kstatus, dashboards) read what gitsync writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HELM_GROUP: Final = "helm.toolkit.fluxcd.io"
SOURCE_GROUP: Final = "source.toolkit.fluxcd.io"
RBAC_GROUP: Final = "rbac.authorization.k8s.io"
KUSTOMIZE_GROUP: Final = "kustomize.toolkit.fluxcd.io"

#: Served versions, the stored one first.
HELM_VERSIONS: Final = ("v2", "v2beta2", "v2beta1")
SOURCE_VERSIONS: Final = ("v1", "v1beta2", "v1beta1")

HELM_API_VERSION: Final = f"{HELM_GROUP}/{HELM_VERSIONS[0]}"
SOURCE_API_VERSION: Final = f"{SOURCE_GROUP}/{SOURCE_VERSIONS[0]}"
KUSTOMIZE_API_VERSION: Final = f"{KUSTOMIZE_GROUP}/v1"

HELM_RELEASE: Final = "HelmRelease"
KUSTOMIZATION: Final = "Kustomization"
HELM_REPOSITORY: Final = "HelmRepository"
HELM_CHART: Final = "HelmChart"
GIT_REPOSITORY: Final = "GitRepository"
OCI_REPOSITORY: Final = "OCIRepository"
BUCKET: Final = "Bucket"
EXTERNAL_ARTIFACT: Final = "ExternalArtifact"
ARTIFACT_GENERATOR: Final = "ArtifactGenerator"
PROVIDER: Final = "Provider"
ALERT: Final = "Alert"
RECEIVER: Final = "Receiver"

#: Of metadata: what only the server sets (apimachinery, meta/v1 ObjectMeta: "Populated by the system. Read-only.").
SERVER_SET_METADATA: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)

#: Set on what we reconcile, removed once its release is uninstalled. Flux uses the same one, so either can take over.
FINALIZER: Final = "finalizers.fluxcd.io"

# Field managers. What is in Git and statuses are written as the first; a release's objects and its records as Helm
# would write them, so that ``helm upgrade`` by hand meets no conflict; a command's changes as the fourth; what a
# release notes on its HelmRelease as one of its own, for who applies that takes over all that the first has written;
# the namespaces that ``gitsync verify`` brings likewise.
FIELD_MANAGER: Final = "gitsync"
HELM_FIELD_MANAGER: Final = "helm"
HELM_RECORD_MANAGER: Final = "Helm"
CLI_FIELD_MANAGER: Final = "gitsync-cli"
NOTES_FIELD_MANAGER: Final = "gitsync-notes"
VERIFY_FIELD_MANAGER: Final = "gitsync-verify"
FLUX_FIELD_MANAGER: Final = "helm-controller"

#: The type of the Secrets that Helm keeps its records in.
HELM_RECORD_TYPE: Final = "helm.sh/release.v1"

#: Name by which a release may mean the synced repository without a GitRepository object: Flux's bootstrap uses it.
WELL_KNOWN: Final = "flux-system"

# What a commit leaves on the objects that it brought.
COMMIT_ANNOTATION: Final = "gitsync.dev/commit"
COMMIT_AUTHOR_ANNOTATION: Final = "gitsync.dev/commit-author"
COMMIT_SUBJECT_ANNOTATION: Final = "gitsync.dev/commit-subject"
ORIGIN_ANNOTATION: Final = "gitsync.dev/origin"
# Where each dependsOn entry is written: path:line, a line each, in the order of the entries.
DEPENDS_ON_ORIGIN_ANNOTATION: Final = "gitsync.dev/depends-on-origin"
# Where each of a HelmRelease's values is written (release/values/lines.py).
VALUES_ORIGIN_ANNOTATION: Final = "gitsync.dev/values-origin"
# Whose an object is: a mark over sync and key, so that a copied annotation owns nothing.
OWNER_ANNOTATION: Final = "gitsync.dev/owner"
# Labels: name and namespace of the sync that applies an object; its namespace is where its inventory is.
SYNC_LABEL: Final = "gitsync.dev/sync"
SYNC_NAMESPACE_LABEL: Final = "gitsync.dev/sync-namespace"
# On what a Kustomization has applied, as Flux writes them: its kustomize-controller deletes nothing without them.
KUSTOMIZE_NAME_LABEL: Final = f"{KUSTOMIZE_GROUP}/name"
KUSTOMIZE_NAMESPACE_LABEL: Final = f"{KUSTOMIZE_GROUP}/namespace"
#: All that a sync writes on what it applies.
SYNC_MARKS: Final = frozenset(
    {
        COMMIT_ANNOTATION,
        COMMIT_AUTHOR_ANNOTATION,
        COMMIT_SUBJECT_ANNOTATION,
        ORIGIN_ANNOTATION,
        DEPENDS_ON_ORIGIN_ANNOTATION,
        VALUES_ORIGIN_ANNOTATION,
        OWNER_ANNOTATION,
        SYNC_LABEL,
        SYNC_NAMESPACE_LABEL,
        KUSTOMIZE_NAME_LABEL,
        KUSTOMIZE_NAMESPACE_LABEL,
    }
)

# On an object that was there before its release took it over: that release's namespace and name, and the revision that
# took it ("apps/redis.v2"); of what was another release's own also which ("apps/redis.v2 from apps/old"). As long as no
# such revision has succeeded, the release does not delete the object.
TAKEN_OVER_ANNOTATION: Final = "gitsync.dev/taken-over-by"
# On an object that a release has left to somebody when it was removed, and that he has yet to take: who, and from whom
# ("sync flux-system/apps from apps/redis", "HelmRelease apps/cache from apps/redis"). It goes with him.
LEFT_TO_ANNOTATION: Final = "gitsync.dev/left-to"
# On a HelmRelease: the objects that it no longer holds, could not delete yet, and is to look at again (JSON: by the
# release that they are marked with, their ids as in status.inventory).
LEFTOVERS_ANNOTATION: Final = "gitsync.dev/leftovers"

# An object with one of these, valued PRUNE_DISABLED, stays in the cluster when it leaves Git; by the last, it is not
# applied either. Those of Flux may be labels, too.
PRUNE_ANNOTATION: Final = "gitsync.dev/prune"
KUSTOMIZE_PRUNE_ANNOTATION: Final = "kustomize.toolkit.fluxcd.io/prune"
KUSTOMIZE_RECONCILE_ANNOTATION: Final = "kustomize.toolkit.fluxcd.io/reconcile"
PRUNE_DISABLED: Final = "disabled"

#: On an ArtifactGenerator, which has no spec.suspend: valued ``disabled``, in whatever case, it is left alone.
GENERATOR_ANNOTATION: Final = "source.extensions.fluxcd.io/reconcile"
GENERATOR_DISABLED: Final = "disabled"

# Requests to a release or source. Each value is a token; forceAt and resetAt count only when equal to requestedAt.
REQUESTED_AT_ANNOTATION: Final = "reconcile.fluxcd.io/requestedAt"
FORCE_AT_ANNOTATION: Final = "reconcile.fluxcd.io/forceAt"
RESET_AT_ANNOTATION: Final = "reconcile.fluxcd.io/resetAt"

#: Label or annotation by which an object opts out of drift detection, valued DRIFT_DETECTION_DISABLED.
DRIFT_DETECTION_KEY: Final = f"{HELM_GROUP}/driftDetection"
DRIFT_DETECTION_DISABLED: Final = "disabled"

# Condition types.
READY: Final = "Ready"
RELEASED: Final = "Released"
TEST_SUCCESS: Final = "TestSuccess"
REMEDIATED: Final = "Remediated"
RECONCILING: Final = "Reconciling"
HEALTHY: Final = "Healthy"
STALLED: Final = "Stalled"
#: True while a release that is only warned of has drifted; gitsync's own.
DRIFTED: Final = "Drifted"
ARTIFACT_IN_STORAGE: Final = "ArtifactInStorage"
FETCH_FAILED: Final = "FetchFailed"
INCLUDE_UNAVAILABLE: Final = "IncludeUnavailable"
SOURCE_VERIFIED: Final = "SourceVerified"

# Condition statuses.
TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"

# Reasons of a HelmRelease's conditions.
INSTALL_FAILED: Final = "InstallFailed"
UPGRADE_FAILED: Final = "UpgradeFailed"
TEST_SUCCEEDED: Final = "TestSucceeded"
TEST_FAILED: Final = "TestFailed"
ROLLBACK_SUCCEEDED: Final = "RollbackSucceeded"
ROLLBACK_FAILED: Final = "RollbackFailed"
UNINSTALL_SUCCEEDED: Final = "UninstallSucceeded"
UNINSTALL_FAILED: Final = "UninstallFailed"
ARTIFACT_FAILED: Final = "ArtifactFailed"
DEPENDENCY_NOT_READY: Final = "DependencyNotReady"
#: A kind of an object of the release is not served, and a definition has to bring it first; gitsync's own.
KIND_NOT_SERVED: Final = "KindNotServed"
SOURCE_NOT_READY: Final = "SourceNotReady"
VALUES_ERROR: Final = "ValuesError"
#: An object of the release is somebody else's, who goes on wanting it; gitsync's own.
OWNED_BY_ANOTHER: Final = "OwnedByAnother"
DRIFT_DETECTED: Final = "DriftDetected"
DRIFT_CORRECTED: Final = "DriftCorrected"
#: Of an Event: somebody else upgraded, rolled back, uninstalled or edited a release.
RELEASE_CHANGED: Final = "ReleaseChanged"
RETRIES_EXCEEDED: Final = "RetriesExceeded"
REST_CLIENT_ERROR: Final = "RESTClientError"
ACCESS_DENIED: Final = "AccessDenied"
RECONCILIATION_FAILED: Final = "ReconciliationFailed"

# Reasons of a Kustomization's conditions.
RECONCILIATION_SUCCEEDED: Final = "ReconciliationSucceeded"
BUILD_FAILED: Final = "BuildFailed"
HEALTH_CHECK_FAILED: Final = "HealthCheckFailed"
#: gitsync's own: somebody has to confirm a commit that deletes much.
COMMIT_HELD: Final = "CommitHeld"

# Reasons that several kinds share.
PROGRESSING: Final = "Progressing"
PROGRESSING_WITH_RETRY: Final = "ProgressingWithRetry"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
INVALID: Final = "InvalidSpec"
DEPENDENCY_CYCLE: Final = "DependencyCycle"
DEPENDENCY_MISSING: Final = "DependencyMissing"

# Reasons of a HelmRepository's conditions.
INDEXATION_FAILED: Final = "IndexationFailed"
# Reasons of a HelmChart's conditions, and the condition that says what was wrong with the chart itself.
CHART_PULLED: Final = "ChartPullSucceeded"
CHART_PACKAGED: Final = "ChartPackageSucceeded"
CHART_PULL_ERROR: Final = "ChartPullError"
CHART_PACKAGE_ERROR: Final = "ChartPackageError"
INVALID_CHART_REFERENCE: Final = "InvalidChartReference"
VALUES_FILES_ERROR: Final = "ValuesFilesError"
SOURCE_UNAVAILABLE: Final = "SourceUnavailable"
CHART_BUILD_FAILED: Final = "BuildFailed"
# Reasons of a GitRepository's conditions.
GIT_OPERATION_FAILED: Final = "GitOperationFailed"
NO_ARTIFACT: Final = "NoArtifact"
# Reasons of a Bucket's conditions.
BUCKET_OPERATION_FAILED: Final = "BucketOperationFailed"
# Reasons of an OCIRepository's conditions.
URL_INVALID: Final = "URLInvalid"
AUTHENTICATION_FAILED: Final = "AuthenticationFailed"
VERIFICATION_ERROR: Final = "VerificationError"
OCI_PULL_FAILED: Final = "OCIArtifactPullFailed"
OCI_LAYER_FAILED: Final = "OCIArtifactLayerOperationFailed"
# Reasons of a Receiver's conditions.
TOKEN_NOT_FOUND: Final = "TokenNotFound"  # noqa: S105
INVALID_CEL: Final = "InvalidCELExpression"
VALIDATION_FAILED: Final = "ValidationFailed"
#: A field is set that gitsync does not honour and may not pass over; gitsync's own.
NOT_SUPPORTED: Final = "NotSupported"


def sync_name(namespace: str, name: str) -> str:
    """A sync as messages and claims name it: ``namespace/name``."""
    return f"{namespace}/{name}" if namespace else name


def sync_of(labels: Mapping[str, str]) -> str:
    """The sync that has applied an object, by its labels; the name alone when gitsync 0.1 did, "" when none has."""
    return sync_name(labels.get(SYNC_NAMESPACE_LABEL, ""), labels.get(SYNC_LABEL, ""))


def flux_sync_of(labels: Mapping[str, str]) -> str:
    """The Kustomization that an object belongs to, by Flux's labels; "" when they name none."""
    return sync_name(labels.get(KUSTOMIZE_NAMESPACE_LABEL, ""), labels.get(KUSTOMIZE_NAME_LABEL, ""))
