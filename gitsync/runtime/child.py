"""The program of a bounded child process: ``bounded`` starts it with ``python -I -m``, and asks it one thing at a time.

It calls the functions that it is asked for, ``package.module:function``, and answers what they return. Who asks is
gitsync itself; the bytes that come with it are anybody's. So this process has bounds: memory beyond what it had when it
was ready is not given, SIGPROF ends it when one answer takes too much processor time, and it ends when its parent does.
It imports no more than the modules that it is told to.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from gitsync.errors import GitsyncError
from gitsync.runtime import frames
from gitsync.runtime.confine import bound_memory, end_with_parent

#: What a function gets and returns: data that JSON can hold, and pieces of bytes.
Function = Callable[[Any, list[bytes]], tuple[Any, list[bytes]]]

#: How this process ends when Python itself has no memory left.
OUT_OF_MEMORY = 77


def main() -> None:
    """Serve until there are no more requests. The one argument is the bounds and the modules, as JSON."""
    settings = json.loads(sys.argv[1])
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for module in settings["modules"]:
        importlib.import_module(module)
    bound_memory(settings["memory"])
    with suppress(BrokenPipeError):
        _serve(sys.stdin.buffer, answers, settings["cpu"])


def _serve(requests: BinaryIO, answers: BinaryIO, cpu: float) -> None:
    while len(head := requests.read(frames.HEAD.size)) == frames.HEAD.size:
        wide, size, total = frames.HEAD.unpack(head)
        signal.setitimer(signal.ITIMER_PROF, cpu)
        try:
            pieces = _answer(*frames.unpacked(wide, requests.read(size), requests.read(total - size)))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)  # nothing can be counted on any more
        signal.setitimer(signal.ITIMER_PROF, 0)
        for piece in pieces:
            answers.write(piece)
        answers.flush()
        del pieces


def _answer(request: dict[str, Any], blobs: list[bytes]) -> list[bytes]:
    try:
        answer, pieces = _function(request["call"])(request["with"], blobs)
        return [*frames.packed({"answer": answer}, list(map(len, pieces))), *pieces]
    except GitsyncError as error:
        return frames.packed({"error": type(error).__name__, "fields": vars(error)})
    except MemoryError:
        raise
    except Exception as error:  # a defect: told by its place alone, for its words may quote what was given
        place = traceback.extract_tb(error.__traceback__)[-1]
        return frames.packed({"defect": f"{type(error).__name__} at {place.filename}:{place.lineno}"})


@functools.cache
def _function(name: str) -> Function:
    module, _, function = name.partition(":")
    found: Function = getattr(importlib.import_module(module), function)
    return found


if __name__ == "__main__":
    main()
