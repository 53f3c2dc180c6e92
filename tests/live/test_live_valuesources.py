"""Where each of a release's values comes from."""

from __future__ import annotations

from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.live.valuesources import CHART, INLINE, ValueSource, secret_paths, sourced


def release(*references: dict[str, Any], values: dict[str, Any]) -> HelmRelease:
    chart = {"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "redis", "namespace": "default"},
            "spec": {"interval": "5m", "chart": chart, "values": values, "valuesFrom": list(references)},
        }
    )


BASE = ValueSource(ObjectKey("", "ConfigMap", "default", "base"), "values.yaml")
LOGIN = ValueSource(ObjectKey("", "Secret", "default", "login"), "password")


def test_what_wins_says_where_it_is_from_and_the_chart_has_the_rest() -> None:
    found = release(
        {"kind": "ConfigMap", "name": "base"},
        {"kind": "Secret", "name": "login", "valuesKey": "password", "targetPath": "auth.password"},
        values={"replicas": 3, "list": ["a"]},
    )
    texts = ("replicas: 2\nzone: north\nauth: {user: ann, password: old}\n", "hunter2")
    defaults = {"replicas": 1, "image": {"tag": "7"}, "zone": "south", "list": ["x", "y"]}
    told = {item.path: (item.value, item.source) for item in sourced(found, texts, defaults)}
    assert told == {
        ("replicas",): (3, INLINE),
        ("zone",): ("north", BASE),
        ("auth", "user"): ("ann", BASE),
        ("auth", "password"): ("hunter2", LOGIN),
        ("list", 0): ("a", INLINE),
        ("image", "tag"): ("7", CHART),
    }
    assert secret_paths(found, texts) == {("auth", "password")}


def test_a_reference_that_is_not_there_adds_nothing() -> None:
    found = release({"kind": "Secret", "name": "login"}, values={"a": 1})
    assert [(item.path, item.source) for item in sourced(found, (None,), {})] == [(("a",), INLINE)]


def test_a_place_in_a_list_is_the_only_one_that_a_target_path_sets() -> None:
    found = release(
        {"kind": "Secret", "name": "login", "valuesKey": "password", "targetPath": "users[1].password"},
        values={"users": [{"name": "ann"}, {"name": "ben"}]},
    )
    assert secret_paths(found, ("hunter2",)) == {("users", 1, "password")}
