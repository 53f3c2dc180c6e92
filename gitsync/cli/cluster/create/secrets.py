"""Secrets that ``gitsync create source`` makes of flags, with the keys that Flux reads, and what refers to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from gitsync.api.identity import Manifest
from gitsync.cli.cluster.create.creating import reference, stated
from gitsync.logs import register_secret

#: The largest file that is read: a bundle of all public authorities has a fifth of it.
_LARGEST = 1 << 20


def login(namespace: str, name: str, username: str, password: str, tls: dict[str, str]) -> Manifest | None:
    """The Secret for a login and for certificates. Raises: typer.BadParameter."""
    _both(username, password, "--username", "--password")
    return secret(namespace, name, {"username": username, "password": password, **tls}, password, tls.get("tls.key"))


def git_login(
    namespace: str,
    name: str,
    url: str,
    basic: tuple[str, str],
    ca_file: Path | None,
    key_files: tuple[Path | None, Path | None],
) -> Manifest | None:
    """The same for a Git server: ``basic`` is a user and a password, ``key_files`` are a private key, which the
    password opens, and the host keys. Raises: typer.BadParameter."""
    username, password = basic
    key, known_hosts = key_files
    if not url.startswith("ssh://"):
        if key or known_hosts:
            raise typer.BadParameter("a key is for ssh://", param_hint="--private-key-file")
        return login(namespace, name, username, password, {"ca.crt": content(ca_file)} if ca_file else {})
    if username or ca_file:
        option = "--username" if username else "--ca-file"
        raise typer.BadParameter("is not for ssh://", param_hint=option)
    _both(key, known_hosts, "--private-key-file", "--known-hosts-file")
    if not key and password:
        raise typer.BadParameter("opens a key, and none is given", param_hint="--password")
    data = {"identity": content(key), "known_hosts": content(known_hosts), "password": password}
    return secret(namespace, name, data, data["identity"], password)


def tls_files(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> dict[str, str]:
    """What files hold, by the keys of a Secret. Raises: typer.BadParameter."""
    _both(cert_file, key_file, "--cert-file", "--key-file")
    given = {"ca.crt": ca_file, "tls.crt": cert_file, "tls.key": key_file}
    return {key: content(file) for key, file in given.items() if file is not None}


def bucket_keys(namespace: str, name: str, access: str, key: str) -> Manifest | None:
    """The Secret for a bucket's keys. Raises: typer.BadParameter."""
    _both(access, key, "--access-key", "--secret-key")
    return secret(namespace, name, {"accesskey": access, "secretkey": key}, key)


def secret(namespace: str, name: str, data: dict[str, str], *secrets: str | None) -> Manifest | None:
    """A Secret, None where there is nothing to keep. ``secrets`` of it are shown nowhere."""
    kept = {key: text for key, text in data.items() if text}
    if not kept:
        return None
    for text in filter(None, secrets):
        register_secret(text)
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": kept}


def verification(provider: str, keys: str, issuer: str, subject: str, root: str) -> dict[str, Any]:
    """``spec.verify``. Raises: typer.BadParameter."""
    if not provider:
        if keys or issuer or subject or root:
            raise typer.BadParameter("is needed, too", param_hint="--verify-provider")
        return {}
    _both(issuer, subject, "--verify-issuer", "--verify-subject")
    return stated(
        {
            "provider": provider,
            "secretRef": reference(keys),
            "matchOIDCIdentity": [{"issuer": issuer, "subject": subject}] if issuer else [],
            "trustedRootSecretRef": reference(root),
        }
    )


def content(file: Path | None) -> str:
    """What a file holds, "" without one. Raises: typer.BadParameter."""
    if file is None:
        return ""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise typer.BadParameter(f"{file} cannot be read: {why}") from None
    if len(text) > _LARGEST:
        raise typer.BadParameter(f"{file} is larger than {_LARGEST >> 20} MiB")
    return text


def _both(one: object, other: object, option: str, other_option: str) -> None:
    if bool(one) != bool(other):
        raise typer.BadParameter(f"{option} and {other_option} go together", param_hint=option)
