"""Signature version 4 of AWS for single requests (AWS: "Authenticating Requests: Using the Authorization
Header").

A few lines, since the libraries that have them bring a cloud with them (botocore, 17 MB) or leave ``/`` in a
query unencoded (aws-request-signer 1.2.0). A real server checks them in the tests.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from urllib.parse import quote

from yarl import URL

from gitsync.s3.place import Keys

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = hashlib.sha256(b"").hexdigest()


def encoded(text: str, safe: str = "") -> str:
    """Percent-encoded as S3 has it; in paths ``/`` is ``safe``."""
    return quote(text, safe=f"{safe}-_.~")


def query_of(parameters: Mapping[str, str]) -> str:
    """A query in its canonical form: sorted as it is encoded."""
    return "&".join(sorted(f"{encoded(name)}={encoded(value)}" for name, value in parameters.items()))


def signed(
    method: str, url: URL, region: str, keys: Keys, now: datetime, payload: str = _EMPTY, service: str = "s3"
) -> tuple[str, dict[str, str]]:
    """The Authorization and the headers that go with it. ``url`` has to be encoded as ``encoded`` and ``query_of`` do;
    ``now`` is in UTC; ``payload`` is the sha256 (hex) of what the request carries."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"x-amz-content-sha256": payload, "x-amz-date": time}
    if keys.session:
        headers["x-amz-security-token"] = keys.session
    shown = {"host": url.host_port_subcomponent or "", **headers}
    names = ";".join(sorted(shown))
    lines = [f"{name}:{shown[name]}\n" for name in sorted(shown)]
    request = "\n".join((method, url.raw_path, url.raw_query_string, "".join(lines), names, payload))
    scope = (time[:8], region, service, "aws4_request")
    text = "\n".join((_ALGORITHM, time, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()))
    key = reduce(_hmac, scope, f"AWS4{keys.secret}".encode())
    signature = _hmac(key, text).hex()
    credential = "/".join((keys.access, *scope))
    return f"{_ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}", headers


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
