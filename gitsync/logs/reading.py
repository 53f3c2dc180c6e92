"""Lines of an agent's log, read back from JSON. Pure."""

from __future__ import annotations

import json
from datetime import datetime

from gitsync.logs.lines import Line


def read_line(text: str) -> Line | None:
    """The line that ``json_line`` wrote; None for any other text."""
    try:
        fields = json.loads(text)
        time = datetime.fromisoformat(fields.pop("time")).timestamp()
        level, event = fields.pop("level"), fields.pop("msg")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return Line(time, str(level), str(event), fields)
