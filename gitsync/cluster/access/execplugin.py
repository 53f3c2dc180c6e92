"""Credential plugins: the ``exec`` section of a kubeconfig (client.authentication.k8s.io)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.exec_provider import ExecProvider

from gitsync.text import shorten

#: Anything that could be a token in what a plugin prints when it fails.
_LONG_WORD = re.compile(r"\S{32,}")
_COMPLAINT = 300
_OUTPUT = 1 << 20


@dataclass(frozen=True)
class PluginCredential:
    """A token, or a client certificate with its key (PEM), and when it ends, if the plugin says so."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    expires: datetime | None = None

    def renew_after(self) -> float | None:
        """Seconds until it should be renewed: a minute before its end, or after four fifths of a short life."""
        if self.expires is None:
            return None
        left = (self.expires - datetime.now(UTC)).total_seconds()
        return max(left - 60.0, left * 0.8, 0.0)


async def run_plugin(section: Any, limit: float) -> PluginCredential:
    """Runs the plugin that ``section`` (kubernetes.aio's ConfigNode) names, without a terminal and without a shell.

    Raises: ConfigException when it cannot be run, fails, takes longer than ``limit`` seconds or answers nonsense.
    """
    provider = ExecProvider(section)
    info = {"apiVersion": provider.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    provider.env["KUBERNETES_EXEC_INFO"] = orjson.dumps(info).decode()
    name = provider.args[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *provider.args,
            env=provider.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ConfigException(f"the credential plugin {name} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(limit):
            output, complaint = await process.communicate()
    except TimeoutError:
        raise ConfigException(f"the credential plugin {name} gave nothing within {limit:g} s") from None
    finally:
        if process.returncode is None:  # timed out or cancelled: it must not outlive us
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode:
        raise ConfigException(f"the credential plugin {name} failed ({process.returncode}){_excerpt(complaint)}")
    return _credential(name, output[:_OUTPUT], provider.api_version)


def _excerpt(complaint: bytes) -> str:
    """The last line a failing plugin printed, without anything that could be a token."""
    lines = complaint.decode(errors="replace").strip().splitlines()
    return f": {shorten(_LONG_WORD.sub('...', lines[-1]), _COMPLAINT)}" if lines else ""


def _credential(name: str, output: bytes, api_version: str) -> PluginCredential:
    try:
        answer = orjson.loads(output)
        if answer["kind"] != "ExecCredential" or answer["apiVersion"] != api_version:
            raise ValueError
        status = answer["status"]
        expires = status.get("expirationTimestamp")
        credential = PluginCredential(
            token=(status.get("token") or "").strip(),
            certificate=status.get("clientCertificateData") or "",
            private_key=status.get("clientKeyData") or "",
            expires=datetime.fromisoformat(expires).astimezone(UTC) if expires else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigException(
            f"the credential plugin {name} did not answer with an {api_version} ExecCredential"
        ) from None
    if not credential.token and not (credential.certificate and credential.private_key):
        raise ConfigException(f"the credential plugin {name} gave neither a token nor a certificate with its key")
    return credential
