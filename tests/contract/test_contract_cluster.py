"""What gitsync's own client is tested for on a real API server holds for the sandbox, too."""

from __future__ import annotations

import pytest

from tests.cluster.test_cluster_live import *  # noqa: F403

pytestmark = pytest.mark.parametrize("control_plane", ["sandbox"], indirect=True)
