"""python -m bench.flood URL RATE SECONDS: sends deliveries with wrong signatures, and prints how they were answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

#: How many connections the deliveries come over, as from a proxy.
CONNECTIONS = 8
#: Seconds between two looks at what is due, and how many are sent at once.
_TICK, _MOST_AT_ONCE = 0.004, 160
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})")
_LONGEST: Final = len("HTTP/1.1 401")
_BODY = json.dumps({"ref": "refs/heads/main", "after": "0" * 40, "filler": "x" * 1000}).encode()


def _request(host: str, path: str) -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "X-GitHub-Event: push",
        f"X-Hub-Signature-256: sha256={'0' * 64}",
        "Content-Type: application/json",
        f"Content-Length: {len(_BODY)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + _BODY


class _Connection:
    """A connection on which deliveries are sent without waiting for answers."""

    def __init__(self, host: str, port: int, request: bytes, answers: Counter[int]) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setblocking(False)
        self._request, self._answers = request, answers
        self._unsent, self._rest = b"", b""

    def send(self, count: int) -> None:
        """Send so many more deliveries, after what could not be sent before."""
        self._unsent += self._request * count
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]

    def read(self) -> None:
        """Read the answers that have come."""
        with contextlib.suppress(BlockingIOError):
            text = self._rest + self._socket.recv(64 << 10)
            end = 0
            for found in _STATUS.finditer(text):
                self._answers[int(found[1])] += 1
                end = found.end()
            self._rest = text[end:][-_LONGEST:]

    def close(self) -> None:
        self._socket.close()


def flood(url: str, rate: float, seconds: float) -> None:
    """Send deliveries for some seconds, or until interrupted. Prints a line when it has begun, and in the end the
    statuses of the answers. It works as little as it can: a real sender would be on another machine."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    answers: Counter[int] = Counter()
    request = _request(f"{host}:{port}", parts.path)
    connections = [_Connection(host, port, request, answers) for _ in range(CONNECTIONS)]
    stopped: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    began, sent = time.monotonic(), 0
    print("begun", flush=True)
    while not stopped and time.monotonic() < began + seconds:
        time.sleep(_TICK)
        # What is late is sent at once, several behind each other, so that the rate is kept.
        due = min(int((time.monotonic() - began) * rate) - sent, _MOST_AT_ONCE)
        for number, connection in enumerate(connections):
            connection.read()
            connection.send(due // CONNECTIONS + (number < due % CONNECTIONS))
        sent += due
    for connection in connections:
        connection.close()
    total = sum(answers.values()) / (time.monotonic() - began)
    print(json.dumps({**answers, "a second": round(total)}))


async def sink(port: int) -> None:
    """Refuse every request, with as little work as that takes."""
    said = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
                await reader.readexactly(int(length or b"0"))
                writer.write(said)

    server = await asyncio.start_server(refuse, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    os.nice(19)  # the sender's process would be on another machine
    if sys.argv[1] == "sink":
        asyncio.run(sink(int(sys.argv[2])))
    else:
        flood(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
