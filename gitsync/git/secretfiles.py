"""What git and ssh read from files, for the length of one conversation."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from gitsync.git.source import GitCredentials, GitTexts

#: What ssh asks for the key's passphrase; it holds none. ssh would ask on a terminal, and there is none.
_ASKPASS = '#!/bin/sh\nprintf "%s\\n" "$_GITSYNC_PASSPHRASE"\n'


@contextmanager
def in_files(access: GitCredentials) -> Iterator[GitCredentials]:
    """The same with its ``texts`` in files that nobody else can read, inside; they are gone afterwards.

    Done on the loop: it is the work of a moment, and a thread could be left alone with it by a cancellation.
    """
    if access.texts is None:
        yield access
        return
    with tempfile.TemporaryDirectory(prefix="gitsync-git-", ignore_cleanup_errors=True) as directory:
        yield _written(access, access.texts, Path(directory))


def _written(access: GitCredentials, texts: GitTexts, directory: Path) -> GitCredentials:
    def file(name: str, text: str, mode: int = 0o600) -> Path | None:
        if not text:
            return None
        path = directory / name
        # Secrets are often written without the last line's end, or with Windows', and ssh takes neither in a key.
        path.write_text(text.replace("\r\n", "\n").rstrip("\n") + "\n", encoding="utf-8")
        path.chmod(mode)
        return path

    return replace(
        access,
        texts=None,
        ca_file=file("ca.crt", f"{texts.ca}\n{_authorities()}" if texts.ca else ""),
        cert_file=file("tls.crt", texts.cert),
        key_file=file("tls.key", texts.key),
        ssh_key_file=file("identity", texts.ssh_key),
        known_hosts_file=file("known_hosts", texts.known_hosts) if texts.ssh_key else None,
        askpass_file=file("askpass", _ASKPASS, 0o700) if access.passphrase else None,
    )


@cache
def _authorities() -> str:
    """The system's: a Secret's authority counts beside them, as in Flux."""
    known = os.environ.get("GIT_SSL_CAINFO") or ssl.get_default_verify_paths().cafile or ""
    try:
        return Path(known).read_text(encoding="utf-8") if known else ""
    except (OSError, UnicodeDecodeError):
        return ""
