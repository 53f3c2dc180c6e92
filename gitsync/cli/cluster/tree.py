"""``gitsync tree``: what a release or a Kustomization consists of in the cluster, and how each part is."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from gitsync.api.identity import ObjectKey
from gitsync.cli.common.kinds import KUSTOMIZATION, RELEASE
from gitsync.cli.common.liveobject import LiveObject, connected
from gitsync.cli.common.options import with_settings
from gitsync.cli.common.output import as_json, one_line, say, table, write
from gitsync.cli.common.verbs import Verb
from gitsync.live.finder import Finder
from gitsync.live.objecttree import ObjectNode, draw
from gitsync.settings import Settings

verb = Verb(
    "tree",
    """Show what a release or a Kustomization consists of, down to pods, and how each part is.

    Example: gitsync tree kustomization apps -n flux-system""",
)
app = verb.app

Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="A tree, or JSON.")]
Name = Annotated[str, typer.Option("--name", help="The sync to show.", show_default="gitsync")]


@verb.one(RELEASE)
async def tree(live: LiveObject, output: Output = "text") -> None:
    """Show the objects of a HelmRelease as its newest revision has them, their ReplicaSets, Jobs and pods, and how each
    is: ready, progressing, failed or missing.

    Example: gitsync tree helmrelease redis -n default
    """
    root = await Finder(live.cluster).tree(live.key, live.manifest)
    _print(root, output)
    is_good = root.status == "ready" and not live.is_suspended
    if output == "text" and is_good and any(child.status == "missing" for child in root.children):
        # The agent compares a release with Helm's record, and looks at its objects only where drift is detected.
        again = f"gitsync reconcile helmrelease {live.key.name} -n {live.key.namespace} --force"
        say(one_line(f"hint: {again} makes again what is missing"))


@verb.one(KUSTOMIZATION)
async def kustomization_tree(live: LiveObject, output: Output = "text") -> None:
    """Show what a Kustomization has applied: the Kustomizations and HelmReleases in it with all below them, where each
    comes from, and how each is.

    Example: gitsync tree kustomization apps -n flux-system
    """
    _print(await Finder(live.cluster).tree(live.key, live.manifest), output)


@app.command("all")
@with_settings("Cluster")
async def whole_tree(settings: Settings, name: Name = "", output: Output = "text") -> None:
    """Show all that the repository has brought: Kustomizations, HelmReleases and their objects, where each comes from,
    and how each is.

    Example: gitsync tree all
    """
    async with connected(settings) as cluster:
        sync = ObjectKey("", "sync", settings.namespace, name or settings.name)
        _print(await Finder(cluster).tree(sync, None), output)


def _print(root: ObjectNode, output: Format) -> None:
    if output == "json":
        write(as_json(root.data()))
        return
    # The first cell begins with the tree's branches, drawn with blanks: these are not stripped.
    write(table([[name, one_line(status), one_line(message)] for name, status, message in draw(root)]))
