"""Objects that move between owners."""

from __future__ import annotations

from tests.controlplane.cluster import Cli
from tests.e2e.moving import Moved
from tests.until import ask_until


def plain(moved: tuple[Moved, ...]) -> str:
    return "---\n".join(item.plain() for item in moved)


def belonging_to(owner: str, moved: tuple[Moved, ...], kubectl: Cli) -> list[str]:
    """Waits until the objects all have this owner. Returns their uids."""

    for item in moved:
        kubectl("wait", "--for=create", f"{item.kind}/{item.name}", "-n", item.namespace, "--timeout=60s")

    def owners() -> list[str]:
        found = [item.live(kubectl) for item in moved]
        return [it["release"] or it["sync"] for it in found]

    ask_until(
        owners, lambda said: all(it == owner if owner else it not in ("a", "b") for it in said), f"{owner} has it"
    )
    return [item.live(kubectl)["uid"] for item in moved]
