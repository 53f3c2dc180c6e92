"""``gitsync demo``: what gitsync is for, shown commit by commit."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import gitsync
from gitsync.cli.common.kinds import RELEASE
from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import colours, one_line, table, write
from gitsync.errors import SettingsError
from gitsync.runtime.together import until_one_ends
from gitsync.settings import Settings
from gitsync.text import BOLD, painted, shorten

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from gitsync.cli.agent.story import Fleet, Step
    from gitsync.cluster import Cluster, Informer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

_INTERRUPTED = 130
#: The table is cut to the width of a terminal that has at least as many columns.
_LEAST_WIDTH = 40

Keep = Annotated[bool, typer.Option("--keep", help="Stop before the last step and leave everything running.")]
WithPage = Annotated[
    bool,
    typer.Option("--ui", help="Serve the page, too; on a terminal, wait for Enter before each step; like --keep."),
]


@app.command("demo")
@with_settings("Cluster", "Logs")
async def demo(settings: Settings, keep: Keep = False, ui: WithPage = False) -> None:
    """Tell the story of redis and backend: deploy, upgrade, a mistake, its fix, a cycle, Kustomizations, prune.

    Makes a Git repository in a temporary directory, serves the sample charts on this machine, runs the agent, and
    commits step by step; what you see in between is the agent's own log. Needs no cluster: it has a sandbox of its own.
    With [bold]--kubeconfig[/] or [bold]--context[/] it uses a real one, and its namespace default.

    Example:

        gitsync demo --ui
    """
    from gitsync.charts.serve import ChartServer
    from gitsync.cli.agent.story import STORY, Fleet

    sample = _sample_repository()
    charts = sample / "charts"
    with tempfile.TemporaryDirectory(prefix="gitsync-demo-") as temporary:
        directory = Path(temporary)
        async with (
            _somewhere(settings) as settings,
            ChartServer({"bitnami": [charts / "redis"], "podinfo": [charts / "podinfo"]}) as server,
        ):
            encrypted = shutil.which("sops") is not None
            fleet = await asyncio.to_thread(Fleet, directory / "fleet", sample, server.url, encrypted=encrypted)
            own = {"repo": str(fleet.directory), "path": "fleet", "name": "demo", "state_dir": directory / "state"}
            own["allow_mass_prune"] = True  # the last step removes everything
            settings, keep = settings.model_copy(update=own), keep or ui
            async with (
                connected(settings) as cluster,
                _key(cluster, sample, wanted=encrypted),
                _page(cluster, settings, wanted=ui) as address,
            ):
                await _tell(settings, fleet, cluster, STORY[:-1] if keep else STORY, keep, address)


@asynccontextmanager
async def _somewhere(settings: Settings) -> AsyncIterator[Settings]:
    """Settings that lead to a cluster: the one that was named, else a sandbox."""
    if settings.kubeconfig is not None or settings.context:
        yield settings
        return
    from gitsync.sandbox import Sandbox

    async with Sandbox() as sandbox:
        yield settings.model_copy(update={"kubeconfig": sandbox.kubeconfig})


@asynccontextmanager
async def _key(cluster: Cluster, sample: Path, *, wanted: bool) -> AsyncIterator[None]:
    """While it lasts, the cluster has the Secret with the key that decrypts the sample repository's encrypted file."""
    if not wanted:
        write("There is no sops on the PATH, so the encrypted Secret of sample-repo/ stays out of this.\n")
        yield
        return
    from gitsync.api.identity import ObjectKey
    from gitsync.api.names import CLI_FIELD_MANAGER

    key = ObjectKey("", "Secret", "default", "sops-age")
    data = {"sample.agekey": (sample / "sample.agekey").read_text()}
    metadata = {"name": key.name, "namespace": key.namespace}
    secret = {"apiVersion": "v1", "kind": key.kind, "metadata": metadata, "stringData": data}
    await cluster.apply(secret, manager=CLI_FIELD_MANAGER)
    try:
        yield
    finally:
        await cluster.delete(key)


@asynccontextmanager
async def _page(cluster: Cluster, settings: Settings, *, wanted: bool) -> AsyncIterator[str]:
    """Serve the page while this lasts, if it is ``wanted``. Yields the page's address, "" without a page."""
    if not wanted:
        write("gitsync demo --ui shows all of this on a page, too.\n")
        yield ""
        return
    from gitsync.preview.asking import AskedRepository
    from gitsync.web.ui import Page

    # The agent keeps a mirror of its own in its state directory.
    apart = settings.model_copy(update={"state_dir": settings.state_dir.with_name("page")})
    page = Page(cluster, (settings.namespace, settings.name), repository=AskedRepository(apart))
    async with page.serving() as address:
        write(f"The page is at {address}\n")
        yield address


async def _go_on() -> None:
    """Wait for Enter, where somebody can press it."""
    if not sys.stdin.isatty():
        return
    pressed, loop = asyncio.Event(), asyncio.get_running_loop()
    write("\nLook at the page, then press Enter:\n")  # it ends its line: the agent may log below it meanwhile
    loop.add_reader(sys.stdin, pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    sys.stdin.readline()  # does not block: a terminal hands on whole lines


async def _tell(
    settings: Settings, fleet: Fleet, cluster: Cluster, story: Sequence[Step], keep: bool, address: str
) -> None:
    """``address`` is that of the page, "" when none is served."""
    from gitsync import agent
    from gitsync.api.names import HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
    from gitsync.cli.agent.story import all_gone, step_done

    running: asyncio.Task[int] | None = None
    try:
        async with (
            cluster.watch(HELM_GROUP, HELM_RELEASE) as watch,
            cluster.watch(SOURCE_GROUP, HELM_REPOSITORY) as repositories,
        ):
            for number, step in enumerate(story, 1):
                if address and number > 1 and running is not None:
                    await _unless_ended(_go_on(), running)
                _title(f"{number}. {step.title}")
                commit = await asyncio.to_thread(fleet.commit, step.edit(fleet.files), step.subject)
                running = running or asyncio.create_task(agent.run(settings))
                await _unless_ended(step_done(step, commit, watch), running)
                await asyncio.sleep(0.2)  # the agent's last lines about this step come before the table
                _table(watch)
            if running is not None and not keep:
                await _unless_ended(all_gone(repositories), running)
            elif running is not None:
                _title("Left running. Play with it, and stop it with Ctrl-C:")
                _ways_to_play(settings, fleet, address)
                await running
    finally:
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _ways_to_play(settings: Settings, fleet: Fleet, address: str) -> None:
    cluster = f"--kubeconfig {settings.kubeconfig}" if settings.kubeconfig else f"--context {settings.context}"
    write(f"kubectl {cluster} get helmreleases,pods\n")
    write(f"gitsync get all {cluster}\n")
    write(f"{address or f'gitsync ui {cluster} --name demo'}    # the page\n")
    write(f"cd {fleet.directory}    # change something, and git commit -am 'what I did'\n\n")


async def _unless_ended(step: Coroutine[None, None, None], agent: asyncio.Task[int]) -> None:
    """Wait for a step to be done, but not for an agent that is gone. Raises: typer.Exit when it was told to stop."""
    waiting = asyncio.create_task(step)
    await until_one_ends(waiting, asyncio.shield(agent))
    if waiting.cancelled():
        raise typer.Exit(_INTERRUPTED)  # Ctrl-C, which the agent's own handler takes


def _sample_repository() -> Path:
    """The directory ``sample-repo``: beside the package in a checkout, inside the package when it is installed."""
    package = Path(gitsync.__file__).resolve().parent
    for place in (package / "sample-repo", package.parent / "sample-repo"):
        if (place / "fleet").is_dir():
            return place
    raise SettingsError("the sample repository is not part of this installation", hint="run it in a checkout")


def _title(text: str) -> None:
    write(f"\n{painted(text, BOLD)}\n\n" if colours(sys.stdout) else f"\n# {text}\n\n")


def _table(watch: Informer) -> None:
    """The releases as ``gitsync get helmreleases`` shows them."""
    found = sorted((key.name, manifest) for key, manifest in watch.items() if key.namespace == "default")
    rows = [list(RELEASE.columns.headers(wide=False))]
    rows += [[one_line(cell) for cell in RELEASE.columns.row(manifest, wide=False)] for _, manifest in found]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = table(rows).splitlines() if found else ["No releases are left."]
    write("\n" + "".join(f"{shorten(line, width) if width > _LEAST_WIDTH else line}\n" for line in lines))
