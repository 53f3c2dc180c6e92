"""Sources (``source.toolkit.fluxcd.io`` v1, v1beta2, v1beta1), typed; one model takes the fields of all versions."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, Duration, Items, LocalReference, StringMap, Timeout, cel_rule, words_for
from gitsync.api.identity import ObjectKey
from gitsync.api.names import SOURCE_GROUP, SOURCE_VERSIONS
from gitsync.api.parts.chart import ChartChoice, Verification
from gitsync.api.resource import Resource
from gitsync.api.status import (
    BucketStatus,
    GitRepositoryStatus,
    HelmChartStatus,
    HelmRepositoryStatus,
    OCIRepositoryStatus,
)

DEFAULT_INTERVAL = 60.0
DEFAULT_TIMEOUT = 60.0

_HELM_URL = words_for(r"^(http|https|oci)://.*$", "must be a URL that begins with http://, https:// or oci://")
_OCI_URL = words_for(r"^oci://.*$", "must be a URL that begins with oci://")
_GIT_URL = words_for(
    r"^(http|https|ssh)://.*$",
    "must be a URL that begins with http://, https:// or ssh://; git@host:path is written ssh://git@host/path",
)
_STS_URL = words_for(r"^(http|https)://.*$", "must be a URL that begins with http:// or https://")

_INTERVAL = "How often to look for changes."
_TIMEOUT = "How long one request may take; 60s when unset."
_SUSPEND = "Do not look for changes."
_CERTS = "Secret with tls.crt and tls.key and/or ca.crt for the connection."
_PROXY = "Secret with the proxy's address, username and password."
_IGNORE = "What to leave out, in the syntax of .gitignore."
_ACCOUNT = "Service account whose credentials to use."

CloudProvider = Literal["generic", "aws", "azure", "gcp"]


class NamespaceSelector(ApiModel):
    """Namespaces by label."""

    match_labels: StringMap = Field(default_factory=dict, description="Labels that the namespace must have.")


class AccessFrom(ApiModel):
    """Accepted and without effect, as in Flux."""

    namespace_selectors: Items[NamespaceSelector] = Field(description="Namespaces that may refer to this.")


class _SourceSpec(ApiModel):
    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the Secrets that the source cannot be read without, of its own namespace."""
        fields = ("secret_ref", "cert_secret_ref", "proxy_secret_ref")
        named = [getattr(self, name, None) for name in fields]
        verify = getattr(self, "verify", None)
        named += [verify.secret_ref, getattr(verify, "trusted_root_secret_ref", None)] if verify is not None else []
        return tuple(reference.name for reference in named if reference is not None)

    @property
    def logs_in(self) -> bool:
        """Whether a cloud is asked for a login to a registry: where no Secret has one, as with Flux."""
        return getattr(self, "provider", "generic") != "generic" and getattr(self, "secret_ref", None) is None


class HelmRepositorySpec(_SourceSpec):
    """A Helm repository: an index over HTTP, or a registry."""

    url: Annotated[str, Field(pattern=_HELM_URL)] = Field(description="http(s):// or oci:// address.")
    type: Literal["default", "oci"] | None = Field(None, description="default, or oci for an oci:// address.")
    interval: Duration = Field(DEFAULT_INTERVAL, description=_INTERVAL + " 1m when unset.")
    timeout: Timeout = Field(DEFAULT_TIMEOUT, description=_TIMEOUT)
    secret_ref: LocalReference | None = Field(None, description="Secret with username and password, or for docker.")
    cert_secret_ref: LocalReference | None = Field(None, description=_CERTS)
    pass_credentials: bool = Field(False, description="Send the credentials also to other hosts that hold charts.")
    insecure: bool = Field(False, description="Speak plain HTTP to the registry; oci:// only.")
    provider: CloudProvider = Field("generic", description="Whose login to use, for oci://.")
    suspend: bool = Field(False, description=_SUSPEND)
    access_from: AccessFrom | None = Field(None, description="Accepted and without effect.")


class GitReference(ApiModel):
    """Which commit; a later field wins over an earlier one."""

    branch: str = Field("", description="A branch; master when nothing is set.")
    tag: str = Field("", description="A tag.")
    semver: str = Field("", description="The highest tag in a semver range.")
    name: str = Field("", description="A full reference, as refs/pull/1/head.")
    commit: str = Field("", description="A commit id; with branch: of that branch.")


class GitVerification(ApiModel):
    """Whose signature the commit or tag must carry."""

    mode: Literal["head", "HEAD", "Tag", "TagAndHEAD"] = Field("HEAD", description="HEAD (default), Tag or TagAndHEAD.")
    secret_ref: LocalReference = Field(description="Secret with public keys: .asc for PGP, .sshpub for SSH.")


class GitInclude(ApiModel):
    """Another repository's content, put into this one's."""

    repository: LocalReference = Field(description="The GitRepository.")
    from_path: str = Field("", description="What to take; all when unset.")
    to_path: str = Field("", description="Where to put it; a folder of the repository's name when unset.")


class GitRepositorySpec(_SourceSpec):
    """A Git repository."""

    model_config = cel_rule(
        "!has(self.serviceAccountName) || has(self.provider) && self.provider in ['azure', 'aws']",
        "serviceAccountName can only be set when provider is azure or aws",
    )

    url: Annotated[str, Field(pattern=_GIT_URL)] = Field(description="http(s):// or ssh:// address.")
    interval: Duration = Field(description=_INTERVAL)
    timeout: Timeout = Field(DEFAULT_TIMEOUT, description=_TIMEOUT)
    ref: GitReference | None = Field(None, description="What to check out.")
    secret_ref: LocalReference | None = Field(
        None, description="Secret with username and password, bearerToken, ca.crt, or identity and known_hosts."
    )
    provider: Literal["generic", "aws", "azure", "github"] = Field("generic", description="Whose login to use.")
    service_account_name: str | None = Field(None, description=_ACCOUNT)
    verify: GitVerification | None = Field(None, description="Check signatures.")
    proxy_secret_ref: LocalReference | None = Field(None, description=_PROXY)
    ignore: str | None = Field(None, description=_IGNORE)
    sparse_checkout: Items[str] = Field((), description="Directories to read; all when unset.")
    recurse_submodules: bool = Field(False, description="Read submodules too.")
    include: Items[GitInclude] = Field((), description="Other repositories to include.")
    suspend: bool = Field(False, description=_SUSPEND)
    git_implementation: Literal["go-git", "libgit2"] | None = Field(None, description="Deprecated and without effect.")
    access_from: AccessFrom | None = Field(None, description="Accepted and without effect.")


class OCIReference(ApiModel):
    """Which artifact; a later field wins over an earlier one."""

    tag: str = Field("", description="A tag; latest when nothing is set.")
    semver: str = Field("", description="The highest tag in a semver range.")
    semver_filter: str = Field("", description="Regular expression over the tags that count for semver.")
    digest: str = Field("", description="A digest, sha256:<hex>.")


class LayerSelector(ApiModel):
    """Which layer of the artifact, and what to do with it."""

    media_type: str = Field("", description="Media type of the layer; the first layer when unset.")
    operation: Literal["extract", "copy"] | None = Field(None, description="extract (default) or copy.")


class OCIRepositorySpec(_SourceSpec):
    """An artifact in a registry."""

    url: Annotated[str, Field(pattern=_OCI_URL)] = Field(description="oci:// address.")
    ref: OCIReference | None = Field(None, description="Which artifact.")
    layer_selector: LayerSelector | None = Field(None, description="Which layer.")
    interval: Duration = Field(description=_INTERVAL)
    timeout: Timeout = Field(DEFAULT_TIMEOUT, description=_TIMEOUT)
    provider: CloudProvider = Field("generic", description="Whose login to use.")
    secret_ref: LocalReference | None = Field(None, description="Secret of type kubernetes.io/dockerconfigjson.")
    cert_secret_ref: LocalReference | None = Field(None, description=_CERTS)
    proxy_secret_ref: LocalReference | None = Field(None, description=_PROXY)
    service_account_name: str | None = Field(None, description=_ACCOUNT)
    verify: Verification | None = Field(None, description="Check the signature.")
    ignore: str | None = Field(None, description=_IGNORE)
    insecure: bool = Field(False, description="Speak plain HTTP to the registry.")
    suspend: bool = Field(False, description=_SUSPEND)


class BucketSts(ApiModel):
    """Where temporary credentials come from."""

    provider: Literal["aws", "ldap"] = Field(description="What kind of service that is.")
    endpoint: Annotated[str, Field(pattern=_STS_URL)] = Field(description="http(s):// address of the service.")
    secret_ref: LocalReference | None = Field(None, description="Secret with username and password; ldap only.")
    cert_secret_ref: LocalReference | None = Field(None, description=_CERTS)


class BucketSpec(_SourceSpec):
    """Objects of a bucket."""

    model_config = cel_rule(
        "!has(self.secretRef) || !has(self.serviceAccountName)", "cannot set both secretRef and serviceAccountName"
    )

    bucket_name: str = Field(description="Name of the bucket.")
    endpoint: str = Field(description="Host and port of the server.")
    provider: CloudProvider = Field("generic", description="Whose API and login to use; generic is S3.")
    sts: BucketSts | None = Field(None, description="Service that gives temporary credentials.")
    region: str = Field("", description="Region of the bucket.")
    prefix: str = Field("", description="What the keys begin with that count; all when unset.")
    secret_ref: LocalReference | None = Field(None, description="Secret with accesskey and secretkey.")
    service_account_name: str | None = Field(None, description=_ACCOUNT)
    cert_secret_ref: LocalReference | None = Field(None, description=_CERTS)
    proxy_secret_ref: LocalReference | None = Field(None, description=_PROXY)
    interval: Duration = Field(description=_INTERVAL)
    timeout: Timeout = Field(DEFAULT_TIMEOUT, description=_TIMEOUT)
    ignore: str | None = Field(None, description=_IGNORE)
    insecure: bool = Field(False, description="Speak plain HTTP.")
    suspend: bool = Field(False, description=_SUSPEND)
    access_from: AccessFrom | None = Field(None, description="Accepted and without effect.")


class LocalSourceReference(ApiModel):
    """A source in the same namespace."""

    api_version: str = Field("", description="API version of the source; not needed.")
    kind: Literal["HelmRepository", "GitRepository", "Bucket"] = Field(description="Kind of the source.")
    name: str = Field(description="Name of the source.")


class HelmChartSpec(ChartChoice):
    """One chart of a source."""

    source_ref: LocalSourceReference = Field(description="The source that holds the chart.")
    interval: Duration = Field(description=_INTERVAL)
    suspend: bool = Field(False, description=_SUSPEND)
    access_from: AccessFrom | None = Field(None, description="Accepted and without effect.")


class _Source(Resource):
    group: ClassVar[str] = SOURCE_GROUP
    versions: ClassVar[tuple[str, ...]] = SOURCE_VERSIONS


class HelmRepository(_Source):
    """A Helm repository."""

    kind: Literal["HelmRepository"]
    spec: HelmRepositorySpec

    @cached_property
    def status(self) -> HelmRepositoryStatus:
        """The status, typed; everything unset when there is none."""
        return HelmRepositoryStatus.read(self.manifest.get("status"))


class GitRepository(_Source):
    """A Git repository, or a part of one, that charts are taken from."""

    kind: Literal["GitRepository"]
    spec: GitRepositorySpec

    @cached_property
    def status(self) -> GitRepositoryStatus:
        """The status, typed; everything unset when there is none."""
        return GitRepositoryStatus.read(self.manifest.get("status"))


class OCIRepository(_Source):
    """An artifact in a registry."""

    versions: ClassVar[tuple[str, ...]] = ("v1", "v1beta2")

    kind: Literal["OCIRepository"]
    spec: OCIRepositorySpec

    @cached_property
    def status(self) -> OCIRepositoryStatus:
        """The status, typed; everything unset when there is none."""
        return OCIRepositoryStatus.read(self.manifest.get("status"))


class Bucket(_Source):
    """Objects of a bucket."""

    versions: ClassVar[tuple[str, ...]] = ("v1", "v1beta2")

    kind: Literal["Bucket"]
    spec: BucketSpec

    @cached_property
    def status(self) -> BucketStatus:
        """The status, typed; everything unset when there is none."""
        return BucketStatus.read(self.manifest.get("status"))


class HelmChart(_Source):
    """One chart of a source."""

    kind: Literal["HelmChart"]
    spec: HelmChartSpec

    @cached_property
    def source(self) -> ObjectKey:
        """The source that it is a chart of."""
        reference = self.spec.source_ref
        return ObjectKey(SOURCE_GROUP, reference.kind, self.metadata.namespace, reference.name)

    @cached_property
    def status(self) -> HelmChartStatus:
        """The status, typed; everything unset when there is none."""
        return HelmChartStatus.read(self.manifest.get("status"))


#: Whatever a release's chart is had from.
ChartHolder = HelmRepository | OCIRepository | GitRepository | Bucket | HelmChart
