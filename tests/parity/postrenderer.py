"""The real helm with kustomize as its post-renderer: a plugin of Helm 4 around the kubectl that gitsync runs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from gitsync.kustomize import find_kubectl
from tests.controlplane.cluster import Cli

_PLUGIN = """\
name: kustomize
version: 1.0.0
type: postrenderer/v1
apiVersion: v1
runtime: subprocess
runtimeConfig:
  platformCommand:
    - command: "${HELM_PLUGIN_DIR}/run.sh"
"""
_SCRIPT = """\
#!/bin/sh
set -e
cat > {build}/manifest.yaml
exec {kubectl} kustomize {build}
"""


def with_kustomize(helm: Cli, directory: Path, kustomization: str) -> Cli:
    """A helm that takes ``--post-renderer kustomize``, which makes of ``manifest.yaml`` what the text says."""
    build, plugin = directory / "build", directory / "plugins" / "kustomize"
    build.mkdir(parents=True)
    plugin.mkdir(parents=True)
    (build / "kustomization.yaml").write_text(kustomization)
    (plugin / "plugin.yaml").write_text(_PLUGIN)
    script = plugin / "run.sh"
    script.write_text(_SCRIPT.format(build=shlex.quote(str(build)), kubectl=shlex.quote(str(find_kubectl()))))
    script.chmod(0o755)
    return replace(helm, environment={**(helm.environment or {}), "HELM_PLUGINS": str(plugin.parent)})
