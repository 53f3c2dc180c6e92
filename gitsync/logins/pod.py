"""How the agent's pod logs in to a cloud, by its environment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gitsync.errors import LoginRefused
from gitsync.logs import keep_secret

#: Of a file with a token, in bytes; theirs have some thousand.
_LONGEST = 64 * 1024


async def token_in(environment: Mapping[str, str], name: str) -> str:
    """The token in the file that a variable names; read each time, for it is renewed there.

    Raises: LoginRefused.
    """
    path = environment.get(name, "")
    try:
        token = (await asyncio.to_thread(_head, path)).strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise LoginRefused(f"the file that {name} names in the agent's environment holds no token", hint="restart it")
    keep_secret(frozenset({token}))
    return token


def _head(path: str) -> str:
    with Path(path).open(encoding="utf-8") as file:
        return file.read(_LONGEST)
