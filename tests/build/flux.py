"""Flux's own Go code, which builds directories and replaces variables as Flux does, to be compared with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class FluxError(Exception):
    """Flux refuses to build this."""


class Flux:
    """The program of tests/controlplane/go/fluxbuild, kept running."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def substitute(self, text: str, variables: Mapping[str, str], *, strict: bool = True) -> str:
        """A text with its variables replaced. Raises: FluxError."""
        return self._ask({"text": text, "variables": variables, "strict": strict})

    def build(self, root: Path, spec: Mapping[str, Any], *, strict: bool = True, always: bool = False) -> str:
        """The objects that Flux builds of the directory ``spec.path`` of an artifact with these files. Raises:
        FluxError."""
        kustomization = {"kind": "Kustomization", "metadata": {"name": "test", "namespace": "test"}, "spec": spec}
        return self._ask({"root": str(root), "kustomization": kustomization, "strict": strict, "always": always})

    def close(self) -> None:
        """End it; it ends by itself when it has nothing more to read."""
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def _ask(self, question: Mapping[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["error"]:
            raise FluxError(answer["error"])
        return str(answer["output"])
