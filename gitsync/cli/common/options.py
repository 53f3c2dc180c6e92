"""Flags made from the settings, so that a setting that exists has its flag, and both say the same."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
import typer

from gitsync import logs
from gitsync.settings import SettingInfo, config_file, load, settings_infos

log = structlog.get_logger(__name__)

#: ``-h`` as kubectl has it.
CONTEXT = {"help_option_names": ["-h", "--help"]}
#: Settings that people know by a letter, from kubectl and flux.
_SHORT = {"namespace": "-n"}


def with_settings(*groups: str, leave_out: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Give a command the flags of the settings of ``groups`` (all when none is named), and ``--config``.

    The command gets the loaded ``settings`` instead (and, if it has a parameter ``reload``, how to load them anew and
    the file they come from), and logs are written as the settings say while it runs; a command without flags for logs
    logs warnings only, since it has results to print. The command may be a coroutine function, and returns its exit
    code or None for 0. Stands below ``@app.command``.
    """
    infos = [
        info
        for info in settings_infos()
        if info.flag and info.name not in leave_out and (not groups or info.group in groups)
    ]

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        wants_reload = "reload" in inspect.signature(function).parameters

        @functools.wraps(function)
        def command(config: Path | None, **arguments: Any) -> None:
            flags = {info.name: arguments.pop(info.name) for info in infos}
            settings = load(flags, config)
            if wants_reload:
                arguments["reload"] = functools.partial(load, flags, config), config_file(config)
            level = settings.log_level if "log_level" in flags else "warning"
            logs.configure(settings.log_format, level, verbose=settings.verbose)
            _warn_of_visible_password(flags)
            try:
                code = function(settings=settings, **arguments)
                code = asyncio.run(code) if inspect.iscoroutine(code) else code
            finally:
                logs.shutdown()
            if code:
                raise typer.Exit(code)

        own = inspect.signature(function, eval_str=True).parameters.values()
        parameters = [parameter for parameter in own if parameter.name not in ("settings", "reload")]
        taken = {word for parameter in parameters for word in _words(parameter)}
        parameters += [_config(), *(_parameter(info, _SHORT.get(info.name, ""), taken) for info in infos)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


class FlagGroup:
    """Base of dataclasses whose fields are flags that belong together; see ``with_groups``. They may be nested."""


def with_groups(run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` with its FlagGroups taken apart, as Typer needs it: a function that has, in place of each parameter that
    is a ``FlagGroup``, a parameter for each of that group's fields."""
    signature = inspect.signature(run, eval_str=True)
    groups = {name: it.annotation for name, it in signature.parameters.items() if _is_group(it.annotation)}
    if not groups:
        return run

    @functools.wraps(run)
    def command(**arguments: Any) -> Any:
        made = {name: _made(group, arguments) for name, group in groups.items()}
        return run(**arguments, **made)

    parameters = [one for parameter in signature.parameters.values() for one in _flags(parameter)]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _is_group(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, FlagGroup)


def _made(group: type[FlagGroup], arguments: dict[str, Any]) -> FlagGroup:
    """A ``group`` with the values of its flags, which are removed from ``arguments``."""
    fields = inspect.signature(group, eval_str=True).parameters
    given = {name: _made(it.annotation, arguments) for name, it in fields.items() if _is_group(it.annotation)}
    return group(**given, **{name: arguments.pop(name) for name in fields if name not in given})


def _flags(parameter: inspect.Parameter) -> Iterable[inspect.Parameter]:
    if not _is_group(parameter.annotation):
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    for field in inspect.signature(parameter.annotation, eval_str=True).parameters.values():
        yield from _flags(field)


def _warn_of_visible_password(flags: Mapping[str, Any]) -> None:
    """Warn of a password in ``--repo``: who may list processes sees it, and shells keep it in their history."""
    if urlsplit(flags.get("repo") or "").password:
        log.warning(
            "a password in --repo shows in the process list",
            hint="leave it out of the URL, and give it by the environment (GITSYNC_GIT_PASSWORD) or a file "
            "(--git-password-file), with --git-username",
        )


def _config() -> inspect.Parameter:
    option = typer.Option("--config", metavar="PATH", help="A file of settings (YAML); see docs/settings.md.")
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter("config", kind, default=None, annotation=Annotated[Path | None, option])


def _words(parameter: inspect.Parameter) -> Iterable[str]:
    """The names of an option on the command line, as ``--namespace`` and ``-n``."""
    for note in getattr(parameter.annotation, "__metadata__", ()):
        yield from getattr(note, "param_decls", None) or ()


def _parameter(info: SettingInfo, short: str, taken: Set[str]) -> inspect.Parameter:
    """The flag of a setting. Its value stays text: it is checked with those of the file and the environment. ``short``
    is another name of the flag, unless the command has ``taken`` it for a flag of its own."""
    default = f" (default: {info.default})" if info.default else ""
    options: dict[str, Any] = {
        "help": info.description + default,
        "rich_help_panel": info.group,
        "show_default": False,
    }
    annotation: Any
    if info.boolean:
        annotation = Annotated[bool | None, typer.Option(f"{info.flag}/--no-{info.flag[2:]}", **options)]
    else:
        metavar = info.type.upper() if info.type.isalpha() else "TEXT"
        names = [info.flag] if not short or short in taken else [info.flag, short]
        annotation = Annotated[str | None, typer.Option(*names, metavar=metavar, **options)]
    return inspect.Parameter(info.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
