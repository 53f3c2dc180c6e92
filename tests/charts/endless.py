"""Charts that never end, and the most memory that a process takes meanwhile."""

from __future__ import annotations

from pathlib import Path

from gitsync.charts import Chart, Charts, ReleaseContext
from gitsync.spool import Body
from tests.charts.build import chart_files, config_map, packed

CONTEXT = ReleaseContext("demo", "apps")


ENDLESS = "{{ range until 30000 }}{{ range until 30000 }}{{ $x := . | toString | sha256sum }}{{ end }}{{ end }}"


HONEST = config_map(a="{{ .Values.a }}")


async def loaded(charts: Charts, files: dict[str, bytes]) -> Chart:
    return await charts.from_archive(Body.of(packed(files)))


async def chart(charts: Charts, template: str, **files: str) -> Chart:
    return await loaded(charts, chart_files(templates__a_yaml=template, **files))


async def honest(charts: Charts, a: str, namespace: str = "honest") -> str:
    app = await chart(charts, HONEST)
    rendered = await charts.render(app, {"a": a}, ReleaseContext("demo", namespace))
    return str(rendered.objects[0]["data"]["a"])


class Peak:
    """The most memory that this process has at once, from here on, beyond what it has now."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._high()

    def _high(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    @property
    def grown(self) -> int:
        return self._high() - self._before
