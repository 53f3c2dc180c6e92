"""python -m bench.flood URL RATE SECONDS: sends deliveries with wrong signatures, and prints how they were answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

#: Connections that they come over, as from a proxy.
CONNECTIONS = 8
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


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(head.split(b" ", 2)[1])


async def _send(host: str, port: int, request: bytes, rate: float, until: float, answers: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    due = time.monotonic()
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        # What is late is sent at once, several behind each other, so that the rate is kept.
        count = max(1, min(20, int((time.monotonic() - due) * rate)))
        writer.write(request * count)
        for _ in range(count):
            answers[await _answer(reader)] += 1
        due += count / rate
    writer.close()


async def flood(url: str, rate: float, seconds: float) -> None:
    """Send for some seconds, or until interrupted; a line when it has begun, and the statuses that came back."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    answers: Counter[int] = Counter()
    began = time.monotonic()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, asyncio.current_task().cancel)  # type: ignore[union-attr]
    request = _request(f"{host}:{port}", parts.path)
    sending = [_send(host, port, request, rate / CONNECTIONS, began + seconds, answers) for _ in range(CONNECTIONS)]
    print("begun", flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*sending)
    total = sum(answers.values()) / (time.monotonic() - began)
    print(json.dumps({**answers, "a second": round(total)}))


async def sink(port: int) -> None:
    """Refuse everything, with as little work as that takes."""
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
    os.nice(19)  # who sends would be on another machine
    if sys.argv[1] == "sink":
        asyncio.run(sink(int(sys.argv[2])))
    else:
        asyncio.run(flood(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
