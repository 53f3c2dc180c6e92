"""``gitsync completion``: what a shell needs to complete commands, options and values."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from gitsync.cli.common.options import CONTEXT

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Shell = Annotated[Literal["bash", "zsh", "fish"], typer.Argument(show_default=False)]


@app.command("completion")
def completion(shell: Shell) -> None:
    """Print the completion script of a shell.

    Example: source <(gitsync completion bash)
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it is there

    from gitsync.cli.app import COMPLETING
    from gitsync.cli.common.output import write

    write(get_completion_script(prog_name="gitsync", complete_var=COMPLETING, shell=shell) + "\n")
