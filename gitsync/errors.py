"""The errors of gitsync, as a tree. Every class carries fields; texts are for people and are never matched.

    GitsyncError                     what happened, where, what to do
    ├── RetryableError               the environment's fault: tried again with backoff, never spends a retry
    │   ├── GitUnavailable           the remote cannot be reached, hangs, or refuses us for now
    │   │   ├── GitAuthRefused       it does not take our credentials (tokens rotate: tried again)
    │   │   ├── GitRefMissing        no such branch, tag or commit there (a push may bring it)
    │   │   └── StateUnwritable      its mirror cannot be written: a full disk, a read-only volume
    │   ├── ArtifactPending          no commit was carried out since the start: the first one wakes who waits for it
    │   ├── SourceUnavailable        the server of a source is away, overloaded (429) or failing (5xx)
    │   │   └── ChartRepositoryUnavailable
    │   ├── ClusterUnavailable       the API server is away, overloaded (429) or failing (5xx)
    │   │   └── WebhookUnavailable   it cannot ask an admission webhook that has a say in the request
    │   ├── ReleaseNotAllowed        an install or upgrade that RBAC, a quota or a namespace's end does not let through
    │   ├── ServiceAccountMissing    the account that a release is to be worked on as does not exist
    │   ├── KustomizeUnavailable     kustomize cannot be run, or does not end in time
    │   ├── NoRoom                   no disk takes what has to wait, and there is too much of it for memory
    │   └── WorkerLost               a child process that cannot be used, or that somebody else has ended, twice
    ├── TerminalError                the same input fails again: needs a commit or a person
    │   ├── SettingsError            configuration that cannot be used
    │   ├── GitRefused               a URL, reference or credential that will never work
    │   ├── ArtifactPathMissing      a directory that an artifact does not have, or that cannot be read in it
    │   ├── ManifestError            a file, document or field that cannot be used (file:line:column)
    │   ├── YamlError                text that is no YAML or JSON as Kubernetes reads it (line and column in the text)
    │   ├── FieldErrors              an object of our own kinds with fields that cannot be used
    │   ├── NotVerified              a commit, tag or artifact without a signature by a key that is trusted
    │   ├── SourceError              what a source's server has, or how to reach it, cannot be used
    │   │   ├── SourceMissing        it has no such thing (404)
    │   │   └── ArtifactError        an artifact that is not what its digest or its media type says
    │   ├── ChartError               a chart that cannot be found, verified or loaded
    │   │   ├── ChartNotFound        no such chart, version or path
    │   │   ├── ValuesError          values that are malformed or break the chart's schema
    │   │   └── RenderError          a template that fails
    │   │       └── PostRenderError  what postRenderers cannot do to what was rendered
    │   ├── KustomizeError           what kustomize does not take
    │   ├── LimitExceeded            what foreign input asks for is more than the process that works on it gives
    │   ├── ApiError                 the API server's answer to one request about one object
    │   │   ├── NotFound (404)  Conflict (409)  AlreadyExists (409)  Invalid (422, 400)
    │   │   │   └── ImmutableField   a change that only a new object can have
    │   │   ├── Forbidden (403)  Unauthorized (401)  Gone (410)
    │   │   │   ├── MissingRight     RBAC says no: heals when somebody grants the right, and spends no retry either
    │   │   │   └── QuotaExceeded  NamespaceTerminating: pass, too, and spend no retry
    │   │   └── KindUnknown          no such API; may come into being with a CRD
    │   ├── FieldNotSupported        a field that gitsync does not honour yet, and may not pass over
    │   ├── KubeConfigRefused        another cluster, by a Secret or ConfigMap that cannot or may not be used
    │   ├── CrossNamespaceRefused    a reference to another namespace, where settings allow none
    │   ├── NotServed                an object of our own kinds in a namespace that the agent does not serve
    │   ├── OwnedByAnother           an object in Git that another sync or a release has and wants
    │   ├── ReleaseNameTaken         another HelmRelease is about the same Helm release
    │   ├── InventoryError           the sync's own state in the cluster cannot be read or stored
    │   └── ReleaseError             an action on a release that failed
    │       ├── UninstallFailed      tried again until it succeeds
    │       ├── NotReadyInTime       a wait that met its deadline, with what it waited for
    │       └── ObjectFailed         an object that says it has failed, with its reason
    ├── BlockedError                 held back by something else, woken when that changes
    │   ├── DependencyNotReady  DependencyMissing  DependencyCycle
    │   ├── SourceNotReady
    │   ├── ObjectTaken              an object that a sync or another release has, and wants as well
    │   ├── ReleaseNameLeft          a Helm release of a HelmRelease that is about to be removed or changed
    │   ├── KubeConfigMissing        the Secret, key or ConfigMap that kubeConfig names
    │   └── ValuesMissing            a ConfigMap, Secret or key that valuesFrom names
    └── Superseded                   a newer desired state ended this work; not a failure

Foreign errors are mapped where they enter: GitPython's in git/, helm_python's in helm/native.py, PyYAML's in
kubeyaml/libyaml.py, HTTP's in cluster/, http/.
Cancellation (asyncio.CancelledError) is never turned into one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitsync.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.fields import FieldError
    from gitsync.api.identity import ObjectKey, Origin


class GitsyncError(Exception):
    """Base of all. ``message`` says what happened; ``hint`` what to do about it ("" when there is nothing to add).

    No message or hint may hold a credential or a Secret's value: whoever raises keeps them out.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def told(self) -> str:
        """What happened and what to do about it, where there is one text for both: in a condition."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class RetryableError(GitsyncError):
    """The environment's fault. ``retry_after`` is what the other side asked us to wait, in seconds."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class GitUnavailable(RetryableError):
    """The Git remote cannot be reached or does not answer in time."""


class GitAuthRefused(GitUnavailable):
    """The Git remote does not take our credentials, or asks for some and there are none."""


class GitRefMissing(GitUnavailable):
    """The branch, tag or commit does not exist at the remote, or the repository is empty."""


class StateUnwritable(GitUnavailable):
    """The mirror cannot be written: the disk is full, or the state directory read-only. What is in it can be read."""


class ArtifactPending(RetryableError):
    """What is asked for is on its way: no commit of a repository was carried out since the start, or a newer one has
    yet to be taken up by who asks. ``retry_after`` is when to look again, None when a status is to say so."""


class SourceUnavailable(RetryableError):
    """The server of a source cannot be reached, does not answer in time, or answers with a 5xx. ``url`` is where,
    without credentials."""

    def __init__(self, message: str, *, url: str, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.url = url


class ChartRepositoryUnavailable(SourceUnavailable):
    """The same of a chart repository, or of a registry that charts are had from."""


class ClusterUnavailable(RetryableError):
    """The API server is away, overloaded or failing. ``status`` is the HTTP status, None when there was no answer."""

    def __init__(
        self, message: str, *, status: int | None = None, hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.status = status


class WebhookUnavailable(ClusterUnavailable):
    """500: the API server cannot ask an admission webhook: its service does not exist or does not serve yet. Other
    requests are answered meanwhile, among them perhaps those that bring the webhook.
    """


class ServiceAccountMissing(RetryableError):
    """There is no such ServiceAccount; rights may have been given to its name, but nobody made it."""


class ReleaseNotAllowed(RetryableError):
    """403 in the middle of an install, upgrade or rollback (``action``), for a reason that passes by itself or when
    somebody grants a right (see PASSING); the action goes on then."""

    def __init__(self, message: str, *, action: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.action = action


class KustomizeUnavailable(RetryableError):
    """kubectl is not there or cannot be started, there is no room for its files, or it does not end in time."""


class SopsUnavailable(RetryableError):
    """sops is not there, cannot be started, does not end in time, or a server does not give it a key."""


class NoRoom(RetryableError):
    """What came from outside and has to wait for its turn can be put neither on a disk nor into memory."""


class WorkerLost(RetryableError):
    """A child process for foreign input cannot be started, or was ended by somebody else at every try."""


class TerminalError(GitsyncError):
    """The same input fails the same way; only a commit or a person can change that."""


class SettingsError(TerminalError):
    """A setting that cannot be used. ``setting`` is its name as the documentation writes it."""

    def __init__(self, message: str, *, setting: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.setting = setting


class GitRefused(TerminalError):
    """A URL, reference or credential that is wrong, or a transport that is not allowed."""


class NotVerified(TerminalError):
    """What has to carry a signature by a key that is trusted does not, or that could not be found out. ``reason`` is
    the one that Flux's conditions give, ``signer`` who has signed (a key id or fingerprint), "" for nobody."""

    def __init__(self, message: str, *, reason: str = "", signer: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.signer = signer


class ArtifactPathMissing(TerminalError):
    """An artifact at ``revision`` has no directory ``path``. ``reason`` says what is there instead, "" for nothing."""

    def __init__(self, path: str, *, revision: str, reason: str = "", hint: str = "") -> None:
        super().__init__(f"there is no directory `{path}`" + (f": {reason}" if reason else ""), hint=hint)
        self.path = path
        self.revision = revision
        self.reason = reason


class ManifestError(TerminalError):
    """Something in a file of the repository that cannot be used.

    ``origin`` is where (path, line and column, both 1-based, 0 when unknown), ``field`` the dotted path inside the
    object ("" when the whole document is meant), ``key`` the object when it could be told which. ``is_certain``: it is
    known that no variable of postBuild has a part in it.
    """

    is_certain = False

    def __init__(
        self, message: str, *, origin: Origin, field: str = "", key: ObjectKey | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin
        self.field = field
        self.key = key

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class EncryptedError(ManifestError):
    """Something that is encrypted, where nothing decrypts it."""

    is_certain = True


class DirectoryMissing(ManifestError):
    """A directory that is to be built, and that nothing in the tree is in or stands for."""


class FieldErrors(TerminalError):
    """An object of our own kinds that cannot be read. ``errors`` names every field at fault, ``key`` the object."""

    def __init__(self, errors: Sequence[FieldError], *, key: ObjectKey | None = None) -> None:
        super().__init__((f"{key}: " if key else "") + listed(errors, 5, separator="; "))
        self.errors = tuple(errors)
        self.key = key


class YamlError(TerminalError):
    """Text that Kubernetes does not read as YAML or JSON.

    ``line`` and ``column`` are 1-based and count within the text that was read; 0 when the place is not known. The
    message holds no content of the text but names of keys.
    """

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class NotYaml(YamlError):
    """Text that libyaml refuses. Its port, which Helm and Kubernetes read by, takes a little of that: ``[fe80::]``."""


class SourceError(TerminalError):
    """What the server of a source has, or how it is to be reached, cannot be used. ``url`` is where, without
    credentials; ``status`` the HTTP status of its answer, 0 for what has none."""

    def __init__(self, message: str, *, url: str = "", status: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.url = url
        self.status = status


class LoginRefused(SourceError):
    """Whoever gives logins that end (a cloud, GitHub) gives us none, or we have nothing to ask for one with."""


class SourceMissing(SourceError):
    """404: the server has no such thing."""


class ArtifactError(SourceError):
    """An artifact that is not what its digest or its media type says, or has no such layer."""


class ChartError(TerminalError):
    """A chart that cannot be used. ``chart`` is its name or path, ``version`` the one asked for."""

    def __init__(self, message: str, *, chart: str = "", version: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.chart = chart
        self.version = version


class ChartNotFound(ChartError):
    """The repository has no such chart, or no version of it in the range asked for."""


class ValuesError(ChartError):
    """Values that cannot be read, or that break the chart's values.schema.json.

    ``fields`` is what the schema complains about, as (dotted path of the value, complaint without the value itself).
    """

    def __init__(
        self,
        message: str,
        *,
        chart: str = "",
        version: str = "",
        fields: Sequence[tuple[str, str]] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, chart=chart, version=version, hint=hint)
        self.fields = tuple(fields)


class RenderError(ChartError):
    """A template that fails with these values, or renders what is no manifest.

    ``template`` is its path inside the chart and ``line`` the line of its source, 1-based, 0 when unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        chart: str = "",
        version: str = "",
        template: str = "",
        line: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, chart=chart, version=version, hint=hint)
        self.template = template
        self.line = line


class PostRenderError(RenderError):
    """A change of ``postRenderers`` that cannot be made. ``field`` is the one that asks for it."""

    def __init__(self, message: str, *, field: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class KustomizeError(TerminalError):
    """What kustomize does not take, in its words but for the patches and objects that it quotes. ``path`` is the file
    or directory that it is about, of those that it was given; "" for the topmost directory."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class SopsError(TerminalError):
    """A text that cannot be decrypted with the keys that there are. Quotes nothing of it but for whom it is."""


class LimitExceeded(TerminalError):
    """Foreign input asked for more than the child process that worked on it gives. The message goes on from what was
    done: ``needs more than 192 MiB of memory``; ``limit`` is memory, time, size or crash.
    """

    def __init__(self, message: str, *, limit: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit


class ApiError(TerminalError):
    """The API server's answer to one request. ``key`` is the object, ``verb`` what was asked, ``reason`` Kubernetes'
    own word (``AlreadyExists``, ``FieldManagerConflict``, ...), ``causes`` the fields it complains about as pairs of
    field and message.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason: str = "",
        verb: str = "",
        key: ObjectKey | None = None,
        causes: Sequence[tuple[str, str]] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.verb = verb
        self.key = key
        self.causes = tuple(causes)


class NotFound(ApiError):
    """404: no such object (or namespace)."""


class Conflict(ApiError):
    """409: the object has changed since it was read, or another manager owns a field."""


class AlreadyExists(Conflict):
    """409 with reason AlreadyExists, answered to a create."""


class Invalid(ApiError):
    """400 or 422: the API server does not take the object. ``causes`` names the fields."""


class ImmutableField(Invalid):
    """422: the object would be taken as a new one, but what is there may not be changed so."""


class Forbidden(ApiError):
    """403: our rights, a quota or an admission plugin say no."""


class MissingRight(Forbidden):
    """403 by the authorizer (RBAC): whoever we were may not do that. The message names user, verb, resource and
    namespace in the API server's words, and what would help.
    """


class QuotaExceeded(Forbidden):
    """403: a ResourceQuota leaves no room for the object."""


class NamespaceTerminating(Forbidden):
    """403: the namespace is being deleted, so that nothing can be created in it any more."""


class Unauthorized(ApiError):
    """401, also after the credentials were renewed."""


#: Not the release's fault, and nothing that doing something else would fix: tried again until somebody grants rights,
#: or brings other credentials (SettingsError: those that a plugin should renew).
NO_ACCESS = (MissingRight, Unauthorized, SettingsError)
#: These and what else is no fault of a release and passes by itself, or when somebody else does something.
PASSING = (*NO_ACCESS, QuotaExceeded, NamespaceTerminating)


class Gone(ApiError):
    """410: a resourceVersion or continue token too old to go on from; list again."""


class KindUnknown(ApiError):
    """The API server serves no such group and kind; a CRD applied a moment ago may still bring it."""

    def __init__(self, message: str, *, group: str = "", kind: str = "", version: str = "", **answer: Any) -> None:
        """``group``, ``kind`` and ``version`` are what discovery does not know, "" for an answer to another request."""
        given: dict[str, Any] = {"status": 404, "reason": "NotFound", "verb": "discover", **answer}
        super().__init__(message, **given)
        self.group = group
        self.kind = kind
        self.version = version


class FieldNotSupported(TerminalError):
    """A field whose neglect would give another release than the one asked for."""


class KubeConfigRefused(TerminalError):
    """Another cluster, by a Secret or ConfigMap that cannot be used, or holds what is not allowed; another one may be
    better."""


class CrossNamespaceRefused(TerminalError):
    """A reference to an object in another namespace, while ``cross_namespace_refs`` is off."""


class NotServed(TerminalError):
    """A HelmRelease or HelmRepository in Git for a namespace beyond ``watch_namespace``: nobody would work on it."""


class OwnedByAnother(TerminalError):
    """An object in Git that another sync or a release has in the cluster, and goes on wanting; it is left alone."""


class ReleaseNameTaken(TerminalError):
    """A Helm release that another HelmRelease has already."""


class InventoryError(TerminalError):
    """The inventory or journal in the cluster is damaged, or too large to be stored."""


class ReleaseError(TerminalError):
    """An action on a release that failed. ``action`` is install, upgrade, rollback, uninstall or test."""

    def __init__(self, message: str, *, action: str = "", key: ObjectKey | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.action = action
        self.key = key


class UninstallFailed(ReleaseError):
    """A release that could not be uninstalled. ``condition`` is the condition of its HelmRelease that says so."""

    def __init__(self, message: str, *, condition: str, hint: str = "") -> None:
        super().__init__(message, action="uninstall", hint=hint)
        self.condition = condition


class NotReadyInTime(ReleaseError):
    """A wait that met its deadline; the message says for what, and why that was not ready."""


class ObjectFailed(ReleaseError):
    """An object whose own status says that it has failed for good (a Job over its backoff limit)."""


class BlockedError(GitsyncError):
    """Held back by something else. Not a failure: a change of that something wakes the release."""


class DependencyNotReady(BlockedError):
    """Dependencies that exist but are not ready."""


class DependencyMissing(BlockedError):
    """A dependsOn that names nothing."""


class DependencyCycle(BlockedError):
    """Releases that wait for each other."""


class SourceNotReady(BlockedError):
    """A HelmRepository that does not exist, is suspended or has never been read."""


class SourceNotReadYet(SourceNotReady):
    """The synced repository, of which no commit has been carried out since the agent's start."""


class NoSuchSource(SourceNotReady):
    """A source that does not exist."""


class ObjectTaken(BlockedError):
    """An object of a release that a sync or another release has, and goes on wanting. ``key`` is the object, ``owner``
    the HelmRelease that has it, None when a sync does. ``passing``: the owner is about to be changed itself.
    """

    def __init__(
        self, message: str, *, key: ObjectKey, owner: ObjectKey | None, hint: str = "", passing: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.owner = owner
        self.passing = passing


class ReleaseNameLeft(BlockedError):
    """A Helm release whose HelmRelease is about to be removed, or changed, and may leave it to this one."""


class KubeConfigMissing(BlockedError):
    """The Secret that ``kubeConfig`` names, or its key, or the ConfigMap, does not exist."""


class ValuesMissing(BlockedError):
    """A ConfigMap or Secret that ``valuesFrom`` names, or a key of it, does not exist."""


class Superseded(GitsyncError):
    """A newer desired state ended this work before it was done. Not a failure: the newer state is next."""
