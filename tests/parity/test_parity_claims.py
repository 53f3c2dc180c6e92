"""Two HelmReleases about one Helm release: one has it, the other says so; nothing is uninstalled under a living one."""

from __future__ import annotations

from dataclasses import replace

from tests.parity.looking import conditions, data, logged
from tests.parity.world import World


def test_the_second_is_refused_and_its_end_harms_nobody(world: World) -> None:
    one, two = replace(world, name="one"), replace(world, name="two")
    one.deploy("plain", {"text": "one"}, releaseName="demo")
    one.ready()

    two.deploy("plain", {"text": "two"}, releaseName="demo")
    two.condition(
        "Stalled", "True", containing=f"release {world.ours}/demo is already managed by HelmRelease {world.ours}/one; "
    )
    assert conditions(two)["Ready"]["reason"] == "InvalidSpec"
    one.patch_spec(interval="2h")  # whoever looks again, it stays so
    one.ready()
    assert world.revisions() == [(1, "deployed")]

    two.remove()()
    assert data(world)["text"] == "one"
    assert world.revisions() == [(1, "deployed")]
    assert [str(line["other"]) for line in logged(world, "release is left to another HelmRelease")] == [
        f"HelmRelease/{world.ours}/one"
    ]


def test_a_helm_release_that_is_renamed_takes_its_release_along(world: World) -> None:
    """Renamed in Git, the new one is applied before the old one goes. In Flux the release is uninstalled with it."""
    one, two = replace(world, name="one"), replace(world, name="two")
    one.deploy("plain", {"text": "same"}, releaseName="demo")
    one.ready()
    before = world.object("/api/v1", "configmaps", "demo-settings")
    assert before is not None
    two.deploy("plain", {"text": "same"}, releaseName="demo")
    two.condition("Stalled", "True", containing="is already managed by HelmRelease")

    one.remove()()
    status = two.ready()

    assert world.object("/api/v1", "configmaps", "demo-settings") == before
    assert world.revisions() == [(1, "deployed")], "taken over as it is"
    assert [item["version"] for item in status["history"]] == [1]
    assert len(logged(two, "release is ready again")) == 1


def test_a_helm_release_that_is_renamed_to_a_suspended_one_is_left_to_it(world: World) -> None:
    one, two = replace(world, name="one"), replace(world, name="two")
    one.deploy("plain", {"text": "same"}, releaseName="demo")
    one.ready()
    before = world.object("/api/v1", "configmaps", "demo-settings")
    two.deploy("plain", {"text": "same"}, releaseName="demo", suspend=True)
    logged(two, "release is suspended")

    one.remove()()
    assert logged(world, "release is left to another HelmRelease")
    assert world.object("/api/v1", "configmaps", "demo-settings") == before
    assert world.revisions() == [(1, "deployed")]

    two.patch_spec(suspend=False)
    two.ready()
    assert world.object("/api/v1", "configmaps", "demo-settings") == before
    assert world.revisions() == [(1, "deployed")], "taken over as it is"


def test_one_that_lets_go_by_another_name_leaves_the_release_to_who_waits_for_it(world: World) -> None:
    one, two = replace(world, name="one"), replace(world, name="two")
    one.deploy("plain", {"text": "one"}, releaseName="demo")
    one.ready()
    two.deploy("plain", {"text": "two"}, releaseName="demo")
    two.condition("Stalled", "True", containing="is already managed by HelmRelease")

    one.patch_spec(releaseName="other")
    two.ready()
    one.ready()

    assert data(world)["text"] == "two"
    assert world.revisions() == [(1, "superseded"), (2, "deployed")], "upgraded, and never uninstalled"
    assert replace(world, name="other").revisions() == [(1, "deployed")]
