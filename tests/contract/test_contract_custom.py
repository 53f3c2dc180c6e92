"""Custom resources: the sandbox answers as a real API server does."""

from __future__ import annotations

import uuid
from typing import Any

from tests.contract.comparing import STRATEGIC, TABLE, Json, Side
from tests.contract.conftest import Tell

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "port": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "string", "nullable": True},
                "deep": {
                    "type": "object",
                    "default": {},
                    "properties": {"on": {"type": "boolean", "default": True}, "more": {"type": "string"}},
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "plain": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
            },
        },
        "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
    },
}


def definition(group: str, *, status: bool = True) -> Json:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
            {"name": "Part", "type": "string", "jsonPath": '.spec.parts[?(@.name=="a")].count'},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        **({"subresources": {"status": {}}} if status else {}),
    }
    older = {**version, "name": "v1beta1", "storage": False}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [older, version]},
    }


def widget(group: str, called: str = "w", version: str = "v1", **spec: Any) -> Json:
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "Widget",
        "metadata": {"name": called},
        "spec": {"size": 1, **spec},
    }


def is_established(answer: Json) -> bool:
    return {"Established"} <= {
        each["type"] for each in (answer.get("status", {}).get("conditions") or ()) if each["status"] == "True"
    }


def test_custom_resources_are_defaulted_pruned_and_checked(tell: Tell) -> None:
    group = f"{uuid.uuid4().hex[:6]}.example"

    def story(side: Side) -> None:
        crd = definition(group)
        side.create(crd)
        side.until(lambda: side.get(crd), is_established, "established")
        side.create({**definition(group), "metadata": {"name": f"gadgets.{group}"}})
        # An API server tells of a new kind a moment after it is established.
        side.until(lambda: side.send("GET", f"apis/{group}"), lambda answer: "versions" in answer, "group is told")
        side.until(
            lambda: side.send("GET", f"apis/{group}/v1"), lambda answer: "resources" in answer, "kind is told of"
        )
        side.until(lambda: side.list_all(widget(group)), lambda answer: "items" in answer, "served")
        side.create(widget(group))
        side.create(widget(group, "nulls", maybe=None, colour=None, name=None))
        side.create(widget(group, "odd", what=1, deep={"what": 2, "more": "x"}, free={"a": {"b": None}}))
        side.create(widget(group, "odd2", what=1), fieldValidation="Strict")
        side.create(widget(group, "bad", size="x", colour="blue", name="A", plain=["a", "b", "c"]))
        for bad in (
            {"size": 0},
            {"size": 10},
            {"size": "x"},
            {"size": None},
            {"colour": "blue"},
            {"name": "A"},
            {"port": True},
            {"labels": {"a": 1}},
            {"plain": ["a", "b", "c"]},
            {"parts": [{"name": "a"}, {"name": "a"}]},
            {"parts": [{"count": 1}]},
            {"name": "abcdef"},
            {"tags": ["a", "a"]},
        ):
            side.create(widget(group, "bad", **bad))
        side.create({**widget(group), "metadata": {"name": "labelled", "labels": {"a": 1}}})
        side.create({**widget(group, "statused"), "status": {"seen": 1}})
        found = side.get(widget(group))
        side.put({**found, "spec": {"size": 2}, "status": {"seen": 1}})
        side.put(widget(group))
        side.patch(
            widget(group),
            {"status": {"seen": 2}, "spec": {"size": 3}, "metadata": {"labels": {"a": "b"}}},
            subresource="status",
        )
        side.patch(widget(group), {"metadata": {"labels": {"a": "b"}}})
        side.patch(widget(group), {"spec": {"parts": []}}, STRATEGIC)
        side.get(widget(group, version="v1beta1"))
        side.list_all(widget(group, version="v1beta1"))
        side.list_all(widget(group), TABLE)
        side.delete(crd)
        side.until(lambda: side.get(crd), lambda answer: answer.get("code") == 404, "gone")
        # As with its coming, an API server goes on to serve it for a moment.
        side.until(
            lambda: side.send("GET", f"apis/{group}/v1/widgets"), lambda answer: "items" not in answer, "not served"
        )

    tell(
        story,
        "201 200 422 200 200 200 201 201 201 400 422 422 422 422 422 422 422 422 422 422 "
        "422 422 422 422 400 201 200 200 422 200 200 415 200 200 200 200 404 404",
    )


def test_custom_resources_have_owners_too(tell: Tell) -> None:
    group = f"{uuid.uuid4().hex[:6]}.example"

    def story(side: Side) -> None:
        crd = definition(group)
        side.create(crd)
        side.until(lambda: side.get(crd), is_established, "established")
        side.until(lambda: side.list_all(widget(group)), lambda answer: "items" in answer, "served")
        side.apply(
            widget(
                group,
                parts=[{"name": "a"}, {"name": "b", "count": 2}],
                tags=["x", "y"],
                plain=["p"],
                free={"a": [1], "b": {"c": 1}},
                deep={"more": "x"},
            )
        )
        side.apply(widget(group, parts=[{"name": "c"}], tags=["z"]), "contract-b")
        side.apply(widget(group, parts=[{"name": "b", "count": 3}], tags=["x"], plain=["p", "q"], free={"b": {"d": 1}}))
        side.apply(widget(group, size=5), "contract-b")
        side.apply(widget(group, size=5), "contract-b", force="true")
        side.apply(widget(group, what=1))
        side.apply(widget(group, size="x"))
        side.apply(widget(group, size=77), force="true")
        side.apply(widget(group, parts=[{"count": 1}]))
        side.apply({**widget(group), "status": {"seen": 1}}, "contract-s", "status")
        side.apply({**widget(group), "status": {"seen": 2}}, "contract-t", "status")
        side.apply(widget(group, deep={}), force="true")
        side.apply({"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}}, "contract-b")
        side.get(widget(group))
        side.delete(crd)

    tell(story, "201 200 200 201 200 200 409 200 500 500 422 500 200 409 200 200 200 200")
