"""Signatures as AWS's own documentation has them ("Authenticating Requests: Using the Authorization Header")."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from yarl import URL

from gitsync.s3 import Keys, Place
from gitsync.s3.signature import encoded, query_of, signed

KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
DAY = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            query_of({"prefix": "J", "max-keys": "2"}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_examples_of_the_documentation(query: str, signature: str) -> None:
    authorization, headers = signed("GET", URL(f"{HOST}/?{query}", encoded=True), "us-east-1", KEYS, DAY)
    assert authorization == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={signature}"
    )
    assert headers["x-amz-date"] == "20130524T000000Z"


def test_what_is_encoded() -> None:
    assert encoded("a b/c+d~ü.yaml", "/") == "a%20b/c%2Bd~%C3%BC.yaml"
    assert query_of({"prefix": "a/b", "list-type": "2"}) == "list-type=2&prefix=a%2Fb"


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("s3.amazonaws.com", "us-east-1"),
        ("s3.eu-central-1.amazonaws.com", "eu-central-1"),
        ("s3.dualstack.eu-central-1.amazonaws.com", "eu-central-1"),
        ("minio.example:9000", "us-east-1"),
    ],
)
def test_the_region_is_the_endpoints_own_where_none_is_given(endpoint: str, region: str) -> None:
    assert Place(endpoint, "apps").signed_region == region
    assert Place(endpoint, "apps", "other-1").signed_region == "other-1"
