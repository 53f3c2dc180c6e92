"""How an action behaves, as a HelmRelease's spec says it. Pure."""

from __future__ import annotations

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.parts.actions import Install, Rollback, ServerSideApply, Upgrade
from gitsync.apply.delete import Propagation, WantedBy, nobody
from gitsync.cel.expressions import Expressions
from gitsync.release.action.uninstall import UninstallOptions
from gitsync.release.leftovers import Leftovers
from gitsync.release.readiness import readiness_of
from gitsync.release.revision import ActionOptions, Claim, DeployAction, everything_is_free

_PROPAGATION: dict[str, Propagation] = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


def deploy_options(
    release: HelmRelease,
    verb: DeployAction,
    cause: str,
    expressions: Expressions,
    wanted_by: WantedBy = nobody,
    claim: Claim = everything_is_free,
    leftovers: Leftovers | None = None,
) -> ActionOptions:
    """Options of an install, upgrade or rollback. ``cause`` is what the record's description adds: the commit;
    ``expressions`` evaluate the health checks."""
    spec = release.spec
    actions: dict[DeployAction, Install | Upgrade | Rollback]
    actions = {"install": spec.install, "upgrade": spec.upgrade, "rollback": spec.rollback}
    action = actions[verb]
    crds = {"install": spec.install.crd_policy(), "upgrade": spec.upgrade.crd_policy()}
    no_adoption = {"install": spec.install.disable_take_ownership, "upgrade": spec.upgrade.disable_take_ownership}
    return ActionOptions(
        timeout=spec.timeout_of(verb),
        wait=not action.disable_wait,
        readiness=readiness_of(spec, expressions.of(release.metadata.namespace), jobs=not action.disable_wait_for_jobs),
        hooks=not action.disable_hooks,
        create_namespace=spec.install.create_namespace and verb == "install",
        take_ownership=not no_adoption.get(verb, False),
        server_side=_server_side(action),
        force=not isinstance(action, Install) and action.force,
        cleanup_on_fail=not isinstance(action, Install) and action.cleanup_on_fail,
        crds=crds.get(verb, "Skip"),
        max_history=spec.max_history,
        cause=cause,
        release=release.key,
        wanted_by=wanted_by,
        claim=claim,
        leftovers=leftovers or Leftovers(),
    )


def _server_side(action: Install | Upgrade | Rollback) -> ServerSideApply:
    if isinstance(action, Install):
        return "enabled" if action.server_side_apply else "disabled"
    return action.server_side_apply


def uninstall_options(
    release: HelmRelease,
    wanted_by: WantedBy = nobody,
    leftovers: Leftovers | None = None,
    *,
    for_good: bool = False,
) -> UninstallOptions:
    """Options of an uninstall, whatever the reason for it; ``wanted_by`` says who else wants the objects, and
    ``for_good`` that the HelmRelease goes, too."""
    spec = release.spec.uninstall
    return UninstallOptions(
        timeout=release.spec.timeout_of("uninstall"),
        wait=not spec.disable_wait,
        hooks=not spec.disable_hooks,
        keep_history=spec.keep_history,
        propagation=_PROPAGATION[spec.deletion_propagation],
        release=release.key,
        wanted_by=wanted_by,
        leftovers=leftovers or Leftovers(),
        for_good=for_good,
    )
