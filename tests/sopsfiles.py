"""Keys, and texts encrypted for them by the real sops."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from gitsync.sops import Format, Keys, Sops
from tests.controlplane import binaries


@dataclass(frozen=True)
class AgeKey:
    """A private key of age as ``age-keygen`` writes it, and the public one."""

    text: str
    recipient: str

    @property
    def identity(self) -> str:
        """The private key alone."""
        return self.text.strip().splitlines()[-1]


def age_key() -> AgeKey:
    """A new one."""
    text = subprocess.run([program("age-keygen")], capture_output=True, text=True, check=True).stdout
    found = re.search(r"public key: (age1\w+)", text)
    assert found is not None
    return AgeKey(text, found[1])


def program(name: str) -> Path:
    """One of the programs that the tests build."""
    return binaries.ensure(binaries.SOPS if name == "sops" else binaries.AGE_KEYGEN)


def encrypted(text: str | bytes, key: AgeKey | str, as_is: Format = "yaml", *options: str) -> bytes:
    """A text, dedented, as sops encrypts it for a key of age."""
    recipient = key.recipient if isinstance(key, AgeKey) else key
    data = dedent(text).encode() if isinstance(text, str) else text
    kinds = ["--input-type", as_is, "--output-type", as_is, "--filename-override", "x"]
    command = [str(program("sops")), "--config", "/dev/null", "encrypt", "--age", recipient, *kinds, *options]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def decrypted(data: bytes, key: AgeKey, given: Format = "yaml", wanted: Format | None = None) -> bytes:
    """What ``sops decrypt`` itself makes of a text."""
    command = [str(program("sops")), "decrypt", "--input-type", given, "--output-type", wanted or given]
    environment = {"SOPS_AGE_KEY": key.identity}
    done = subprocess.run(command, input=data, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def encrypted_for_pgp(text: str, directory: Path, *options: str) -> tuple[bytes, bytes, str]:
    """A YAML text as sops encrypts it for a new key of PGP, that private key, and its fingerprint."""
    home = directory / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run([*gpg, "--quick-gen-key", "test <test@example.com>", "default", "default", "never"], check=True)
    listed = subprocess.run([*gpg, "--list-keys", "--with-colons"], check=True, capture_output=True, text=True).stdout
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    private = subprocess.run([*gpg, "--armor", "--export-secret-keys"], check=True, capture_output=True).stdout
    command = [str(program("sops")), "--config", "/dev/null", "encrypt", "--pgp", fingerprint, *options]
    command += ["--input-type", "yaml", "--output-type", "yaml", "--filename-override", "x"]
    environment = {"GNUPGHOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, input=text.encode(), capture_output=True, env=environment, check=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return done.stdout, private, fingerprint


def keys(*of: AgeKey, secret: str = "Secret 'flux-system/sops-age'") -> Keys:
    """The keys of a Secret with these."""
    return Keys.of(secret, {f"{number}.agekey": key.text.encode() for number, key in enumerate(of)})


def sops() -> Sops:
    """What decrypts, with the program of the tests."""
    return Sops(program("sops"))
