"""Objects that move between releases that are inside of each other."""

from __future__ import annotations

from tests.controlplane.cluster import Cli
from tests.e2e.moving import Moved

#: In the chart, what the values hold as text.
NESTED = {"charts/box/templates/nested.yaml": "{{ .Values.nested }}\n"}


def uids(kubectl: Cli, *moved: Moved) -> list[str]:
    return [item.live(kubectl)["uid"] for item in moved]
