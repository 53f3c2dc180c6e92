"""The settings themselves. A setting is added here and nowhere else: file key, environment variable, flag and
documentation follow from it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gitsync.api.duration import parse_duration
from gitsync.logs import LogFormat, LogLevel, register_secret

ENV_PREFIX = "GITSYNC_"
#: Longer is no secret anybody wrote: the file is not the one that was meant.
_MAX_SECRET_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Spec:
    """How a setting is presented. ``secret`` ones are taken from the environment only: flags show in process lists, and
    files get committed. ``default`` is the text shown where the value itself says too little.
    """

    group: str
    type: str
    secret: bool = False
    default: str | None = None


def _duration(value: object) -> float:
    if isinstance(value, float):  # a default or a flag's already parsed value
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is written with its unit, such as 30s, 5m or 1h30m")
    try:
        seconds = parse_duration(value.strip())
    except ValueError as error:
        raise ValueError(f"{error}; it is written as 30s, 5m or 1h30m") from None
    if seconds <= 0:
        raise ValueError("must be more than zero")
    return seconds


def _expanded(path: Path) -> Path:
    return path.expanduser()


def _inside_repository(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise ValueError("must be a directory of the repository, relative to its root and without '..'")
    return "/".join(parts)


def default_state_dir() -> Path:
    """``$XDG_STATE_HOME/gitsync``, or ``~/.local/state/gitsync`` (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    return (Path(home) if home.startswith("/") else Path("~/.local/state").expanduser()) / "gitsync"


Duration = Annotated[float, BeforeValidator(_duration)]
FilePath = Annotated[Path, AfterValidator(_expanded)]
#: What Kubernetes takes as the name of a namespace (RFC 1123 label).
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
Label = Annotated[str, Field(pattern=f"^{_LABEL}$")]

_REPOSITORY, _CREDENTIALS, _CLUSTER = "Repository", "Git credentials", "Cluster"
_SYNC, _RELEASES, _ACCESS, _PROBES, _WEBHOOKS, _LOGS = (
    "Sync",
    "Releases",
    "Access",
    "Probes and metrics",
    "Webhooks",
    "Logs",
)


class Settings(BaseSettings):
    """All settings, validated. Durations are seconds. Made by ``gitsync.settings.load``."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    repo: Annotated[str, Spec(_REPOSITORY, "URL or path")] = Field(
        "",
        description="The Git repository to sync: https, ssh or a local path. Without one, gitsync serves the "
        "HelmReleases, Kustomizations and sources that are applied to the cluster by other means.",
        repr=False,  # may hold a user and password
    )
    branch: Annotated[str, Spec(_REPOSITORY, "name", default="the remote's default")] = Field(
        "", description="The branch to follow."
    )
    tag: Annotated[str, Spec(_REPOSITORY, "name")] = Field("", description="The tag to follow; wins over a branch.")
    commit: Annotated[str, Spec(_REPOSITORY, "id")] = Field(
        "",
        pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$",
        description="The one commit to stay at; wins over tag and branch.",
    )
    path: Annotated[str, Spec(_REPOSITORY, "path", default="the root"), AfterValidator(_inside_repository)] = Field(
        "", description="The directory of the repository that holds the manifests."
    )
    verify_keys: Annotated[FilePath | None, Spec(_REPOSITORY, "path")] = Field(
        None,
        description="A file, or a directory of files, with public keys: PGP's, or SSH's as in authorized_keys or "
        "allowed_signers. A commit of the repository without a signature by one of them is not applied.",
    )
    json_manifests: Annotated[bool, Spec(_REPOSITORY, "boolean")] = Field(
        False, description="Read manifests from .json files too. Flux reads .yaml and .yml only."
    )
    allow_remote_bases: Annotated[bool, Spec(_REPOSITORY, "boolean")] = Field(
        False,
        description="Fetch what a kustomization.yaml names by an http(s) URL: directories of Git repositories, and "
        "files. Whoever may write one has gitsync ask any server that it can reach, and what is there is applied.",
    )
    interval: Annotated[Duration, Spec(_REPOSITORY, "duration")] = Field(
        60.0, description="How often the remote is asked for news. A local repository is watched as well."
    )
    git_timeout: Annotated[Duration, Spec(_REPOSITORY, "duration")] = Field(
        60.0, description="How long one Git operation may take."
    )
    source_timeout_limit: Annotated[Duration, Spec(_REPOSITORY, "duration")] = Field(
        300.0,
        description="The longest that a source's own timeout (HelmRepository's spec.timeout) may be; longer is cut.",
    )
    state_dir: Annotated[FilePath, Spec(_REPOSITORY, "path", default="$XDG_STATE_HOME/gitsync")] = Field(
        default_factory=default_state_dir,
        description="Where the mirror of the repository and the chart cache are kept. It may be lost at any time.",
    )

    git_username: Annotated[str, Spec(_CREDENTIALS, "text")] = Field("", description="The user name for https.")
    git_password: Annotated[SecretStr | None, Spec(_CREDENTIALS, "text", secret=True)] = Field(
        None, description="The password for https."
    )
    git_password_file: Annotated[FilePath | None, Spec(_CREDENTIALS, "path")] = Field(
        None, description="A file that holds the password; read anew for every connection."
    )
    git_token: Annotated[SecretStr | None, Spec(_CREDENTIALS, "text", secret=True)] = Field(
        None, description="A bearer token for https, instead of user name and password."
    )
    git_token_file: Annotated[FilePath | None, Spec(_CREDENTIALS, "path")] = Field(
        None, description="A file that holds the token; read anew for every connection."
    )
    git_ssh_key_file: Annotated[FilePath | None, Spec(_CREDENTIALS, "path")] = Field(
        None, description="The private key for ssh."
    )
    git_known_hosts_file: Annotated[FilePath | None, Spec(_CREDENTIALS, "path")] = Field(
        None, description="The known_hosts file a server's key is checked against; an unknown key is refused."
    )
    git_ca_file: Annotated[FilePath | None, Spec(_CREDENTIALS, "path")] = Field(
        None, description="Certificates (PEM) a https server is checked against, instead of the system's."
    )

    kubeconfig: Annotated[FilePath | None, Spec(_CLUSTER, "path", default="as kubectl")] = Field(
        None, description="The kubeconfig file. Without one: $KUBECONFIG, ~/.kube/config, the pod's service account."
    )
    context: Annotated[str, Spec(_CLUSTER, "name", default="the file's current one")] = Field(
        "", description="The context of the kubeconfig file."
    )
    namespace: Annotated[Label, Spec(_CLUSTER, "name", default="gitsync-system, or watch_namespace")] = Field(
        "gitsync-system", description="The namespace that holds gitsync's own inventory and journal."
    )

    name: Annotated[Label, Spec(_SYNC, "name")] = Field(
        "gitsync",
        description="The name of this sync: its mark on what it applies, and on its inventory and journal. One agent "
        "serves all HelmReleases of a cluster, or of its watch_namespace, so each of these has one agent.",
    )
    default_namespace: Annotated[Label, Spec(_SYNC, "name", default="default, or watch_namespace")] = Field(
        "default", description="The namespace of objects whose manifest names none."
    )
    prune: Annotated[bool, Spec(_SYNC, "boolean")] = Field(
        True, description="Delete from the cluster what left the repository, dependents first."
    )
    allow_mass_prune: Annotated[bool, Spec(_SYNC, "boolean")] = Field(
        False,
        description="Let a commit delete everything, or more than half of more than 10 objects, without confirmation.",
    )
    once: Annotated[bool, Spec(_SYNC, "boolean")] = Field(
        False, description="Sync once and exit: 0 when everything is ready, 1 otherwise."
    )

    concurrency: Annotated[int, Spec(_RELEASES, "number")] = Field(
        10, ge=1, le=200, description="How many releases are worked on at the same time."
    )
    watch_namespace: Annotated[str, Spec(_ACCESS, "name", default="all namespaces")] = Field(
        "",
        pattern=f"^({_LABEL})?$",
        description="The only namespace whose HelmReleases and HelmRepositories are served. gitsync then asks the API "
        "server for nothing beyond it, but for what a manifest or a release names, so that rights in it are enough.",
    )
    default_service_account: Annotated[str, Spec(_ACCESS, "name")] = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        max_length=253,
        description="The ServiceAccount of its own namespace that a HelmRelease or Kustomization is worked on "
        "as, and in whose name a source logs in to a cloud, when its serviceAccountName names none. Without one that "
        "is done with gitsync's own rights, and as its own pod.",
    )
    default_kubeconfig_service_account: Annotated[str, Spec(_ACCESS, "name")] = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        max_length=253,
        description="The ServiceAccount of the same namespace that logs in to another cluster, where the ConfigMap "
        "that describes it (kubeConfig.configMapRef) names none. Without one such a cluster is refused.",
    )
    cross_namespace_refs: Annotated[bool, Spec(_ACCESS, "boolean")] = Field(
        True,
        description="Let HelmReleases have their charts from sources in other namespaces, and read releases there in a "
        "readyExpr, and Alerts hear of objects there.",
    )
    sops_age_secret: Annotated[str, Spec(_ACCESS, "name")] = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        max_length=253,
        description="A Secret of gitsync's own namespace with keys of age (NAME.agekey), for Kustomizations whose "
        "decryption names no Secret, and for the synced directory itself. Whoever may create Kustomizations can have "
        "files decrypted with them.",
    )
    insecure_kubeconfig_exec: Annotated[bool, Spec(_ACCESS, "boolean")] = Field(
        False,
        description="Run the credential plugins that kubeconfigs of HelmReleases name: whoever may write Secrets "
        "runs programs in gitsync's place.",
    )
    insecure_kubeconfig_tls: Annotated[bool, Spec(_ACCESS, "boolean")] = Field(
        False, description="Let kubeconfigs of HelmReleases leave the API server's certificate unverified."
    )

    probe_port: Annotated[int, Spec(_PROBES, "number")] = Field(
        0, ge=0, le=65535, description="The port of /healthz and /readyz, for the probes of a Deployment; 0 for none."
    )
    metrics_port: Annotated[int, Spec(_PROBES, "number")] = Field(
        0, ge=0, le=65535, description="The port of /metrics, for Prometheus; 0 for none."
    )
    web_port: Annotated[int, Spec(_PROBES, "number")] = Field(
        0,
        ge=0,
        le=65535,
        description="The port of the page, on which nothing can be done; 0 for none. Without web_host it is open to "
        "the pod itself alone, which kubectl port-forward reaches.",
    )
    web_host: Annotated[str, Spec(_PROBES, "name")] = Field(
        "",
        pattern=r"^[A-Za-z0-9.-]*$",
        max_length=253,
        description="The name by which browsers ask an ingress for the page. The port is open to the network then: the "
        "ingress has to ask who is there.",
    )
    webhook_port: Annotated[int, Spec(_WEBHOOKS, "number")] = Field(
        0,
        ge=0,
        le=65535,
        description="The port of webhooks: of Receivers, served with it alone, and webhook_secret_file; 0 for none.",
    )
    webhook_secret_file: Annotated[FilePath | None, Spec(_WEBHOOKS, "path")] = Field(
        None,
        description="A file with a token: a delivery of GitHub, Gitea, GitLab or Bitbucket that is signed with it has "
        "the repository polled at once, without any Receiver. Read anew when it changes.",
    )

    log_format: Annotated[LogFormat, Spec(_LOGS, "auto, console, logfmt or json")] = Field(
        "auto", description="How log lines are written; auto is console on a terminal and logfmt elsewhere."
    )
    log_level: Annotated[LogLevel, Spec(_LOGS, "debug, info, warning or error")] = Field(
        "info", description="The least important lines that are written."
    )
    verbose: Annotated[bool, Spec(_LOGS, "boolean")] = Field(
        False,
        description="Lines on a console also say from which file and line of Git an object came, as the other formats "
        "always do.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_one_namespace(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Who serves one namespace keeps everything there, unless it is said otherwise."""
        served = given.get("watch_namespace")
        if isinstance(served, str) and re.fullmatch(_LABEL, served):
            return {"namespace": served, "default_namespace": served, **given}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _at_most_one(self, "git_password", "git_password_file", "git_token", "git_token_file")
        if self.webhook_secret_file and not (self.webhook_port and self.repo):
            raise ValueError("webhook_secret_file is for a repo, and needs a webhook_port")
        for secret in (self.git_password, self.git_token):
            if secret is not None:
                register_secret(secret.get_secret_value())
        if password := urlsplit(self.repo).password:
            register_secret(unquote(password))
        return self

    def read_git_password(self) -> str:
        """The password for https, "" when there is none. Read anew each time: a mounted Secret changes under us.

        Raises: OSError when the file cannot be read, ValueError when it holds no text.
        """
        return _read_secret(self.git_password, self.git_password_file)

    def read_git_token(self) -> str:
        """The bearer token for https, "" when there is none. As ``read_git_password``."""
        return _read_secret(self.git_token, self.git_token_file)

    def read_webhook_secret(self) -> str:
        """The token of the repository's webhook, "" when there is none. As ``read_git_password``."""
        return _read_secret(None, self.webhook_secret_file)


def _at_most_one(settings: Settings, *names: str) -> None:
    given = [name for name in names if getattr(settings, name)]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")


def _read_secret(value: SecretStr | None, file: Path | None) -> str:
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return ""
    with file.open(encoding="utf-8") as stream:
        text = stream.read(_MAX_SECRET_FILE + 1).strip()
    if len(text) > _MAX_SECRET_FILE:
        raise ValueError(f"{file} is too large to be a password or token")
    register_secret(text)
    return text
