"""Options that are durations, as ``30s``."""

from __future__ import annotations

from typing import Annotated

import typer

from gitsync.api.duration import parse_duration


def seconds(text: str, option: str = "--timeout") -> float:
    """A duration as ``5m`` in seconds; ``option`` is named when it is wrong. Raises: typer.BadParameter."""
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; it is written as 30s, 5m or 1h30m", param_hint=option) from None
    if value <= 0:
        raise typer.BadParameter("must be more than zero", param_hint=option)
    return value


def _checked(text: str) -> str:
    """Raises: typer.BadParameter, before anything is done."""
    if text:
        seconds(text)
    return text


Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", callback=_checked, help="How long to wait at most.")
]
Limit = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", callback=_checked, help="How long it may take at most.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only ask for it.")]
