"""Which ServiceAccount and cluster a release or Kustomization is worked on with, and which references it may make.
Pure.

The settings are the flags of helm-controller and kustomize-controller: --default-service-account,
--no-cross-namespace-refs, --insecure-kubeconfig-exec and --insecure-kubeconfig-tls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.cluster import CONFINED, KubeconfigAllowance
from gitsync.errors import CrossNamespaceRefused


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The settings about access: see ``gitsync/settings/settings.py``."""

    default_service_account: str = ""
    cross_namespace_refs: bool = True
    kubeconfig: KubeconfigAllowance = CONFINED

    def service_account(self, of: HelmRelease | Kustomization) -> str:
        """The ServiceAccount of its own namespace to impersonate; "" for none."""
        return of.spec.service_account_name or self.default_service_account

    def check(self, release: HelmRelease) -> None:
        """Raises: CrossNamespaceRefused for the first reference that is not allowed."""
        for field, key in self.refused(release):
            raise CrossNamespaceRefused(
                f"{field}: cross-namespace references are not allowed: cannot access {key}",
                hint="refer to an object of the release's own namespace",
            )

    def refused(self, release: HelmRelease) -> Iterator[tuple[str, ObjectKey]]:
        """The references to other namespaces, with the fields that make them, where those are not allowed."""
        if self.cross_namespace_refs:
            return
        own = release.metadata.namespace
        if release.source.namespace != own:
            yield "spec.chart.spec.sourceRef" if release.spec.chart else "spec.chartRef", release.source
        for index, dependency in enumerate(release.spec.depends_on):
            # Waiting for a release elsewhere tells nothing of its content; an expression could read all of it.
            if dependency.ready_expr and dependency.key(own).namespace != own:
                yield f"spec.dependsOn[{index}].readyExpr", dependency.key(own)


#: The rules without any setting.
PLAIN = AccessRules()
