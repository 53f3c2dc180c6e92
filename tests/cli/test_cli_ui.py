"""``gitsync ui`` as a user starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cluster

GITSYNC = Path(sys.executable).with_name("gitsync")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_page_is_and_serves_it_until_it_is_told_to_stop(
    control_plane: Cluster, our_kinds: None, end: signal.Signals
) -> None:
    process = subprocess.Popen(
        [GITSYNC, "ui", "--kubeconfig", str(control_plane.kubeconfig)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    head = [process.stdout.readline() for _ in range(5)]
    address = re.search(r"http://127[.]0[.]0[.]1:[0-9]+/[?]key=\S+", "".join(head))
    assert address is not None, head
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address[0], timeout=60) as answer:
        assert "Kustomizations" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address[0].partition("?")[0], timeout=60)
    process.send_signal(end)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 0
    assert rest.strip() == ""


def test_a_port_that_cannot_be_had_is_an_error_with_a_hint(gitsync: Gitsync) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = gitsync("ui", "--port", str(taken.getsockname()[1]))
    assert said.code == 1
    assert "cannot be had" in said.err
    assert "hint: another program has it" in said.err
