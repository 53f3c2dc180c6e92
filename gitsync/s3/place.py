"""A bucket, and how to reach it: plain data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from yarl import URL

from gitsync.errors import SourceError
from gitsync.http import Connection

_HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
#: The region that a server of no cloud has, as in minio-go.
_NO_REGION = "us-east-1"
#: As AWS writes its endpoints; s3.amazonaws.com is that of us-east-1.
_AWS = re.compile(r"s3[.-](?:dualstack\.|fips\.)?([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Who asks; nobody in particular without them. Those that end go with a ``session``."""

    access: str = ""
    secret: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """``endpoint`` is host and port. ``insecure`` speaks plain HTTP. ``timeout`` is for a list, and for all objects
    that are fetched together, in seconds; ``owner`` the namespace on whose behalf the bucket is asked."""

    endpoint: str
    bucket: str
    region: str = ""
    keys: Keys = field(default_factory=Keys)
    connection: Connection = field(default_factory=Connection)
    insecure: bool = False
    timeout: float = 60.0
    owner: str = ""

    def __post_init__(self) -> None:
        """Raises: SourceError for what would be another server or path than the one that is named."""
        if not _HOST.fullmatch(self.endpoint):
            raise SourceError(
                "spec.endpoint is no host", hint="write host and port, without https:// and without a path"
            )
        if not _BUCKET.fullmatch(self.bucket) or ".." in self.bucket:
            raise SourceError(f"{self.endpoint}: spec.bucketName is not the name of a bucket", url=self.endpoint)
        if self.region and not _REGION.fullmatch(self.region):
            raise SourceError(f"{self}: spec.region is not the name of a region", url=str(self))

    def __repr__(self) -> str:
        return f"Place({str(self)!r})"

    def __str__(self) -> str:
        return str(self.base)

    @property
    def base(self) -> URL:
        """Where the bucket is: in the path, which every server understands, AWS too."""
        return URL(f"{'http' if self.insecure else 'https'}://{self.endpoint}/{self.bucket}")

    @property
    def signed_region(self) -> str:
        """The region that requests are signed for."""
        found = _AWS.fullmatch(self.base.host or "")
        return self.region or (found[1] if found else _NO_REGION)

    @property
    def secrets(self) -> frozenset[str]:
        """What of it is not to be told."""
        return frozenset({self.keys.secret, self.connection.key} - {""})

    @property
    def id(self) -> str:
        """Names it in caches; differs when the credentials do, since they may decide what is shown."""
        keys, given = self.keys, self.connection
        parts = (str(self), self.region, keys.access, keys.secret, given.ca, given.cert, given.key, given.proxy)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
