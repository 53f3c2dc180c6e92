"""What a server does that git does not say: with its certificate or ours, and instead of answering as a git server."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from gitsync.git.source import GitSource

#: Seconds for one more handshake, and of these for the word of a server that does not like how it went.
_HANDSHAKE = 10.0
_WORD = 2.0
#: Bytes of a trace that are read, from its end on: a header of an answer takes a line.
_TRACE = 256 << 10
_MEDIA_TYPE = re.compile(rb"<= Recv header: content-type: *([a-z0-9.+/-]{1,100})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a server: what is wrong, and what to do about it."""

    text: str
    hint: str


_EXPIRED = Fault("its certificate has expired", "it has to be renewed by whoever runs the server")
_EARLY = Fault("its certificate is not valid yet", "compare the clocks of the server and of this machine")
_FOREIGN = Fault(
    "its certificate is by an authority that is not known here",
    "give the authority as ca_file (a GitRepository's Secret: ca.crt) if it is a private one",
)
_NO_CERTIFICATE = Fault(
    "it asks for a client's certificate and none is given",
    "give tls.crt and tls.key in the GitRepository's Secret",
)
_OUR_CERTIFICATE = Fault(
    "it does not take the client's certificate that is given",
    "check tls.crt and tls.key of the GitRepository's Secret: they may have expired, or be of another authority",
)
#: Of a server that says no word of what it does not like.
_LEFT = "it ends the connection as soon as hands are shaken: "
_LEFT_WITHOUT = Fault(f"{_LEFT}it may ask for a client's certificate, and none is given", _NO_CERTIFICATE.hint)
_LEFT_WITH = Fault(f"{_LEFT}it may not take the client's certificate that is given", _OUR_CERTIFICATE.hint)
_REFUSES = Fault(
    "it refuses the handshake: it may ask for a client's certificate, and none is given", _NO_CERTIFICATE.hint
)
#: By the numbers of OpenSSL (X509_V_ERR_...); 7 is another authority of the same name.
_FAULTS = {9: _EARLY, 10: _EXPIRED, **dict.fromkeys((7, 18, 19, 20, 21), _FOREIGN)}
_OTHER_HOST = frozenset({62, 64})
#: What a server says (an alert of TLS) about the certificate of a client. The first one is about nothing else.
_WANTED = "CERTIFICATE_REQUIRED"
_REFUSED = re.compile(
    "(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN)|UNKNOWN_CA|DECRYPT_ERROR|ACCESS_DENIED"
)


async def tls_fault(source: GitSource) -> Fault | None:
    """What is wrong with the certificate of an https server, or with ours, by one more handshake in which nothing is
    asked: with the authorities and the certificate that git has, which are in files. None when that is not it, or
    cannot be told: through a proxy nobody is asked."""
    url = URL(source.endpoint.url)
    if url.scheme != "https" or not url.host or source.access.proxy or _by_proxy(url.host):
        return None
    given = bool(source.access.cert_file)
    try:
        context = await asyncio.to_thread(_context, source)
        async with asyncio.timeout(min(source.timeout, _HANDSHAKE)):
            stays = await _shake_hands(context, url.host, url.port or 443)
    except ssl.SSLCertVerificationError as error:
        return _certificate_fault(error, url.host)
    except ssl.SSLError as error:
        return _client_fault(error, given)
    except (OSError, TimeoutError, ValueError):
        return None
    if stays:
        return None
    return _LEFT_WITH if given else _LEFT_WITHOUT


async def _shake_hands(context: ssl.SSLContext, host: str, port: int) -> bool:
    """And wait a moment for what the server says after that: with TLS 1.3 that it wants a certificate. Returns whether
    it waits for a request then, as it should.

    Raises: ssl.SSLError, OSError.
    """
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        async with asyncio.timeout(_WORD):
            return bool(await reader.read(1))
    except TimeoutError:
        return True
    except ConnectionError:
        return False
    finally:
        writer.transport.abort()


def _certificate_fault(error: ssl.SSLCertVerificationError, host: str) -> Fault:
    if error.verify_code in _OTHER_HOST:
        return Fault(
            f"its certificate is not one for {host}",
            "correct the URL, or have the name in the server's certificate",
        )
    words = error.verify_message.rstrip(".")
    return _FAULTS.get(error.verify_code) or Fault(f"its certificate is not valid: {words}", _FOREIGN.hint)


def _client_fault(error: ssl.SSLError, given: bool) -> Fault | None:
    said = str(error.reason or "").upper()
    if _WANTED in said:
        return _OUR_CERTIFICATE if given else _NO_CERTIFICATE
    if given and _REFUSED.search(said):
        return _OUR_CERTIFICATE
    return _REFUSES if "HANDSHAKE_FAILURE" in said and not given else None


def _context(source: GitSource) -> ssl.SSLContext:
    """As git has it. Blocks. Raises: OSError, ssl.SSLError."""
    access = source.access
    authorities = str(access.ca_file or "") or os.environ.get("GIT_SSL_CAINFO")
    context = ssl.create_default_context(cafile=authorities or None)
    if access.cert_file and access.key_file:
        context.load_cert_chain(access.cert_file, access.key_file)
    return context


def _by_proxy(host: str) -> bool:
    """Whether the environment has a proxy for this host, as curl reads it."""
    given = {"https", "all"} & urllib.request.getproxies_environment().keys()
    return bool(given) and not urllib.request.proxy_bypass(host)


def traced(file: Path) -> dict[str, str]:
    """What has git write the headers of answers into a file, and no credential: it blackens those."""
    return {"GIT_TRACE_CURL": str(file), "GIT_TRACE_CURL_NO_DATA": "1", "GIT_TRACE_REDACT": "1"}


def page_type(file: Path) -> str:
    """The media type of the last answer in such a file, where that is a page for people; "" else. Blocks."""
    try:
        with file.open("rb") as trace:
            trace.seek(max(0, file.stat().st_size - _TRACE))
            found = _MEDIA_TYPE.findall(trace.read(_TRACE))
    except OSError:
        return ""
    media_type: str = found[-1].decode().lower() if found else ""
    return media_type if "html" in media_type else ""
