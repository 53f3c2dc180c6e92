"""docs/notifications.md: its manifests are what they should be, and every type and field is on it."""

from __future__ import annotations

import re
from typing import Any, get_args

from gitsync.api.checking.check import check
from gitsync.api.notification import SERVED_TYPES, AlertSpec, Provider, ProviderSpec, ProviderType
from gitsync.kubeyaml import load, split
from gitsync.notify.providers import refused
from gitsync.notify.services.registry import SERVICES
from gitsync.notify.target import Target
from tests.docs.markdown import ROOT
from tests.notify.telling import GOOD

PAGE = ROOT / "docs" / "notifications.md"


def manifests() -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return [load(document.text) for block in blocks for document in split(block)]


def test_each_manifest_can_be_used() -> None:
    assert [(item["metadata"]["name"], check(item)) for item in manifests() if check(item)] == []


def test_each_type_that_is_served_is_shown_and_something_can_be_sent_to_what_is_shown() -> None:
    providers = [Provider.parse(item) for item in manifests() if item["kind"] == "Provider"]
    assert {item.spec.type for item in providers} == set(SERVED_TYPES)
    for item in providers:
        assert not refused(item)
        address = item.spec.address or "https://hooks.example/secret"
        to = Target(item.key, item.spec.type, address, channel=item.spec.channel, token="a-token")
        assert SERVICES[item.spec.type].posts(to, [GOOD])


def test_each_type_that_is_not_served_is_named() -> None:
    (listed,) = re.findall(r"These types of Flux are not served: (.*?)\. A Provider", PAGE.read_text(), re.S)
    assert set(re.split(r",\s+", listed)) == set(get_args(ProviderType)) - SERVED_TYPES


def test_each_field_is_named() -> None:
    text = PAGE.read_text()
    for model in (ProviderSpec, AlertSpec):
        fields = [field.alias or "" for field in model.model_fields.values()]
        assert [name for name in fields if f"`{name}`" not in text and f"`{name}." not in text] == []
