"""``gitsync graph``: the order of releases, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, print_error, write
from gitsync.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["table", "json", "dot", "mermaid"]
Target = Annotated[
    str, typer.Argument(metavar="[TARGET]", help="A directory, or a repository's URL.", show_default="this directory")
]
Output = Annotated[Format, typer.Option("--output", "-o", help="A table, JSON, Graphviz or Mermaid.")]

_LEFT_OUT = ("repo", "interval", "verify_keys")


@app.command("graph")
@with_settings("Repository", "Git credentials", leave_out=_LEFT_OUT)
async def graph(settings: Settings, target: Target = "", output: Output = "table") -> int:
    """Show in which order Kustomizations are applied and releases installed, and cycles among them.

    Reads the working tree of a directory, or with a URL, --branch, --tag or --commit that commit of a repository.
    Exit code 1 when there is a cycle.

    Example:

        gitsync graph https://git.example/fleet.git --branch main --path clusters/prod -o mermaid
    """
    from gitsync.cli.repository.checkout import open_tree
    from gitsync.cli.repository.drawing import dot, mermaid
    from gitsync.cli.repository.order import Order
    from gitsync.preview.order import CommitOrder

    async with open_tree(target, settings) as tree:
        desired, whole = await tree.whole(settings)
        commit = CommitOrder(desired, whole.brought_by)
        order = Order(commit, tree.place)
        if output == "json":
            write(as_json(order.data()))
        elif output == "table":
            write(order.table())
        else:
            write(dot(commit) if output == "dot" else mermaid(commit))
        for error in desired.errors:
            print_error(f"{tree.place(error.origin)}: {error.message}", error.hint)
        if output != "json":
            for line in order.problems():
                print_error(line)
            if why := whole.why_no_releases(desired):
                print_error(why)
        return 1 if commit.graph.cycles() else 0
