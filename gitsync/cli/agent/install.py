"""``gitsync install``: put the agent into a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitsync.api.duration import format_duration
from gitsync.cli.common.durations import Timeout, seconds
from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_yaml, write
from gitsync.errors import SettingsError
from gitsync.settings import Settings, settings_infos

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest
    from gitsync.install.bundle import InstallOptions

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

#: The groups of settings that become the agent's; all others are about this command on this machine.
_OF_THE_AGENT = ("Repository", "Sync", "Releases", "Access")
#: By setting that names a file of this machine: the key that the file's content gets in the Secret gitsync-git.
_CREDENTIALS = {
    "git_password_file": "password",
    "git_token_file": "token",
    "git_ssh_key_file": "identity",
    "git_known_hosts_file": "known_hosts",
    "git_ca_file": "ca.crt",
}

Image = Annotated[str, typer.Option("--image", metavar="NAME:TAG", help="The image to run, built from the Dockerfile.")]
Components = Annotated[
    str, typer.Option("--components", metavar="LIST", help="Folders of config/ to add: reduced, or namespaced.")
]
Export = Annotated[bool, typer.Option("--export", help="Print the manifests; nothing is installed.")]
TakeOver = Annotated[bool, typer.Option("--take-over", help="Where Flux serves the same kinds, scale it to 0 first.")]


@app.command("install")
@with_settings(
    "Repository", "Git credentials", "Cluster", "Sync", "Releases", "Access", leave_out=("state_dir", "once")
)
async def install(
    settings: Settings,
    image: Image = "",
    components: Components = "",
    export: Export = False,
    take_over: TakeOver = False,
    patience: Timeout = "5m",
) -> None:
    """Install the agent: definitions, rights, settings and a Deployment; waits until it runs.

    The settings given here are the agent's. Without [bold]--repo[/] it serves the HelmReleases, Kustomizations and
    sources that are applied by other means. Files with credentials become the Secret gitsync-git.

    Stops where Flux serves the same kinds, unless told to take over: releases of Flux are gitsync's then, as they are.

    Example: gitsync install --image registry.example/gitsync:0.1.0 --repo https://git.example/fleet.git --branch main
    """
    from gitsync.install.bundle import NAMESPACED, InstallOptions, manifests

    chosen = tuple(filter(None, (item.strip() for item in components.split(","))))
    served = settings.watch_namespace
    if served and (NAMESPACED not in chosen or served != settings.namespace):
        raise typer.BadParameter(
            f"goes with --components {NAMESPACED}, which serves the namespace that it is installed in",
            param_hint="--watch-namespace",
        )
    options = InstallOptions(settings.namespace, image, chosen, _configuration(settings))
    if export:
        write("---\n".join(as_yaml(item) for item in await manifests(options)))
        return
    if not image:
        raise typer.BadParameter(
            "no image is published: build one from the Dockerfile and name it", param_hint="--image"
        )
    await _install(settings, options, take_over, seconds(patience))


def _configuration(settings: Settings) -> Mapping[str, Any]:
    """gitsync.yaml: what differs from the defaults, with credentials where the pod finds them."""
    from gitsync.install.bundle import CREDENTIALS_DIRECTORY

    names = {info.name for info in settings_infos() if info.group in _OF_THE_AGENT} - {"state_dir", "once"}
    names.add("namespace")
    durations = {info.name for info in settings_infos() if info.type == "duration"}
    given = settings.model_dump(include=names, exclude_defaults=True)
    found = {name: format_duration(value) if name in durations else value for name, value in given.items()}
    if settings.git_username:
        found["git_username"] = settings.git_username
    mounted = {name: f"{CREDENTIALS_DIRECTORY}/{key}" for name, key in _CREDENTIALS.items() if getattr(settings, name)}
    return found | mounted


async def _install(settings: Settings, options: InstallOptions, take_over: bool, patience: float) -> None:
    from gitsync.install import installer
    from gitsync.install.bundle import manifests

    made: list[Manifest] = await manifests(options)
    credentials = _read_credentials(settings)

    def say(text: str) -> None:
        write(f"{text}\n")

    async with connected(settings) as cluster:
        if not settings.repo:
            await installer.refuse_to_forget(cluster, options.namespace)
        if take_over:
            await installer.stop_flux(cluster, say)
        else:
            await installer.refuse_beside_flux(cluster)
        await installer.install(cluster, made, credentials, patience, say)
    write(f"gitsync is running in namespace {options.namespace}; gitsync check looks whether all is well\n")


def _read_credentials(settings: Settings) -> dict[str, bytes]:
    """The content of the files with credentials, by key of the Secret. Raises: SettingsError."""
    found = {}
    for name, key in _CREDENTIALS.items():
        if file := getattr(settings, name):
            try:
                found[key] = file.read_bytes()
            except OSError as error:
                raise SettingsError(f"{file} cannot be read: {error.strerror}", setting=name) from None
    return found
