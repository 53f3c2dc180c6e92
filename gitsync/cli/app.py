"""The entry point: the list of commands, and what becomes of an error."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import typer
from typer.main import get_command

from gitsync.cli.common.lazy import Lazy, LazyGroup
from gitsync.errors import GitsyncError


def _command(module: str, summary: str) -> Lazy:
    return Lazy(f"gitsync.cli.{module}", summary)


COMMANDS: Mapping[str, Lazy] = {
    "run": _command("agent.run", "Sync a Git repository to a cluster, and keep it so."),
    "demo": _command(
        "agent.demo",
        "Tell the story of redis and backend: deploy, upgrade, a mistake, its fix, a cycle, Kustomizations, prune.",
    ),
    "sandbox": _command("agent.sandbox", "Run a Kubernetes API on this machine, its state in memory, until Ctrl-C."),
    "plan": _command("repository.plan", "Show what the repository would change in the cluster."),
    "diff": _command(
        "repository.diff",
        "Show what differs between two commits: manifests, what Kustomizations build of them, and releases rendered.",
    ),
    "verify": _command(
        "repository.verify",
        "Try a commit out: sync it to a sandbox, as before a merge, and say what becomes ready, and in which order.",
    ),
    "validate": _command("repository.validate", "Check a repository without a cluster, as before a merge."),
    "schema": _command("repository.schema", "Print the JSON schema of a kind, for editors and pipelines."),
    "graph": _command(
        "repository.graph",
        "Show in which order Kustomizations are applied and releases installed, and cycles among them.",
    ),
    "get": _command("cluster.get", "Show releases and sources of the cluster, and whether they are ready."),
    "tree": _command(
        "cluster.tree", "Show what a release or a Kustomization consists of, down to pods, and how each part is."
    ),
    "history": _command("cluster.history", "Show the revisions of a release, oldest first, as helm history does."),
    "events": _command("cluster.events", "Show what has happened to releases and sources lately, the last event last."),
    "reconcile": _command("cluster.reconcile", "Reconcile a release or a source now, and wait for what comes of it."),
    "suspend": _command("cluster.suspend", "Suspend releases or sources: the agent leaves them alone until resumed."),
    "resume": _command("cluster.resume", "Resume releases or sources that were suspended, and wait for them."),
    "rollback": _command("cluster.rollback", "Roll a release back to an old revision, as helm rollback does."),
    "create": _command(
        "cluster.create.commands",
        "Create or change a release, a Kustomization, a source, or who is notified; or print YAML for a repository.",
    ),
    "delete": _command("cluster.delete", "Delete a release or a source from the cluster; asks first."),
    "export": _command("cluster.export", "Print releases or sources as YAML that can be committed."),
    "install": _command(
        "agent.install", "Install the agent: definitions, rights, settings and a Deployment; waits until it runs."
    ),
    "uninstall": _command(
        "agent.uninstall",
        "Take the agent out of the cluster, with its rights, its settings and its namespace, and say what stays.",
    ),
    "check": _command(
        "agent.check",
        "Look at everything that an agent needs: programs, the API server, rights, definitions, the repository.",
    ),
    "logs": _command("agent.logs", "Show the log of the agent in the cluster, or its lines about one release."),
    "ui": _command("agent.ui", "Serve a page that shows what is ready, what waits and why, until Ctrl-C."),
    "completion": _command("completion", "Print the completion script of a shell."),
    "log": _command("repository.log", "Show commits and what they did to the cluster."),
}


#: Errors of the machine, such as a full disk: they are said in a line, and are no defect of gitsync.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

#: Set by the scripts of ``gitsync completion``: click's name for the variable, made of the program's.
COMPLETING = "_GITSYNC_COMPLETE"


class _Commands(LazyGroup):
    lazy: ClassVar[Mapping[str, Lazy]] = COMMANDS


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gitsync {version('gitsync')}")
        raise typer.Exit


@app.callback()
def gitsync(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False,
) -> None:
    """Make a cluster look like a Git repository: Helm releases and manifests, applied in dependency order.

    Example: gitsync run --repo https://git.example/fleet.git --branch main --path clusters/prod
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0, what the command says, 1 for an error, 2 for wrong usage,
    130 when interrupted. An error is one message and a hint on stderr; the stack trace is shown with ``--debug`` only.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or bool(os.environ.get("GITSYNC_DEBUG"))
    # Wherever it stands: one meets the error at the end of a long line.
    arguments = [argument for argument in arguments if argument != "--debug"]
    if COMPLETING in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # it is there

        completion_init()
    try:
        get_command(app)(arguments, prog_name="gitsync")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _quiet_pipe()
    except Exception as error:
        return _failed(error, debug)
    return 0


def _failed(error: Exception, debug: bool) -> int:
    from gitsync.cli.common.output import print_error

    if debug:
        import traceback

        print_error("".join(traceback.format_exception(error)))
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _OF_THE_MACHINE:
            print_error(f"error: {cause.filename or 'what was to be written'}: {cause.strerror}")
            _drop_output()
        elif isinstance(cause, GitsyncError):
            text = str(cause)
            print_error(f"error: {text}", "" if cause.hint in text else cause.hint)
        else:
            print_error(
                f"internal error: {type(cause).__name__}: {cause}",
                "" if debug else "this is a defect of gitsync; --debug shows the stack trace for a report",
            )
    return 1


def _causes(error: BaseException) -> list[BaseException]:
    """What went wrong in tasks that ran together comes as a group, perhaps of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]


def _quiet_pipe() -> int:
    """The reader of our output went away (``| head``): nothing to say."""
    _drop_output()
    return 1


def _drop_output() -> None:
    """What could not be written is not tried again when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
