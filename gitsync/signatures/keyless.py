"""Signatures of cosign without keys, in bundles of Sigstore: by somebody whom an issuer knows, with the proofs of the
logs that a trusted root names. All of it is checked by what is given: nobody is asked.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import re2

from gitsync.errors import NotVerified
from gitsync.signatures.statements import IN_TOTO, bundle_of, check_statement
from gitsync.text import printable, shorten

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

#: The claim iss of who has signed, in a certificate of Fulcio: as a text of ASN.1, and before that as it is.
_ISSUER: Final = "1.3.6.1.4.1.57264.1.8"
_ISSUER_BEFORE: Final = "1.3.6.1.4.1.57264.1.1"
#: The directory in which the package sigstore has what its public service publishes, named after that.
_PUBLIC: Final = urllib.parse.quote("https://tuf-repo-cdn.sigstore.dev", safe="")
_NO_PACKAGE: Final = "signatures without a key need the package sigstore, which is not there"
_PACKAGE_HINT: Final = "install gitsync with it: gitsync[keyless]"
_LONGEST_PATTERN = 1024
_LONGEST_SHOWN = 200
_UTF8_STRING = 0x0C


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose signatures count: regular expressions (RE2) that are found in the issuer and in the subject."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Keyless:
    """Whose signatures count, and the trusted root (``trusted_root.json``) by which that is proved. ``id`` is another
    text for another root."""

    identities: tuple[Identity, ...] = ()
    root: bytes = field(default=b"", compare=False, repr=False)
    id: str = ""

    @classmethod
    def by_public_root(cls, identities: Sequence[Identity]) -> Keyless:
        """These, by the root of Sigstore's public service. Blocks. Raises: NotVerified."""
        return cls.of(identities, public_root())

    @classmethod
    def of(cls, identities: Sequence[Identity], root: bytes) -> Keyless:
        """These, by a root."""
        return cls(tuple(identities), root, hashlib.sha256(root).hexdigest())


def public_root() -> bytes:
    """The trusted root of Sigstore's public service, of the time when the package sigstore was released: who publishes
    it is not asked. Blocks.

    Raises: NotVerified when it is not there.
    """
    try:
        return importlib.resources.files("sigstore").joinpath("_store", _PUBLIC, "trusted_root.json").read_bytes()
    except ImportError:
        raise NotVerified(_NO_PACKAGE, hint=_PACKAGE_HINT) from None
    except OSError:
        hint = "name a Secret with one in trustedRootSecretRef"
        raise NotVerified("the package sigstore has no trusted root of Sigstore's public service", hint=hint) from None


def check_keyless(data: bytes, digest: str, wanted: Keyless) -> None:
    """Whether this bundle is a signature of the artifact with this digest, by one of those who are wanted.

    Raises: NotVerified, also where it cannot be checked at all.
    """
    bundle_of(data, digest)
    policy = _Policy(tuple((_compiled(item.issuer), _compiled(item.subject)) for item in wanted.identities))
    try:
        _verify(data, digest, wanted.root, policy)
    except NotVerified:
        raise
    except ImportError:
        raise NotVerified(_NO_PACKAGE, hint=_PACKAGE_HINT) from None
    except Exception as error:  # whatever the library makes of anybody's bytes: what could not be checked was not
        raise NotVerified(_shown(str(error)) or type(error).__name__) from error


def _verify(data: bytes, digest: str, root: bytes, policy: _Policy) -> None:
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

    kind, payload = Verifier(trusted_root=_trusted(root)).verify_dsse(Bundle.from_json(data), policy)
    if kind != IN_TOTO:
        raise NotVerified("its envelope cannot be read")
    check_statement(payload, digest)


def _trusted(root: bytes) -> Any:
    """The trusted root, which the library reads from a file alone. Raises: NotVerified."""
    from sigstore.models import TrustedRoot

    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(root)
        file.flush()
        try:
            return TrustedRoot.from_file(file.name)
        except Exception as error:
            raise NotVerified("the trusted root cannot be read: it is no trusted_root.json of Sigstore") from error


@dataclass(frozen=True)
class _Policy:
    """Whom a certificate has to be for: pairs of patterns, for the issuer and the subject."""

    wanted: tuple[tuple[Any, Any], ...]

    def verify(self, cert: Certificate) -> None:
        """Raises: NotVerified."""
        issuer, subjects = _issuer(cert), list(_subjects(cert))
        for issuers, named in self.wanted:
            if issuers.search(issuer) and any(named.search(subject) for subject in subjects):
                return
        who = _shown(subjects[0]) if subjects else "nobody"
        raise NotVerified(f"it is by {who}, as {_shown(issuer) or 'nobody'} says, whom matchOIDCIdentity does not name")


def _issuer(cert: Certificate) -> str:
    from cryptography import x509

    for oid in (_ISSUER, _ISSUER_BEFORE):
        try:
            found: Any = cert.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
        except x509.ExtensionNotFound:
            continue
        raw: bytes = found.value
        return _utf8(raw) if oid == _ISSUER else raw.decode()
    return ""


def _utf8(raw: bytes) -> str:
    """A UTF8String of ASN.1. Raises: NotVerified."""
    size, begin = (raw[1], 2) if len(raw) > 1 else (0, 0)
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(raw[2:begin])
    if raw[:1] != bytes([_UTF8_STRING]) or len(raw) != begin + size:
        raise NotVerified("its certificate does not say who the issuer is")
    return raw[begin:].decode()


def _subjects(cert: Certificate) -> Iterator[str]:
    """As whom the issuer knows who has signed: a workflow, an address of mail."""
    from cryptography import x509

    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    for name in names:
        if isinstance(name, x509.UniformResourceIdentifier | x509.RFC822Name | x509.DNSName):
            yield name.value


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        if len(pattern) > _LONGEST_PATTERN:
            raise re2.error("it is too long")
        return re2.compile(pattern, options)
    except re2.error:
        raise NotVerified(f"matchOIDCIdentity has {_shown(pattern)!r}, which is no regular expression") from None


def _shown(text: str) -> str:
    return printable(shorten(" ".join(text.split()), _LONGEST_SHOWN))
