"""What a commit asks for that gitsync does not serve yet: sources of charts, and other kinds of Flux. Pure.

Such an object is applied like any other, and nothing more comes of it. That is an error where something that the commit
wants stays away for it, and else a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gitsync.api.fields import FieldPath, dotted
from gitsync.api.generator import ArtifactGenerator
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey, Origin
from gitsync.api.kinds import (
    IMAGE_GROUP,
    NOTIFICATION_GROUP,
    SOURCE_EXTENSIONS_GROUP,
    is_unserved,
)
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import (
    BUCKET,
    EXTERNAL_ARTIFACT,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    RECEIVER,
    SOURCE_GROUP,
)
from gitsync.api.notification import Alert, Provider, is_told_of, kind_meant
from gitsync.api.sources import Bucket, ChartHolder, GitRepository, HelmChart, HelmRepository, OCIRepository
from gitsync.errors import FieldErrors, GitsyncError, KubeConfigRefused
from gitsync.manifests import Desired, DesiredObject
from gitsync.notify.providers import refused as refused_provider
from gitsync.notify.rules import Rule
from gitsync.release.values.kubeconfig import remote_of
from gitsync.sources.commit import makers_in
from gitsync.sources.generator.circles import check_circle
from gitsync.sources.generator.generating import check_generator
from gitsync.sources.unsupported import refused
from gitsync.sync.kustomization.reconcile.unsupported import refused as refused_by

#: What does not come of an object, by its group.
_NOTHING_COMES: Mapping[str, str] = {
    SOURCE_GROUP: "nothing is read from it",
    SOURCE_EXTENSIONS_GROUP: "nothing is made of its sources",
    NOTIFICATION_GROUP: "nothing comes in by it; what it names is polled",
    IMAGE_GROUP: "no image is looked for, and nothing is committed",
}
#: The kinds that charts are had from by ``chart``, and by ``chartRef``.
_CHART_SOURCES = (HELM_REPOSITORY, GIT_REPOSITORY, BUCKET)
_CHART_REFERENCES = (OCI_REPOSITORY, HELM_CHART, EXTERNAL_ARTIFACT)
_TYPE_HINT = "leave it to Flux, or use another type; generic is a webhook of your own"
_CHART_HINT = "use an OCIRepository or a HelmChart"


@dataclass(frozen=True, slots=True)
class Unserved:
    """Something that is not served, where the commit asks for it. ``field`` is dotted, "" for the whole object."""

    key: ObjectKey
    origin: Origin
    message: str
    hint: str = ""
    field: str = ""
    severity: Literal["error", "warning"] = "error"


def unserved(desired: Desired) -> Iterator[Unserved]:
    """Everything of ``desired`` that is not served, in the order of its objects."""
    for key, item in desired.objects.items():
        if isinstance(item.model, HelmRelease):
            yield from _unserved_source(item, item.model)
            yield from _unreached(item, item.model, desired)
        elif isinstance(item.model, Kustomization):
            yield from refused_fields(item, item.model)
            yield from _unreached(item, item.model, desired)
        elif isinstance(item.model, OCIRepository | HelmRepository | GitRepository | Bucket | HelmChart):
            yield from _unread(item, item.model)
        elif isinstance(item.model, ArtifactGenerator):
            yield from _unmade(item, item.model, desired)
        elif isinstance(item.model, Provider):
            if why := refused_provider(item.model):
                yield Unserved(key, item.field_origin(("spec", "type")), why, _TYPE_HINT, "spec.type", "warning")
        elif isinstance(item.model, Alert):
            yield from _untold(item, item.model, desired)
        elif is_unserved(key) and key.kind != RECEIVER:  # which the agent serves where it has a port for webhooks
            message = f"gitsync does not serve {key.kind} yet: {_NOTHING_COMES.get(key.group, 'nothing comes of it')}"
            yield Unserved(key, item.origin, message, severity="warning")


def unserved_source(release: HelmRelease) -> str:
    """Why the chart of a release cannot be had; "" when its source is of a kind that is served."""
    if release.source.kind in (_CHART_SOURCES if release.spec.chart is not None else _CHART_REFERENCES):
        return ""
    return f"gitsync does not serve {release.source.kind} yet: the chart of this release cannot be had"


def _unserved_source(item: DesiredObject, release: HelmRelease) -> Iterator[Unserved]:
    if message := unserved_source(release):
        path: FieldPath = ("spec", "chart", "spec", "sourceRef") if release.spec.chart else ("spec", "chartRef")
        yield Unserved(item.key, item.field_origin(path), message, _CHART_HINT, dotted(path))


def _unreached(item: DesiredObject, model: HelmRelease | Kustomization, desired: Desired) -> Iterator[Unserved]:
    """What keeps another cluster from being reached that a ConfigMap of the repository describes."""
    key = model.kubeconfig_source
    if key is None or key.kind != "ConfigMap" or key not in desired.objects:
        return
    try:
        remote_of(model, lambda key: desired.objects[key].manifest)
    except KubeConfigRefused as error:
        path = ("spec", "kubeConfig", "configMapRef")
        yield Unserved(item.key, item.field_origin(path), error.message, error.hint, dotted(path))


def _unread(item: DesiredObject, source: ChartHolder) -> Iterator[Unserved]:
    """Fields that keep a source from being read."""
    for field, why, hint in refused(source):
        yield Unserved(item.key, item.field_origin(field.split(".")), f"{field}: {why}", hint, field)


def _unmade(item: DesiredObject, generator: ArtifactGenerator, desired: Desired) -> Iterator[Unserved]:
    """What keeps an ArtifactGenerator from making anything; its message begins with the field."""
    try:
        check_generator(generator)
        check_circle(generator, partial(makers_in, desired))
    except GitsyncError as error:
        field = error.message.partition(" ")[0].rstrip(":")
        parts = field.replace("[", ".").replace("]", "").split(".")
        origin = item.field_origin([int(part) if part.isdigit() else part for part in parts])
        yield Unserved(item.key, origin, error.message, error.hint, field)


def _untold(item: DesiredObject, alert: Alert, desired: Desired) -> Iterator[Unserved]:
    """What keeps an Alert from being told to anybody."""
    path: FieldPath
    try:
        Rule.of(alert, crosses=True)
    except FieldErrors as found:
        for error in found.errors:
            yield Unserved(item.key, item.field_origin(error.path), str(error), "", dotted(error.path))
    for index, source in enumerate(alert.spec.event_sources):
        if not is_told_of(source.kind):
            path = ("spec", "eventSources", index, "kind")
            message = f"{dotted(path)}: gitsync has no events about a {source.kind}"
            hint = f"is {meant} meant?" if (meant := kind_meant(source.kind)) else ""
            yield Unserved(item.key, item.field_origin(path), message, hint, dotted(path), "warning")
    provider = alert.provider._replace(namespace=item.key.namespace)
    if provider not in desired.objects:
        path = ("spec", "providerRef", "name")
        message = (
            f"{dotted(path)}: there is no {provider} in the repository: no notification is sent until there is one"
        )
        yield Unserved(item.key, item.field_origin(path), message, "", dotted(path), "warning")


def refused_fields(item: DesiredObject, kustomization: Kustomization) -> Iterator[Unserved]:
    """What keeps a Kustomization from being applied."""
    for field, message in refused_by(kustomization):
        origin = item.field_origin(("spec", *field.split(".")))
        yield Unserved(item.key, origin, message, "leave this Kustomization to Flux", f"spec.{field}")
    if kustomization.source.kind not in (GIT_REPOSITORY, OCI_REPOSITORY, BUCKET, EXTERNAL_ARTIFACT):
        message = f"Kustomizations from a {kustomization.source.kind} are not supported yet"
        origin = item.field_origin(("spec", "sourceRef"))
        yield Unserved(item.key, origin, message, "use a GitRepository or an OCIRepository", "spec.sourceRef")
