"""docs/getting-started.md works as it is written: its commands are run, one after the other, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "getting-started.md"
PLACE = "/tmp/gitsync-trial"  # what the page says, replaced below


def script(directory: Path) -> str:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    steps = [f"echo '=== {number}'\n{block}" for number, block in enumerate(blocks)]
    # The page ends what it has started, and its jobs are asked for at the end; those of a step that fails end here.
    text = "set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n" + "\n".join(steps)
    text += '\necho "left: $(jobs -pr)"\n'
    started = f"{PLACE}/kubeconfig &\n"
    waited = f"timeout 60 bash -c 'until [ -s {PLACE}/kubeconfig ]; do sleep 0.1; done'\n"
    text = text.replace(started, started + waited)
    return text.replace(PLACE, str(directory)).replace('export PATH="$PWD/.venv/bin:$PATH"\n', "")


@pytest.mark.e2e  # whole programs
@pytest.mark.timeout(600)
def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITSYNC_", "KUBE"))}
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script(tmp_path / "trial")],
        cwd=ROOT,
        env={**ours, **who, "HOME": str(tmp_path), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    steps = done.stdout.split("=== ")
    looked, ran, mistake, fixed, away = steps[4], steps[5], steps[7], steps[8], steps[9]
    assert "+ create HelmRelease/default/redis" in looked
    assert re.search(r"^backend +6\.2\.2 +False +True ", ran, re.MULTILINE)
    assert re.search(r"^redis +17\.3\.14 +False +False .*ImagePullBackOff", mistake, re.MULTILINE)
    assert "condition met" in fixed
    assert "Revert" in fixed
    assert "no backend any more" in away
    assert done.stdout.endswith("left: \n"), "the agent and the sandbox have ended"
    assert not (tmp_path / "trial").exists()
