"""The configuration file takes effect while the agent runs, and a broken one does no harm."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from structlog.testing import capture_logs

from gitsync.agent.agent import _say_kept
from gitsync.agent.config import ConfigFile
from gitsync.settings import load
from tests.until import until


async def test_a_changed_file_gives_the_new_settings_and_names_what_changed(tmp_path: Path) -> None:
    file = tmp_path / "gitsync.yaml"
    file.write_text("interval: 1m\n")
    config = ConfigFile(file, partial(load, {"name": "fleet"}, file))
    current = config.load()
    with capture_logs() as lines:
        waiting = asyncio.create_task(config.changed(current))
        await _write_until(waiting, file, "interval: 10s\nprune: false\n")
    settings = waiting.result()
    assert (settings.interval, settings.prune, settings.name) == (10.0, False, "fleet")
    assert [line["settings"] for line in lines if line["event"] == "configuration changed"] == ["interval, prune"]


async def test_a_file_that_cannot_be_used_is_reported_and_the_next_good_one_counts(tmp_path: Path) -> None:
    file = tmp_path / "gitsync.yaml"
    file.write_text("interval: 1m\n")
    config = ConfigFile(file, partial(load, {}, file))
    with capture_logs() as lines:
        waiting = asyncio.create_task(config.changed(config.load()))

        def reported() -> bool:
            file.write_text("intervall: 10s\n")
            return any(line["log_level"] == "error" for line in lines)

        await until(reported)
        assert not waiting.done()
        await _write_until(waiting, file, "interval: 10s\n")
    assert waiting.result().interval == 10.0
    assert "intervall" in next(str(line["error"]) for line in lines if line["log_level"] == "error")


def test_what_a_running_agent_keeps_is_named() -> None:
    """A port for webhooks that a reload brings was ignored without a word."""
    begun = load({"metrics_port": 8080})
    with capture_logs() as lines:
        _say_kept(begun, load({"metrics_port": 8080, "interval": "7s"}))
        assert lines == []
        _say_kept(begun, load({"metrics_port": 8080, "webhook_port": 9292}))
    ((line),) = lines
    assert (line["event"], line["settings"]) == ("settings take effect at the next start only", "webhook_port")


async def _write_until(waiting: asyncio.Task[object], file: Path, text: str) -> None:
    """The watch begins a moment after its task does; what was written before that moment is not seen."""
    for _ in range(50):
        fresh = file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(file)
        await asyncio.wait({waiting}, timeout=0.2)
        if waiting.done():
            return
    raise AssertionError("the change was not noticed")
