"""sops, run on texts that it is given.

Texts are hostile input, keys are other people's. One run gets one text on its standard input and the keys that this
text names, in an environment and a home of its own: nothing of the agent's is there that could stand for a key, and
what would ask a cloud who this machine is, is turned off. What was decrypted is kept in memory, and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from gitsync.errors import SopsError, SopsUnavailable
from gitsync.runtime.cache import Cache
from gitsync.runtime.places import Places, Ticket
from gitsync.runtime.privatefiles import NoMemoryDirectory, private_directory
from gitsync.runtime.program import Done, Limits, run
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sops.keys import Keys
from gitsync.sops.metadata import Format, Recipient, recipients
from gitsync.text import listed, shorten

#: How many run at once, where nobody says: a processor each, for some 20 ms.
CONCURRENT: Final = 2
#: What one text may have, in bytes; decrypted it is smaller.
MAX_TEXT: Final = 5 << 20
#: What may be decrypted texts in memory, in bytes.
REMEMBERED: Final = 16 << 20

_MIB: Final = 1 << 20
_LIMITS: Final = Limits(timeout=30.0, processor_time=20, memory=192 * _MIB, output=MAX_TEXT, complaint=64 << 10)
_NOWHERE: Final = "/nonexistent"
_NO_PROXY_THERE: Final = "http://0.0.0.0:1"
#: Kinds of keys that are asked of a server, over the network.
_ASKED: Final = frozenset({"kms", "gcp_kms", "azure_kv", "hc_vault", "hckms"})
_NETWORK: Final = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_ENVIRONMENT: Final = {
    "PATH": _NOWHERE,
    "HOME": _NOWHERE,
    "GNUPGHOME": _NOWHERE,
    "SOPS_GPG_EXEC": f"{_NOWHERE}/gpg",
    "SOPS_HC_VAULT_ALLOWLIST": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    "GCE_METADATA_HOST": "0.0.0.0:1",
    "GOMAXPROCS": "1",
}
#: How sops ends (cmd/sops/codes): whatever it says besides may quote what it has decrypted.
_NO_KEY: Final = 128
_NOT_WRITTEN: Final = 4
_DAMAGED: Final = (24, 25, 51, 52)

_DAMAGED_HINT: Final = "take it back to what sops wrote, and change it with sops; or encrypt it anew"
_NOT_WRITTEN_HINT: Final = "give it a name with the ending of its format"
_UNNAMED_HINT: Final = "name the Secret in spec.decryption.secretRef, or one for all in the setting sops_age_secret"
_MISSING_HINT: Final = "put sops (getsops/sops) on the agent's PATH; gitsync's image has it"
_MEMORY_HINT: Final = "mount /dev/shm, or an emptyDir with medium: Memory on the temporary directory"


class Sops:
    """Runs sops, a few at once, and remembers what came out last, by text and keys. ``program`` is the one of PATH when
    None; ``limits`` are those of one run; ``places`` are those of all processes that anybody's files are given to."""

    def __init__(self, program: Path | None = None, limits: Limits = _LIMITS, places: Places | None = None) -> None:
        self._program = program
        self._limits = limits
        self._places = places or Places(CONCURRENT)
        self._opened: Cache[bytes] = Cache(REMEMBERED, self._places.remembered)
        self._opening: SingleFlight[bytes] = SingleFlight()

    async def open(self, text: bytes, given: Format, wanted: Format, keys: Keys, owner: str = "") -> bytes:
        """A text decrypted, its MAC checked. ``owner`` is on whose behalf it is done: owners take turns.

        Raises: SopsError for what these keys do not open, and for what is damaged; SopsUnavailable when sops cannot be
        run, takes too long, or a server does not give a key.
        """
        if len(text) > MAX_TEXT:
            raise SopsError(f"more than {MAX_TEXT >> 20} MiB are too much to decrypt")
        key = f"{given} {wanted} {keys.digest} {hashlib.sha256(text).hexdigest()}"
        known = self._opened.get(key)
        if known is not None:
            return known
        # For each owner by himself: nobody waits in the place of another one, who may be far behind.
        opened = await self._opening.run((owner, key), lambda: self._open(text, given, wanted, keys, owner, key))
        self._opened.put(key, opened, len(opened) + 200)
        return opened

    async def _open(self, text: bytes, given: Format, wanted: Format, keys: Keys, owner: str, key: str) -> bytes:
        named = await asyncio.to_thread(recipients, text, given)
        kinds = keys.kinds & {item.kind for item in named}
        if not kinds:
            raise _no_key(named, keys)
        program, environment = await asyncio.to_thread(self._find), _environment(kinds, named, keys)
        command: list[str | Path] = [program, "decrypt", "--input-type", given, "--output-type", wanted]
        files = {name: data for kind in sorted(kinds) for name, data in keys.files.get(kind, {}).items()}
        done = await self._places.run(
            owner, key, self._limits.timeout, lambda ticket: self._run(command, text, environment, files, ticket)
        )
        if done.status == _NOT_WRITTEN:
            raise SopsError(f"what is encrypted as {given} cannot be written as {wanted}", hint=_NOT_WRITTEN_HINT)
        return self._result(done, named, kinds, keys)

    async def _run(
        self,
        command: Sequence[str | Path],
        text: bytes,
        environment: Mapping[str, str],
        files: Mapping[str, bytes],
        ticket: Ticket,
    ) -> Done | None:
        """How one run ended; None when it has lost its place before that."""

        def begun(end: Callable[[], None]) -> None:
            ticket.end = end

        try:
            async with AsyncExitStack() as stack:
                if files:
                    home = await stack.enter_async_context(private_directory("gitsync-sops-", files, in_memory=True))
                    environment = {**environment, "GNUPGHOME": str(home)}
                    if "azure.pem" in files:
                        environment["AZURE_CLIENT_CERTIFICATE_PATH"] = str(home / "azure.pem")
                done = await run(command, self._limits, environment, Path("/"), text, begun=begun)
        except TimeoutError:
            raise SopsUnavailable(f"sops did not end within {self._limits.timeout:g} s") from None
        except OSError as error:
            raise SopsUnavailable(f"sops cannot be run: {error.strerror}", hint=_MISSING_HINT) from None
        except NoMemoryDirectory as error:
            raise SopsUnavailable(f"keys for sops must not be on a disk, and {error}", hint=_MEMORY_HINT) from None
        return None if done.status and ticket.preempted else done

    def _find(self) -> Path:
        if self._program is not None:
            return self._program
        found = shutil.which("sops")
        if found is None:
            raise SopsUnavailable("there is no sops on the PATH, which decrypts", hint=_MISSING_HINT)
        return Path(found)

    def _result(self, done: Done, named: tuple[Recipient, ...], kinds: frozenset[str], keys: Keys) -> bytes:
        if len(done.output) > self._limits.output:
            raise SopsError(f"more than {self._limits.output >> 20} MiB come out of sops")
        if done.ran_out_of_time(self._limits):
            raise SopsError(f"sops needs more than {self._limits.processor_time} s of a processor's time for it")
        if done.status == 0:
            return done.output
        if done.status == _NO_KEY:
            if not kinds & _ASKED:
                raise _no_key(named, keys)
            # Nothing has been decrypted by then, so what sops says quotes nothing but the server.
            said = shorten(" ".join(done.complaint.decode("utf-8", "replace").split()), 300)
            raise SopsUnavailable(f"{_shown(named)} did not give the key: {said}")
        if done.status in _DAMAGED:
            message = "it was changed after it was encrypted, or is damaged: its values and its MAC do not fit"
            raise SopsError(message, hint=_DAMAGED_HINT)
        raise SopsError(f"sops cannot read it (exit code {done.status})", hint="try sops decrypt on the file")


def _environment(kinds: frozenset[str], named: tuple[Recipient, ...], keys: Keys) -> dict[str, str]:
    """What sops is told: these keys, and the network only for keys that are asked of a server."""
    environment = dict(_ENVIRONMENT)
    for kind in kinds:
        environment |= keys.environment[kind]
    if kinds & _ASKED:
        environment |= {name: os.environ[name] for name in _NETWORK if name in os.environ}
        if "hc_vault" in kinds:
            environment["SOPS_HC_VAULT_ALLOWLIST"] = "all"
    else:
        environment |= {"HTTP_PROXY": _NO_PROXY_THERE, "HTTPS_PROXY": _NO_PROXY_THERE}
    return environment


def _no_key(named: tuple[Recipient, ...], keys: Keys) -> SopsError:
    why = f"none of the keys in {keys.secret} opens it" if keys.secret else "spec.decryption names no Secret with keys"
    hint = "add the private key to the Secret" if keys.secret else _UNNAMED_HINT
    hint += ", or encrypt it for a key that is there: sops updatekeys"
    return SopsError(f"encrypted for {_shown(named)}; {why}", hint=hint)


def _shown(named: tuple[Recipient, ...]) -> str:
    return listed(map(str, named), 3) if named else "a key that it does not name"
