"""Fields of a Kustomization that gitsync does not honour, and may not pass over. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitsync.api.kustomization import Kustomization
from gitsync.errors import CrossNamespaceRefused, FieldNotSupported
from gitsync.release.access import AccessRules


def refused(kustomization: Kustomization) -> Iterator[tuple[str, str]]:
    """The fields that keep a Kustomization from being applied, below ``spec``, and why."""
    spec = kustomization.spec
    fields = {
        "decryption.serviceAccountName": (
            spec.decryption is not None and bool(spec.decryption.service_account_name),
            "gitsync does not log in to a cloud as a ServiceAccount; name a Secret with keys in secretRef",
        ),
    }
    for field, (is_set, why) in fields.items():
        if is_set:
            yield field, f"spec.{field} is not supported yet: {why}"


def refuse_unsupported(kustomization: Kustomization) -> None:
    """Raises: FieldNotSupported naming the first field that keeps a Kustomization from being applied."""
    for field, message in refused(kustomization):
        raise FieldNotSupported(message, hint=f"remove {field}, or leave this Kustomization to Flux")


def check_access(kustomization: Kustomization, rules: AccessRules) -> None:
    """Raises: CrossNamespaceRefused for what is not to be read."""
    source, own = kustomization.source, kustomization.metadata.namespace
    for dependency in kustomization.spec.depends_on:
        # Waiting for an object elsewhere tells nothing of its content; an expression could read all of it.
        key = dependency.key(own)
        if dependency.ready_expr and key.namespace != own and not rules.cross_namespace_refs:
            raise CrossNamespaceRefused(
                f"spec.dependsOn: cross-namespace references are not allowed: a readyExpr cannot read {key}",
                hint="leave the readyExpr out",
            )
    if not rules.cross_namespace_refs and source.namespace != own:
        raise CrossNamespaceRefused(
            f"spec.sourceRef: cross-namespace references are not allowed: cannot access {source}",
            hint="refer to a source of the Kustomization's own namespace",
        )
