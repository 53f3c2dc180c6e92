"""What is installed from the wheel has everything that commands need besides code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.docs.markdown import ROOT

LOOK = """
import json
import gitsync
from gitsync.cli.agent.demo import _sample_repository
from gitsync.install.bundle import components, directory
places = [gitsync.__file__, directory(), _sample_repository()]
print(json.dumps({"places": [str(place) for place in places], "components": components()}))
"""


def test_the_wheel_brings_config_the_sample_repository_and_the_page(tmp_path: Path) -> None:
    hatchling = str(Path(sys.executable).with_name("hatchling"))
    build = [hatchling, "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").iterdir()
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert all(place.startswith(str(site)) for place in found["places"]), found
    assert "reduced" in found["components"]
    files = {path.relative_to(ROOT / "config").as_posix() for path in (ROOT / "config").rglob("*.yaml")}
    assert {
        path.relative_to(site / "gitsync/install/config").as_posix() for path in site.rglob("config/**/*.yaml")
    } == files
    for folder in ("templates", "static"):
        place = f"gitsync/web/ui/{folder}"
        assert {path.name for path in (site / place).iterdir()} == {path.name for path in (ROOT / place).iterdir()}
