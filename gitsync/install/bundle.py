"""The manifests that install gitsync: config/, built by kustomize with the user's namespace, image and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gitsync
from gitsync import kubeyaml
from gitsync.api.identity import Manifest
from gitsync.diff import yaml_lines
from gitsync.errors import SettingsError
from gitsync.kustomize import KUSTOMIZATION, Kustomizer

#: Where settings that are files in the agent's pod are mounted from, and the Secret that holds them.
CREDENTIALS_DIRECTORY = "/var/run/secrets/gitsync"
CREDENTIALS = "gitsync-git"
AGENT = "gitsync"
#: The file with the agent's settings, in config/ and in the ConfigMap that it becomes.
CONFIGURATION_FILE = "gitsync.yaml"
#: The namespace that config/ names.
NAMESPACE = "gitsync-system"


#: The component of an agent that serves the namespace that it is installed in, and no other.
NAMESPACED = "namespaced"
#: The environment variable that names its namespace to it.
WATCH_NAMESPACE = "GITSYNC_WATCH_NAMESPACE"


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """What is to be installed. ``image`` is ``NAME:TAG`` or ``NAME@DIGEST``, "" for the one that config/ names.
    ``components`` are folders of config/. ``settings`` are those of the agent's gitsync.yaml."""

    namespace: str
    image: str = ""
    components: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def directory() -> Path:
    """config/: in an installed package beside this file, in a checkout at its root."""
    packaged = Path(__file__).with_name("config")
    return packaged if packaged.is_dir() else Path(gitsync.__file__).parents[1] / "config"


def components() -> list[str]:
    """The folders of config/ that can be chosen besides the rest."""
    found = directory().glob("*/kustomization.yaml")
    return sorted(file.parent.name for file in found if kubeyaml.load(file.read_text())["kind"] == "Component")


async def manifests(options: InstallOptions) -> list[Manifest]:
    """The objects to install, as ``kubectl kustomize config`` has them.

    Raises: SettingsError for a component that there is not; KustomizeUnavailable.
    """
    if unknown := set(options.components) - set(components()):
        raise SettingsError(
            f"there is no component {', '.join(sorted(unknown))}",
            setting="components",
            hint=f"there are: {', '.join(components())}",
        )
    text = await Kustomizer().build(_files(options))
    return [item for document in kubeyaml.split(text) if (item := kubeyaml.load(document.text))]


def is_namespaced(deployment: Manifest) -> bool:
    """Whether an agent's Deployment is that of the component ``namespaced``."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return any(item["name"] == WATCH_NAMESPACE for container in containers for item in container.get("env") or ())


def _files(options: InstallOptions) -> dict[str, str]:
    """config/ by path, with the options written into it."""
    root = directory()
    # Not kustomize's namespace alone: it leaves the subjects of bindings as they are.
    files = {
        file.relative_to(root).as_posix(): file.read_text().replace(NAMESPACE, options.namespace)
        for file in root.rglob("*.yaml")
    }
    kustomization = kubeyaml.load(files[KUSTOMIZATION])
    if options.image:
        kustomization["images"] = [{"name": AGENT, **_image(options.image)}]
    if options.components:
        kustomization["components"] = list(options.components)
    files[KUSTOMIZATION] = "\n".join(yaml_lines(kustomization))
    if options.settings:
        settings = kubeyaml.load(files[CONFIGURATION_FILE]) | options.settings
        files[CONFIGURATION_FILE] = "\n".join([*yaml_lines(settings), ""])
    return files


def _image(reference: str) -> dict[str, str]:
    """``newName`` with ``newTag`` or ``digest``, as kustomize wants an image. A port is no tag."""
    name, at, digest = reference.partition("@")
    if at:
        return {"newName": name, "digest": digest}
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return {"newName": head, "newTag": tag}
    return {"newName": name, "newTag": "latest"}
