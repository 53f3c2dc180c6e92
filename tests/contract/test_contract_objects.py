"""Objects, patches, lists and watches: the sandbox answers as a real API server does."""

from __future__ import annotations

import re

from tests.contract.comparing import JSON_PATCH, METADATA, METADATA_LIST, STRATEGIC, TABLE, Side
from tests.contract.conftest import Tell
from tests.contract.stories import deployment, settings


def test_objects_are_made_changed_and_deleted(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.create(settings(a="1"))
        side.create(settings(a="1"))
        side.create({**settings(), "metadata": {"name": "Bad_Name"}})
        side.create({**settings(), "metadata": {}})
        side.create({**settings("x"), "kind": "Secret"})
        side.create({**settings("y"), "metadata": {"name": "y", "labels": {"a": "b c"}}})
        side.send("POST", "api/v1/namespaces/nowhere/configmaps", settings())
        found = side.get(settings())
        side.put({**found, "data": {"b": "2"}})
        side.put({**found, "data": {"c": "2"}})
        side.put({**settings("other"), "data": {"b": "2"}})
        side.send("PUT", side.path(settings()), settings("other"))
        side.send(
            "POST", side.collection(settings()), {**settings("o"), "metadata": {"name": "o", "namespace": "elsewhere"}}
        )
        side.put(settings(d="4"))
        side.delete(settings(), preconditions={"uid": "nobody"})
        side.delete(settings("none"))
        side.delete(settings())
        side.get(settings())
        held = {**settings("held"), "metadata": {"name": "held", "finalizers": ["test.example/hold"]}}
        side.create(held)
        side.delete(held)
        side.delete(held)
        side.patch(held, {"metadata": {"finalizers": ["test.example/hold", "test.example/more"]}})
        side.patch(held, {"metadata": {"finalizers": None}})
        side.get(held)
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": ""}
        side.create({**settings("owned"), "metadata": {"name": "owned", "ownerReferences": [reference]}})
        made = side.quietly(lambda: side.create({**settings("made"), "metadata": {"generateName": "made-"}}))
        side.told.append(re.sub("[a-z0-9]{5}$", "*", made["metadata"]["name"]))
        side.send("GET", "apis/nothing.example/v1/things")
        side.send("GET", "api/v1/nothings")

    tell(
        story,
        "201 409 422 422 201 422 404 200 200 409 404 400 400 200 409 404 200 404 201 200 200 422 200 404 422 404 404",
    )


def test_a_generation_counts_changes_and_bad_fields_are_refused(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.create({**deployment(), "status": {"replicas": 7}})
        side.patch(deployment(), {"metadata": {"labels": {"a": "b"}}})
        side.patch(deployment(), {"spec": {"paused": True}, "status": {"replicas": 7}})
        side.patch(deployment(), {"spec": {"paused": False}, "status": {"collisionCount": 7}}, subresource="status")
        side.create(deployment("odd", replcias=1))
        side.create(deployment("odd", replcias=1), fieldValidation="Strict")
        side.create(deployment("even", replcias=1), fieldValidation="Ignore")
        side.create(deployment("wrong", replicas="three"))
        side.create(deployment("negative", replicas=-1))
        strange = deployment("strange")
        strange["spec"]["template"]["spec"]["dnsPolicy"] = "Sideways"
        side.create(strange)
        side.create(deployment("unselected", selector={"matchLabels": {"app": "other"}}))
        side.patch(deployment(), {"spec": {"selector": {"matchLabels": {"app": "other"}}}})
        side.send("PUT", side.path(deployment(), "scales"), deployment())

    tell(story, "201 200 200 200 201 400 201 400 422 422 422 422 404")


def test_every_kind_of_patch(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.create(deployment())
        web = deployment()
        side.patch(web, {"metadata": {"annotations": {"a": "1"}}})
        side.patch(web, {"metadata": {"annotations": {"a": None}}})
        side.patch(
            web,
            [
                {"op": "test", "path": "/spec/replicas", "value": 0},
                {"op": "replace", "path": "/spec/replicas", "value": 0},
            ],
            JSON_PATCH,
        )
        side.patch(web, [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}], JSON_PATCH)
        side.patch(web, [{"op": "test", "path": "/spec/replicas", "value": 9}], JSON_PATCH)
        side.patch(web, [{"op": "remove", "path": "/spec/nothing"}], JSON_PATCH)
        containers = [{"name": "side", "image": "side:1"}]
        side.patch(web, {"spec": {"template": {"spec": {"containers": containers}}}}, STRATEGIC)
        side.patch(
            web, {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}, STRATEGIC
        )
        order = {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "web"}],
            "containers": [{"name": "b", "image": "b:1"}],
        }
        side.patch(web, {"spec": {"template": {"spec": order}}}, STRATEGIC)
        side.patch(web, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, STRATEGIC)
        side.patch(web, {"metadata": {"finalizers": ["a.example/x"]}}, STRATEGIC)
        side.patch(web, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example/x"]}}, STRATEGIC)
        side.patch(web, {}, "application/x-other")
        side.patch(web, {"metadata": {"resourceVersion": "1"}})
        side.patch(settings("none"), {})
        side.words = False
        side.patch(web, {"op": "add"}, JSON_PATCH)
        side.patch(web, [{"op": "add"}], JSON_PATCH)
        side.list_all(settings(), limit="x")

    tell(story, "201 200 200 200 200 422 422 200 200 200 200 200 200 415 409 404 400 422 400")


def test_lists_are_selected_paged_and_shown(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.words = False
        for name, labels in (("a", {"x": "1"}), ("b", {"x": "2", "y": "1"}), ("c", {"y": "1"}), ("d", {})):
            side.create({**settings(name), "metadata": {"name": name, "labels": {**labels, "story": "yes"}}})
        for selector in ("x=1", "x!=1", "x in (1,2)", "x notin (1)", "x", "!x", "x,y=1", "story==yes,!y", "x in", "=1"):
            side.list_all(settings(), labelSelector=f"story,{selector}")
        for selector in (
            "metadata.name=a",
            "metadata.name!=a",
            "metadata.name=a,metadata.namespace=" + side.namespace,
            "data.a=1",
            "nonsense",
        ):
            side.list_all(settings(), labelSelector="story", fieldSelector=selector)
        first = side.list_all(settings(), labelSelector="story", limit="3")
        side.create({**settings("e"), "metadata": {"name": "e", "labels": {"story": "yes"}}})
        side.list_all(settings(), labelSelector="story", limit="3", **{"continue": first["metadata"]["continue"]})
        side.list_all(settings(), **{"continue": "nonsense"})
        side.list_all(settings(), METADATA_LIST, labelSelector="story,x=1")
        side.get(settings("a"), accept=METADATA)
        side.get(settings("a"), accept="application/xml")
        side.list_all(settings(), TABLE, labelSelector="story")
        side.create({**settings(), "kind": "Secret", "metadata": {"name": "s"}, "type": "example/x", "data": {}})
        side.list_all({**settings(), "kind": "Secret"}, fieldSelector="type=example/x")
        side.send("DELETE", side.collection(settings()), labelSelector="x")
        side.list_all(settings(), labelSelector="story")

    tell(
        story,
        "201 201 201 201 200 200 200 200 200 200 200 200 400 400 200 200 200 400 400 200 "
        "201 200 400 200 200 406 200 201 200 200 200",
    )


def test_watches_see_what_they_select(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.words = False
        labelled = {**settings("b"), "metadata": {"name": "b", "labels": {"story": "yes"}}}
        side.create({**settings("a"), "metadata": {"name": "a", "labels": {"story": "yes"}}})
        version = side.list_all(settings(), labelSelector="story")["metadata"]["resourceVersion"]
        side.create(labelled)
        side.patch(settings("b"), {"data": {"x": "1"}})
        side.patch(settings("b"), {"metadata": {"labels": None}})
        side.patch(settings("b"), {"metadata": {"labels": {"story": "yes"}}})
        side.delete(settings("b"))
        side.watch(settings(), 5, resourceVersion=version, fieldSelector="metadata.name=b")
        side.watch(settings(), 5, resourceVersion=version, labelSelector="story")
        side.watch(settings(), 5, METADATA, resourceVersion=version, labelSelector="story")
        side.watch(settings(), 2, TABLE, resourceVersion=version, labelSelector="story")
        side.watch(settings(), 1, labelSelector="story")
        side.watch(settings(), 1, resourceVersion="0", labelSelector="story")
        initial = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        side.watch(settings(), 2, labelSelector="story", **initial)

    tell(story, "201 200 201 200 200 200 200")
