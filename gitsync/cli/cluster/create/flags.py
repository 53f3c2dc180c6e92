"""The flags of ``gitsync create source``, most of them named as those of ``flux create source``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

#: A file that is read.
_FILE = {"exists": True, "dir_okay": False, "readable": True}

Url = Annotated[str, typer.Option("--url", metavar="URL", help="Where the repository is: http, https or oci.")]
SecretRef = Annotated[str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with username and password.")]
Username = Annotated[str, typer.Option("--username", "-u", metavar="NAME", help="Of a login, kept in a Secret NAME.")]
Password = Annotated[str, typer.Option("--password", "-p", metavar="PASSWORD", help="Of the same login.")]
CertSecretRef = Annotated[str, typer.Option("--cert-secret-ref", metavar="NAME", help="A Secret with ca.crt, tls.*.")]
#: As ``flux create source oci`` has it, and as the field is called.
CertRef = Annotated[
    str, typer.Option("--cert-secret-ref", "--cert-ref", metavar="NAME", help="A Secret with ca.crt, tls.*.")
]
PassCredentials = Annotated[
    bool, typer.Option("--pass-credentials", help="Send the credentials to wherever the index leads, too.")
]

#: What helm calls the layer of a chart that it pushes.
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
OciUrl = Annotated[str, typer.Option("--url", metavar="URL", help="The repository in its registry: oci://...")]
Tag = Annotated[str, typer.Option("--tag", metavar="TAG", help="The tag; latest when nothing is said.")]
TagSemver = Annotated[
    str, typer.Option("--tag-semver", metavar="RANGE", help="The highest tag in a range of versions.")
]
TagSemverFilter = Annotated[
    str, typer.Option("--tag-semver-filter", metavar="REGEX", help="Only tags that this finds count for the range.")
]
Digest = Annotated[str, typer.Option("--digest", metavar="SHA256", help="The digest, whatever tags say.")]
MediaType = Annotated[
    str, typer.Option("--layer-selector-media-type", metavar="TYPE", help='The layer; "" for the first one.')
]
Operation = Annotated[
    Literal["extract", "copy"], typer.Option("--layer-selector-operation", help="What is done with the layer.")
]
Selector = Annotated[str, typer.Option("--layer-selector", metavar="TYPE:OPERATION", help="Both of these in one.")]
DockerSecretRef = Annotated[
    str, typer.Option("--secret-ref", metavar="NAME", help="A Secret of type kubernetes.io/dockerconfigjson.")
]
PullAccount = Annotated[
    str, typer.Option("--service-account", metavar="NAME", help="A ServiceAccount, for its imagePullSecrets.")
]
ProxySecretRef = Annotated[
    str, typer.Option("--proxy-secret-ref", metavar="NAME", help="A Secret with a proxy's address.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Speak plain HTTP.")]

BucketName = Annotated[str, typer.Option("--bucket-name", metavar="NAME", help="The bucket.")]
Endpoint = Annotated[str, typer.Option("--endpoint", metavar="HOST", help="Its server: a host, or HOST:PORT.")]
Provider = Annotated[Literal["generic", "aws"], typer.Option("--provider", help="Whose server it is.")]
Region = Annotated[str, typer.Option("--region", metavar="NAME", help="The region of the bucket.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="KEY", help="Only objects whose keys begin with this.")]
AccessKey = Annotated[str, typer.Option("--access-key", metavar="KEY", help="Of a login, kept in a Secret NAME.")]
SecretKey = Annotated[str, typer.Option("--secret-key", metavar="KEY", help="Of the same login.")]
KeysSecretRef = Annotated[
    str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with accesskey and secretkey.")
]

GitUrl = Annotated[str, typer.Option("--url", metavar="URL", help="The repository: https://, http:// or ssh://.")]
Branch = Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch; master when nothing is said.")]
GitTag = Annotated[str, typer.Option("--tag", metavar="NAME", help="The tag; wins over a branch.")]
RefName = Annotated[
    str, typer.Option("--ref-name", metavar="REF", help="A full reference, as refs/pull/1/head; wins over tags.")
]
Commit = Annotated[str, typer.Option("--commit", metavar="ID", help="The one commit to stay at.")]
GitSecretRef = Annotated[
    str, typer.Option("--secret-ref", metavar="NAME", help="A Secret with a login, or identity and known_hosts.")
]
RecurseSubmodules = Annotated[bool, typer.Option("--recurse-submodules", help="Read submodules, too.")]
Sparse = Annotated[
    list[str] | None,
    typer.Option("--sparse-checkout-paths", metavar="PATH", help="A directory to read; may be repeated."),
]
IgnorePaths = Annotated[
    list[str] | None,
    typer.Option("--ignore-paths", metavar="PATTERN", help="What to leave out, as in .gitignore; may be repeated."),
]

ChartName = Annotated[str, typer.Option("--chart", metavar="CHART", help="Its name, or its path in Git or a bucket.")]
ChartVersion = Annotated[str, typer.Option("--chart-version", metavar="RANGE", help="Version or range.")]
ChartSource = Annotated[
    str, typer.Option("--source", metavar="KIND/NAME", help="A HelmRepository, GitRepository or Bucket.")
]
Strategy = Annotated[
    Literal["ChartVersion", "Revision"],
    typer.Option("--reconcile-strategy", help="What makes it another one."),
]
ValuesFiles = Annotated[
    list[str] | None,
    typer.Option("--values-files", metavar="PATH", help="A file with default values; may be repeated."),
]
IgnoreMissing = Annotated[bool, typer.Option("--ignore-missing-values-files", help="Pass over those that are missing.")]

Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="A label of the object; may be repeated."),
]
FetchTimeout = Annotated[
    str, typer.Option("--fetch-timeout", metavar="DURATION", help="How long the agent waits for the server.")
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", metavar="FILE", help="The server's authority, kept in a Secret NAME.", **_FILE),
]
CertFile = Annotated[
    Path | None,
    typer.Option("--cert-file", metavar="FILE", help="A client's certificate, kept in the same.", **_FILE),
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="The key of that certificate.", **_FILE)
]
PrivateKeyFile = Annotated[
    Path | None,
    typer.Option("--private-key-file", metavar="FILE", help="A key for ssh, kept in a Secret NAME.", **_FILE),
]
KnownHostsFile = Annotated[
    Path | None,
    typer.Option("--known-hosts-file", metavar="FILE", help="The host keys of the ssh server.", **_FILE),
]
GitProvider = Annotated[Literal["generic", "azure", "github"], typer.Option("--provider", help="Whose login to use.")]
CloudProvider = Annotated[
    Literal["generic", "aws", "azure", "gcp"], typer.Option("--provider", help="Whose login to use.")
]
OciProvider = Annotated[
    Literal["generic", "aws", "azure", "gcp"],
    typer.Option("--oci-provider", help="Whose login to use, for oci://."),
]
VerifyProvider = Annotated[
    Literal["", "cosign"], typer.Option("--verify-provider", metavar="cosign", help="What it has to be signed with.")
]
VerifySecretRef = Annotated[
    str, typer.Option("--verify-secret-ref", metavar="NAME", help="A Secret with the public keys.")
]
VerifyIssuer = Annotated[
    str,
    typer.Option(
        "--verify-issuer",
        metavar="REGEX",
        help="In place of keys: the OIDC issuer that has to have identified the signer.",
    ),
]
VerifySubject = Annotated[
    str, typer.Option("--verify-subject", metavar="REGEX", help="And the signer's identity there.")
]
VerifyTrustedRoot = Annotated[
    str,
    typer.Option("--verify-trusted-root-secret-ref", metavar="NAME", help="A Secret with trusted_root.json for that."),
]
