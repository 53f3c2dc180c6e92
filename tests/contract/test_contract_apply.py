"""Server-side apply: the sandbox answers as a real API server does."""

from __future__ import annotations

from tests.contract.comparing import STRATEGIC, Side
from tests.contract.conftest import Tell
from tests.contract.stories import deployment, settings


def test_fields_that_are_applied_have_an_owner(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.apply(settings(a="1", b="2"))
        side.apply(settings(a="1", b="2"))
        side.apply(settings(a="1"))
        side.apply(settings(a="2"), "contract-b")
        side.apply(settings(a="2"), "contract-b", force="true")
        side.apply(settings(a="2", c="3"), "contract-c")
        side.apply(settings(), "contract-b")
        side.get(settings())
        side.apply(settings(), "contract-c")
        side.apply(settings(a="1"), "contract-b", force="true")
        side.apply({**settings(), "metadata": {"name": "settings", "labels": {"a": "b"}, "annotations": {"c": "d"}}})
        side.apply({**settings(), "metadata": {"name": "settings"}}, force="true")
        side.apply(settings(a="1"), dryRun="All")
        side.get(settings())
        side.apply({**settings(a="1"), "metadata": {"name": "settings", "resourceVersion": "1"}})
        side.apply(settings(a="1"), "")
        side.apply({**settings(), "dota": {}})
        side.apply(settings(a=1))

    tell(story, "201 200 200 409 200 200 200 200 200 200 200 200 200 200 409 422 500 500")


def test_elements_of_lists_have_owners(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.apply(deployment())
        changed = deployment(image="web:2")
        spec = changed["spec"]["template"]["spec"]
        spec["containers"][0]["env"] = [{"name": "B", "value": "2"}]
        spec["containers"].append({"name": "side", "image": "side:1", "args": ["a", "b"]})
        side.apply(changed)
        del spec["containers"][1]
        del changed["spec"]["replicas"]
        side.apply(changed)
        side.apply(deployment(image="web:3"), "contract-b")
        side.patch(
            deployment(),
            {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:4"}]}}}},
            STRATEGIC,
        )
        side.apply(changed)
        side.apply(changed, force="true")
        side.apply({**changed, "status": {"replicas": 1}}, force="true")
        bad = deployment()
        bad["spec"]["replcias"] = 1
        side.apply(bad)
        bad = deployment()
        bad["spec"]["template"]["spec"]["containers"][0].pop("name")
        side.apply(bad)

    tell(story, "201 200 200 409 200 409 200 200 500 422")
