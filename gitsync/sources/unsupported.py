"""Fields of sources that gitsync does not honour yet, and must not ignore: an object that has one is refused. A
signature that would not be checked must not count as checked. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitsync.api.names import HELM_REPOSITORY
from gitsync.api.parts.chart import Verification
from gitsync.api.sources import (
    Bucket,
    ChartHolder,
    GitRepository,
    HelmChart,
    HelmRepositorySpec,
    OCIRepository,
    OCIRepositorySpec,
)
from gitsync.errors import FieldNotSupported
from gitsync.logins import stranger

#: A field, why it is refused, and what to do.
Refusal = tuple[str, str, str]


def refused(source: ChartHolder) -> Iterator[Refusal]:
    """The fields that keep a source from being read."""
    if isinstance(source, Bucket):
        yield from _refused_of_bucket(source)
        return
    if isinstance(source, HelmChart):
        yield from _refused_of_chart(source)
        return
    if isinstance(source, GitRepository):
        yield from _refused_of_git(source)
        return
    spec = source.spec
    is_registry = spec.url.startswith("oci://")
    if is_registry and spec.logs_in:
        yield from _refused_with_login(spec)
    if isinstance(source, OCIRepository):
        yield from _refused_of_artifact(source)


def _refused_with_login(spec: HelmRepositorySpec | OCIRepositorySpec) -> Iterator[Refusal]:
    """The fields that would send the agent's own cloud login to a server other than that cloud's."""
    provider, host = spec.provider, spec.url.removeprefix("oci://").partition("/")[0]
    if why := stranger(provider, host):
        yield "spec.provider", f"{provider}: {why}", "use provider generic, with a secretRef"
    if spec.insecure:
        why = f"provider {provider} sends a login of a cloud to the registry, and none is sent over plain http"
        yield "spec.insecure", why, "remove spec.insecure, or use provider generic"
    if spec.cert_secret_ref is not None:
        why = f"provider {provider} sends a login of a cloud to the registry, whose certificate is a public one"
        yield "spec.certSecretRef", why, "remove spec.certSecretRef, or use provider generic with a secretRef"


def _refused_of_artifact(source: OCIRepository) -> Iterator[Refusal]:
    if source.spec.verify is not None:
        yield from refused_of_verify("spec.verify", source.spec.verify)


def refused_of_verify(field: str, verify: Verification) -> Iterator[Refusal]:
    """Ways of signing that gitsync does not check; it checks cosign's."""
    hint = f"use cosign with the keys of a Secret, or remove {field}, if the artifact may be used without"
    if verify.provider != "cosign":
        why = f"signatures of {verify.provider} are not checked, and what was not checked is not used"
        yield f"{field}.provider", why, hint
    elif verify.secret_ref is None and not verify.match_oidc_identity:
        why = "without it a signature by anybody would count"
        yield f"{field}.matchOIDCIdentity", why, "say by issuer and subject whose signatures count"
    elif verify.secret_ref is not None and (verify.match_oidc_identity or verify.trusted_root_secret_ref is not None):
        name = "matchOIDCIdentity" if verify.match_oidc_identity else "trustedRootSecretRef"
        yield f"{field}.{name}", "says nothing of a signature with a key", f"remove {field}.{name}, or secretRef"


def _refused_of_chart(source: HelmChart) -> Iterator[Refusal]:
    if (verify := source.spec.verify) is None:
        return
    if source.spec.source_ref.kind == HELM_REPOSITORY:
        yield from refused_of_verify("spec.verify", verify)
    else:
        kind, hint = source.spec.source_ref.kind, "remove spec.verify, and have the source verified"
        yield "spec.verify", f"is for charts of registries, and this one is from a {kind}", hint


def _refused_of_git(source: GitRepository) -> Iterator[Refusal]:
    spec = source.spec
    if spec.provider == "aws":
        hint = "use provider generic, with a secretRef that is kept current"
        yield "spec.provider", "aws is not supported yet: gitsync does not log in to CodeCommit", hint
    if spec.provider in ("github", "azure") and not spec.url.startswith("https://"):
        yield "spec.url", f"provider {spec.provider} is for https alone", "use an https URL, or provider generic"
    if spec.provider == "github" and spec.secret_ref is None:
        hint = "add spec.secretRef, a Secret with githubAppID and its kin"
        yield "spec.provider", "github needs a Secret with a GitHub App", hint
    if spec.proxy_secret_ref is not None and spec.url.startswith("ssh://"):
        yield "spec.proxySecretRef", "is not supported for ssh", "use an https URL, or remove spec.proxySecretRef"


def _refused_of_bucket(source: Bucket) -> Iterator[Refusal]:
    spec = source.spec
    if spec.provider in ("gcp", "azure"):
        hint = "use provider generic, if the storage speaks S3 (Google's does, with HMAC keys)"
        yield "spec.provider", f"{spec.provider} is not supported yet: its API is not spoken", hint
    if spec.provider == "aws" and spec.secret_ref is None:
        hint = "add spec.secretRef, a Secret with accesskey and secretkey"
        yield (
            "spec.provider",
            "aws without secretRef is not supported yet: gitsync does not log in to a cloud for a Bucket",
            hint,
        )
    if spec.sts is not None:
        hint = "remove spec.sts, and add spec.secretRef with accesskey and secretkey"
        yield "spec.sts", "is not supported yet: no temporary credentials are fetched", hint
    if spec.service_account_name:
        hint = "remove it, and add spec.secretRef with accesskey and secretkey"
        yield "spec.serviceAccountName", "is not supported yet: gitsync does not log in to a cloud for a Bucket", hint


def check_supported(source: ChartHolder) -> None:
    """Raises: FieldNotSupported, for the first of them."""
    for field, why, hint in refused(source):
        raise FieldNotSupported(f"{field}: {why}", hint=hint)
