"""Whose signatures the commits of the agent's own repository must carry: by the setting ``verify_keys``, and by
``spec.verify`` of the GitRepository in it that is this repository."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from gitsync.errors import SettingsError
from gitsync.settings import Settings
from gitsync.signatures import MAX_TEXT, KeysUnusable, TrustedKeys
from gitsync.sources.git import Verification

#: What the repository's own GitRepository demands in ``spec.verify``; None for nothing.
Declared = Callable[[], Awaitable[Verification | None]]

_SETTING = "verify_keys"
_HINT = "it is a file, or a directory of files, with PGP keys or with SSH keys as in authorized_keys"
_MOST_FILES = 100


async def _nothing() -> Verification | None:
    return None


def demands(settings: Settings, declared: Declared = _nothing) -> Callable[[], Awaitable[list[Verification]]]:
    """A function that returns what has to be verified; it reads the keys anew each time, since mounted ones change. It
    raises SettingsError, NotVerified."""
    return partial(_demands, settings.verify_keys, declared)


async def _demands(path: Path | None, declared: Declared) -> list[Verification]:
    found = [await declared()]
    if path is not None:
        keys = await asyncio.to_thread(read_keys, path)
        found.append(Verification("HEAD", "--verify-keys", keys))
    return [item for item in found if item is not None]


def read_keys(path: Path) -> TrustedKeys:
    """The keys in a file, or in the files of a directory. Raises: SettingsError."""
    try:
        files = [path]
        if path.is_dir():  # a mounted Secret, say, in which the kubelet also has directories of its own
            files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        if len(files) > _MOST_FILES:
            raise SettingsError(f"{path} has more than {_MOST_FILES} files", setting=_SETTING, hint=_HINT)
        return TrustedKeys.of_files({str(file): _read(file) for file in files})
    except OSError as error:
        message = f"the keys in {path} cannot be read: {error.strerror or error}"
        raise SettingsError(message, setting=_SETTING, hint=_HINT) from error
    except KeysUnusable as error:
        raise SettingsError(f"the keys in {path} cannot be used: {error}", setting=_SETTING, hint=_HINT) from error


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_TEXT + 1)
