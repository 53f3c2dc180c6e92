"""The words of the API: groups, versions, kinds, annotations, conditions and their reasons.

Flux's own words keep Flux's spelling, so that its tools (``flux get``, kstatus, dashboards) read what gitsync writes.
"""

from __future__ import annotations

from typing import Final

HELM_GROUP: Final = "helm.toolkit.fluxcd.io"
SOURCE_GROUP: Final = "source.toolkit.fluxcd.io"

#: Served versions, the stored one first.
HELM_VERSIONS: Final = ("v2", "v2beta2", "v2beta1")
SOURCE_VERSIONS: Final = ("v1", "v1beta2", "v1beta1")

HELM_API_VERSION: Final = f"{HELM_GROUP}/{HELM_VERSIONS[0]}"
SOURCE_API_VERSION: Final = f"{SOURCE_GROUP}/{SOURCE_VERSIONS[0]}"

HELM_RELEASE: Final = "HelmRelease"
HELM_REPOSITORY: Final = "HelmRepository"
GIT_REPOSITORY: Final = "GitRepository"
OCI_REPOSITORY: Final = "OCIRepository"
HELM_CHART: Final = "HelmChart"
BUCKET: Final = "Bucket"
EXTERNAL_ARTIFACT: Final = "ExternalArtifact"

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
# would write them, so that ``helm upgrade`` by hand meets no conflict; a command's changes as the fourth.
FIELD_MANAGER: Final = "gitsync"
HELM_FIELD_MANAGER: Final = "helm"
HELM_RECORD_MANAGER: Final = "Helm"
CLI_FIELD_MANAGER: Final = "gitsync-cli"
FLUX_FIELD_MANAGER: Final = "helm-controller"

# What a commit leaves on the objects that it brought.
COMMIT_ANNOTATION: Final = "gitsync.dev/commit"
COMMIT_AUTHOR_ANNOTATION: Final = "gitsync.dev/commit-author"
COMMIT_SUBJECT_ANNOTATION: Final = "gitsync.dev/commit-subject"
ORIGIN_ANNOTATION: Final = "gitsync.dev/origin"
# Where each dependsOn entry is written: path:line, a line each, in the order of the entries.
DEPENDS_ON_ORIGIN_ANNOTATION: Final = "gitsync.dev/depends-on-origin"
# Whose an object is: a mark over sync, repository and key, so that a copied annotation owns nothing.
OWNER_ANNOTATION: Final = "gitsync.dev/owner"
# Label: the name of the sync that applies an object.
SYNC_LABEL: Final = "gitsync.dev/sync"
#: All that a sync writes on what it applies.
SYNC_MARKS: Final = frozenset(
    {
        COMMIT_ANNOTATION,
        COMMIT_AUTHOR_ANNOTATION,
        COMMIT_SUBJECT_ANNOTATION,
        ORIGIN_ANNOTATION,
        DEPENDS_ON_ORIGIN_ANNOTATION,
        OWNER_ANNOTATION,
        SYNC_LABEL,
    }
)

# An object with one of these, valued PRUNE_DISABLED, stays in the cluster when it leaves Git.
PRUNE_ANNOTATION: Final = "gitsync.dev/prune"
KUSTOMIZE_PRUNE_ANNOTATION: Final = "kustomize.toolkit.fluxcd.io/prune"
PRUNE_DISABLED: Final = "disabled"

# Requests to a release or source. Each value is a token; forceAt and resetAt count only when equal to requestedAt.
REQUESTED_AT_ANNOTATION: Final = "reconcile.fluxcd.io/requestedAt"
FORCE_AT_ANNOTATION: Final = "reconcile.fluxcd.io/forceAt"
RESET_AT_ANNOTATION: Final = "reconcile.fluxcd.io/resetAt"

#: Label on a ConfigMap or Secret: a change of it reconciles the releases that refer to it.
WATCH_LABEL: Final = "reconcile.fluxcd.io/watch"
WATCH_ENABLED: Final = "Enabled"

#: Label or annotation by which an object opts out of drift detection, valued DRIFT_DETECTION_DISABLED.
DRIFT_DETECTION_KEY: Final = f"{HELM_GROUP}/driftDetection"
DRIFT_DETECTION_DISABLED: Final = "disabled"

#: Labels by which Flux marks the objects of a release; ours carry them too.
RELEASE_NAME_LABEL: Final = f"{HELM_GROUP}/name"
RELEASE_NAMESPACE_LABEL: Final = f"{HELM_GROUP}/namespace"

# Condition types.
READY: Final = "Ready"
RELEASED: Final = "Released"
TEST_SUCCESS: Final = "TestSuccess"
REMEDIATED: Final = "Remediated"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
#: True while a release that is only warned of has drifted; gitsync's own.
DRIFTED: Final = "Drifted"
ARTIFACT_IN_STORAGE: Final = "ArtifactInStorage"
FETCH_FAILED: Final = "FetchFailed"

# Condition statuses.
TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"

# Reasons of a HelmRelease's conditions.
INSTALL_SUCCEEDED: Final = "InstallSucceeded"
INSTALL_FAILED: Final = "InstallFailed"
UPGRADE_SUCCEEDED: Final = "UpgradeSucceeded"
UPGRADE_FAILED: Final = "UpgradeFailed"
TEST_SUCCEEDED: Final = "TestSucceeded"
TEST_FAILED: Final = "TestFailed"
ROLLBACK_SUCCEEDED: Final = "RollbackSucceeded"
ROLLBACK_FAILED: Final = "RollbackFailed"
UNINSTALL_SUCCEEDED: Final = "UninstallSucceeded"
UNINSTALL_FAILED: Final = "UninstallFailed"
ARTIFACT_FAILED: Final = "ArtifactFailed"
DEPENDENCY_NOT_READY: Final = "DependencyNotReady"
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
RECONCILIATION_SUCCEEDED: Final = "ReconciliationSucceeded"
RECONCILIATION_FAILED: Final = "ReconciliationFailed"

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
