"""Flags of ``gitsync create source`` that belong together, and what of a manifest they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from gitsync.api.identity import Manifest
from gitsync.cli.cluster.create import flags
from gitsync.cli.cluster.create.creating import Applying, kind_and_name, listed, reference, stated
from gitsync.cli.cluster.create.secrets import bucket_keys, git_login, login, tls_files, verification
from gitsync.cli.common.durations import seconds
from gitsync.cli.common.options import FlagGroup


@dataclass(frozen=True, kw_only=True)
class Ending(FlagGroup):
    """What every source has that is fetched from a server. Flags are shown in the order of fields."""

    fetch_timeout: flags.FetchTimeout = ""
    label: flags.Labels = None
    applying: Applying

    @property
    def timeout(self) -> str:
        """``spec.timeout``. Raises: typer.BadParameter."""
        if self.fetch_timeout:
            seconds(self.fetch_timeout, "--fetch-timeout")
        return self.fetch_timeout


@dataclass(frozen=True)
class HelmLogin(FlagGroup):
    """How to get into a chart repository: by Secrets that are there, or by one that is made."""

    secret_ref: flags.SecretRef = ""
    username: flags.Username = ""
    password: flags.Password = ""
    ca_file: flags.CaFile = None
    cert_file: flags.CertFile = None
    key_file: flags.KeyFile = None
    cert_secret_ref: flags.CertSecretRef = ""

    def made(self, namespace: str, name: str) -> Manifest | None:
        """The Secret of the object's own name, None where there is nothing to keep. Raises: typer.BadParameter."""
        tls = tls_files(self.ca_file, self.cert_file, self.key_file)
        found = login(namespace, name, self.username, self.password, tls)
        either(self.secret_ref, self.username, "--secret-ref")
        either(self.cert_secret_ref, tls, "--cert-secret-ref")
        either(self.secret_ref if self.secret_ref == name else "", found, "--secret-ref")
        return found

    def fields(self, name: str) -> dict[str, Any]:
        """What refers to these Secrets."""
        has_tls = any((self.ca_file, self.cert_file, self.key_file))
        return {
            "secretRef": reference(self.secret_ref or (name if self.username else "")),
            "certSecretRef": reference(self.cert_secret_ref or (name if has_tls else "")),
        }


@dataclass(frozen=True)
class GitLogin(FlagGroup):
    """How to get into a Git repository: by a Secret that is there, or by one that is made."""

    secret_ref: flags.GitSecretRef = ""
    username: flags.Username = ""
    password: flags.Password = ""
    ca_file: flags.CaFile = None
    private_key_file: flags.PrivateKeyFile = None
    known_hosts_file: flags.KnownHostsFile = None

    def made(self, namespace: str, name: str, url: str) -> Manifest | None:
        """The Secret of the object's own name, None where there is nothing to keep. Raises: typer.BadParameter."""
        basic, keys = (self.username, self.password), (self.private_key_file, self.known_hosts_file)
        found = git_login(namespace, name, url, basic, self.ca_file, keys)
        either(self.secret_ref, found, "--secret-ref")
        return found


@dataclass(frozen=True)
class BucketLogin(FlagGroup):
    """How to get into a bucket: by a Secret that is there, or by one that is made."""

    secret_ref: flags.KeysSecretRef = ""
    access_key: flags.AccessKey = ""
    secret_key: flags.SecretKey = ""

    def made(self, namespace: str, name: str) -> Manifest | None:
        """The Secret of the object's own name, None where there is nothing to keep. Raises: typer.BadParameter."""
        found = bucket_keys(namespace, name, self.access_key, self.secret_key)
        either(self.secret_ref, found, "--secret-ref")
        return found


@dataclass(frozen=True)
class OciReference(FlagGroup):
    """Which artifact of a repository."""

    tag: flags.Tag = ""
    tag_semver: flags.TagSemver = ""
    tag_semver_filter: flags.TagSemverFilter = ""
    digest: flags.Digest = ""

    @property
    def field(self) -> dict[str, Any]:
        """``spec.ref``."""
        fields = {"tag": self.tag, "semver": self.tag_semver, "semverFilter": self.tag_semver_filter}
        return stated({**fields, "digest": self.digest})


@dataclass(frozen=True)
class Layer(FlagGroup):
    """Which layer of an artifact, and what is done with it."""

    layer_selector_media_type: flags.MediaType = flags.CHART_LAYER
    layer_selector_operation: flags.Operation = "copy"
    layer_selector: flags.Selector = ""

    @property
    def field(self) -> dict[str, str]:
        """``spec.layerSelector``. Raises: typer.BadParameter."""
        if not self.layer_selector:
            return {"mediaType": self.layer_selector_media_type, "operation": self.layer_selector_operation}
        text = self.layer_selector
        media_type, _, operation = text.rpartition(":")
        if not media_type or operation not in ("extract", "copy"):
            raise typer.BadParameter(f"{text!r} is not TYPE:OPERATION, extract or copy", param_hint="--layer-selector")
        return {"mediaType": media_type, "operation": operation}


@dataclass(frozen=True)
class OciAccess(FlagGroup):
    """How to get into a registry."""

    secret_ref: flags.DockerSecretRef = ""
    service_account: flags.PullAccount = ""
    cert_secret_ref: flags.CertRef = ""
    proxy_secret_ref: flags.ProxySecretRef = ""
    provider: flags.CloudProvider = "generic"

    @property
    def fields(self) -> dict[str, Any]:
        """What refers to Secrets and an account."""
        return {
            "secretRef": reference(self.secret_ref),
            "serviceAccountName": self.service_account,
            "certSecretRef": reference(self.cert_secret_ref),
            "proxySecretRef": reference(self.proxy_secret_ref),
        }


@dataclass(frozen=True)
class Verifying(FlagGroup):
    """What something has to be signed with."""

    verify_provider: flags.VerifyProvider = ""
    verify_secret_ref: flags.VerifySecretRef = ""
    verify_issuer: flags.VerifyIssuer = ""
    verify_subject: flags.VerifySubject = ""
    verify_trusted_root_secret_ref: flags.VerifyTrustedRoot = ""

    @property
    def field(self) -> dict[str, Any]:
        """``spec.verify``. Raises: typer.BadParameter."""
        root = self.verify_trusted_root_secret_ref
        signer = self.verify_issuer, self.verify_subject
        return verification(self.verify_provider, self.verify_secret_ref, *signer, root)


@dataclass(frozen=True)
class GitReference(FlagGroup):
    """Which commit of a repository."""

    branch: flags.Branch = ""
    tag: flags.GitTag = ""
    tag_semver: flags.TagSemver = ""
    ref_name: flags.RefName = ""
    commit: flags.Commit = ""

    @property
    def field(self) -> dict[str, Any]:
        """``spec.ref``."""
        fields = {"branch": self.branch, "tag": self.tag, "semver": self.tag_semver}
        return stated({**fields, "name": self.ref_name, "commit": self.commit})


@dataclass(frozen=True)
class GitContent(FlagGroup):
    """What of a commit is read."""

    recurse_submodules: flags.RecurseSubmodules = False
    sparse_checkout_paths: flags.Sparse = None
    ignore_paths: flags.IgnorePaths = None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the same names."""
        return {
            "recurseSubmodules": self.recurse_submodules,
            "sparseCheckout": listed(self.sparse_checkout_paths),
            "ignore": "\n".join(listed(self.ignore_paths)),
        }


@dataclass(frozen=True)
class BucketPlace(FlagGroup):
    """Which bucket, and what of it."""

    bucket_name: flags.BucketName
    endpoint: flags.Endpoint
    provider: flags.Provider = "generic"
    region: flags.Region = ""
    prefix: flags.Prefix = ""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the same names."""
        place = {"provider": self.provider, "bucketName": self.bucket_name, "endpoint": self.endpoint}
        return {**place, "region": self.region, "prefix": self.prefix}


@dataclass(frozen=True)
class ChartOf(FlagGroup):
    """Which chart of a source."""

    source: flags.ChartSource
    chart: flags.ChartName
    chart_version: flags.ChartVersion = ""
    reconcile_strategy: flags.Strategy = "ChartVersion"
    values_files: flags.ValuesFiles = None
    ignore_missing_values_files: flags.IgnoreMissing = False

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the same names. Raises: typer.BadParameter."""
        return {
            "chart": self.chart,
            "version": self.chart_version,
            "sourceRef": kind_and_name(self.source, "--source"),
            "reconcileStrategy": self.reconcile_strategy if self.reconcile_strategy != "ChartVersion" else "",
            "valuesFiles": listed(self.values_files),
            "ignoreMissingValuesFiles": self.ignore_missing_values_files,
        }


def either(named: object, made: object, option: str) -> None:
    """Raises: typer.BadParameter where both are given."""
    if named and made:
        raise typer.BadParameter("either a Secret, or what one is to hold", param_hint=option)


def other_than_generic(provider: str) -> str:
    """A provider that has to be said."""
    return provider if provider != "generic" else ""
