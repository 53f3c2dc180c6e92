"""What others change about a release's objects is noticed at once, and reported or put back."""

from __future__ import annotations

import json
from typing import Any

from tests.parity.looking import CORE, change, data, events, lines, logged, reasons, set_text
from tests.parity.world import World


def drifting(world: World, mode: str, **detection: Any) -> dict[str, str]:
    """Deploy with drift detection; what the ConfigMap holds then."""
    world.deploy("plain", driftDetection={"mode": mode, **detection})
    world.ready()
    return data(world)


def test_a_change_is_put_back_at_once(world: World) -> None:
    wanted = drifting(world, "enabled")
    set_text(world, "by hand, and private")

    world.until(lambda: data(world) == wanted, "it is put back", lambda: json.dumps(data(world)))

    world.until(lambda: reasons(world)[-1] == "DriftCorrected", "it is told", lambda: str(reasons(world)))
    (line,) = logged(world, "drift corrected")
    assert f"ConfigMap/{world.ours}/demo-settings (data.text" in line["objects"]
    assert "private" not in str(line) + str(events(world)), "values are nobody's business"
    assert world.revisions() == [(1, "deployed")], "correcting is no new revision"


def test_a_deleted_object_comes_back(world: World) -> None:
    wanted = drifting(world, "enabled")
    world.cluster.request("DELETE", f"{CORE}/namespaces/{world.ours}/configmaps/demo-settings")

    world.until(lambda: data(world) == wanted, "it is back")
    assert f"ConfigMap/{world.ours}/demo-settings (deleted)" in logged(world, "drift corrected")[0]["objects"]


def test_a_warning_changes_nothing_and_goes_with_the_drift(world: World) -> None:
    wanted = drifting(world, "warn")
    set_text(world, "by hand")
    status = world.condition("Drifted", "True", containing="data.text")

    assert data(world)["text"] == "by hand"
    conditions = {item["type"]: item for item in status["conditions"]}
    assert conditions["Drifted"]["reason"] == "DriftDetected"
    assert conditions["Ready"]["status"] == "True", "dependents need not wait"
    world.until(lambda: reasons(world) == ["InstallSucceeded", "DriftDetected"], "it is told")

    change(world, lambda manifest: manifest.update(data=wanted))
    world.until(
        lambda: "Drifted" not in {item["type"] for item in world.helm_release()["status"]["conditions"]}, "it is calm"
    )


def test_what_is_ignored_is_left_alone_by_a_correction_too(world: World) -> None:
    wanted = drifting(world, "enabled", ignore=[{"paths": ["/data/text"], "target": {"kind": "ConfigMap"}}])
    set_text(world, "by hand")
    change(world, lambda manifest: manifest["metadata"]["labels"].pop("app.kubernetes.io/managed-by"))

    def corrected() -> bool:
        manifest = world.object(CORE, "configmaps", "demo-settings")
        return manifest is not None and "app.kubernetes.io/managed-by" in manifest["metadata"]["labels"]

    world.until(corrected, "the label is back")
    assert data(world) == {**wanted, "text": "by hand"}


def test_an_object_may_opt_out(world: World) -> None:
    drifting(world, "enabled")
    mark = {"helm.toolkit.fluxcd.io/driftDetection": "disabled"}

    def edit(manifest: dict[str, Any]) -> None:
        manifest["metadata"]["annotations"] |= mark
        manifest["data"]["text"] = "by hand"

    change(world, edit)
    world.look()
    assert data(world)["text"] == "by hand"


def test_what_others_add_is_no_drift_and_nothing_is_written(world: World) -> None:
    drifting(world, "enabled")
    before = world.look()
    change(world, lambda manifest: manifest["data"].update(more="by hand"))

    after = world.look()
    assert data(world)["more"] == "by hand"
    assert before.pop("lastHandledReconcileAt") != after.pop("lastHandledReconcileAt")
    assert after == before
    assert not lines(world, "drift corrected")


def test_a_fight_is_reported_once_and_given_up(world: World) -> None:
    wanted = drifting(world, "enabled")
    for number in range(3):
        set_text(world, f"by hand {number}")
        world.until(lambda: data(world) == wanted, "it is put back")
    for number in range(2):
        set_text(world, f"once more {number}")
        world.until(lambda: bool(lines(world, "drift comes back")), "it is reported")
    world.look()

    assert data(world)["text"] == "once more 1"
    (line,) = logged(world, "drift comes back")
    assert "data.text" in line["object"]
    world.until(lambda: reasons(world)[-1] == "DriftDetected", "it is told", lambda: str(reasons(world)))


def test_an_upgrade_is_no_drift(world: World) -> None:
    drifting(world, "enabled")
    world.deploy("plain", {"text": "after"}, driftDetection={"mode": "enabled"})
    world.ready()
    wanted = data(world)
    assert wanted["text"] == "after"
    world.look()
    assert not lines(world, "drift corrected")

    set_text(world, "by hand")
    world.until(lambda: data(world) == wanted, "it is put back to the new revision")


def test_without_the_mode_nobody_looks(world: World) -> None:
    drifting(world, "disabled")
    set_text(world, "by hand")
    world.patch_spec(interval="2h")
    world.ready()
    world.look()

    assert data(world)["text"] == "by hand"


def test_a_crd_of_the_chart_is_put_back_where_upgrades_would_replace_it(world: World) -> None:
    def sized() -> bool:
        crd = world.cluster.request("GET", place)
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        return "size" in schema["properties"]["spec"].get("properties", {})

    def unsize() -> None:
        crd = world.cluster.request("GET", place)
        del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
        world.cluster.request("PUT", place, crd)

    def uid() -> str:
        found = world.object("/apis/charts.example/v1", "widgets", "demo")
        return str(found["metadata"]["uid"]) if found else ""

    place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.charts.example"
    world.deploy("crds", driftDetection={"mode": "enabled"})
    world.ready()
    world.deploy("crds", driftDetection={"mode": "enabled"}, upgrade={"crds": "CreateReplace"})
    world.ready()
    assert sized()

    unsize()
    world.until(sized, "it is put back")
    assert "CustomResourceDefinition/widgets.charts.example (spec." in logged(world, "drift corrected")[0]["objects"]

    before = uid()
    world.cluster.request("DELETE", place)  # and with it every object of its kind
    world.until(lambda: uid() not in ("", before), "both come back")

    world.deploy("crds", driftDetection={"mode": "warn"}, upgrade={"crds": "CreateReplace"})
    world.ready()
    unsize()
    world.condition("Drifted", "True", containing="CustomResourceDefinition/widgets.charts.example")
    world.deploy("crds", driftDetection={"mode": "enabled"}, upgrade={"crds": "CreateReplace"})
    world.until(sized, "it is put back")
