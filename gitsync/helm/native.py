"""The Helm SDK's calls (helm_python), and its errors mapped to ours. Everything here blocks: call it in a thread.

Two facts about the SDK (0.2.2) shape this room. Rendering changes a loaded chart that declares dependencies (disabled
ones are dropped from it for good), so such a chart is loaded anew for each rendering. And its Python functions do not
pass on the options ``kube_version`` and ``api_versions`` of its documented C interface, so rendering calls that.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import helm_python

from gitsync.denial import refused
from gitsync.errors import ChartError, ClusterUnavailable, GitsyncError, MissingRight, RenderError, ValuesError
from gitsync.text import leaves, mask_quoted, shorten_middle

P = ParamSpec("P")
R = TypeVar("R")

_MAX_MESSAGE = 800


def _mapped(call: Callable[P, R]) -> Callable[P, R]:
    """Turns the SDK's errors into ours."""

    @functools.wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except helm_python.HelmError as error:
            raise _ours(error) from None
        except RecursionError:
            raise ValuesError("values cannot be used: nested too deeply") from None

    return wrapper


class Handle:
    """A chart loaded into the SDK; freed when nobody refers to it any more."""

    @_mapped
    def __init__(self, archive: bytes) -> None:
        """Raises: ChartError when it is no chart."""
        self._chart = helm_python.Chart.load_archive(archive)

    @_mapped
    def metadata(self) -> dict[str, Any]:
        """Chart.yaml as Helm's record has it."""
        return self._chart.metadata

    @_mapped
    def values(self) -> dict[str, Any] | None:
        """The default values; None without a values.yaml."""
        values: dict[str, Any] | None = self._chart.values
        return values

    @_mapped
    def over_defaults(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values over the chart's own, as Helm coalesces them for rendering. Raises: ValuesError."""
        merged: dict[str, Any] = self._chart.merge_values(values)
        return merged

    @_mapped
    def subcharts(self) -> list[str]:
        """Names of the charts found in ``charts/``."""
        return [str(chart.get("name", "")) for chart in self._chart.dependencies]

    @_mapped
    def crds(self) -> list[tuple[str, str]]:
        """(path, text) of each file below ``crds/``, those of subcharts too."""
        return [(crd["filename"], crd["data"]) for crd in self._chart.crds]

    @_mapped
    def render(
        self, values: str, options: Mapping[str, Any], config: helm_python.Config | None = None
    ) -> dict[str, str]:
        """Path -> text of every template. ``values`` is JSON; ``options`` as the C interface names them.

        With a ``config`` the template function ``lookup`` sees the cluster.
        Raises: ValuesError, RenderError, ClusterUnavailable, MissingRight.
        """
        arguments = (self._chart._raw(), values, json.dumps(options))
        try:
            if config is None:
                text = helm_python._native.call_string("helm_render", *arguments)
            else:
                text = helm_python._native.call_string("helm_render_with_config", config._raw(), *arguments)
        except helm_python.HelmRenderError as error:
            if "error calling lookup" in error.detail and (refusal := refused(error.detail)):
                # Said by the authorizer, of names alone.
                raise MissingRight(
                    f"a template cannot look objects up: {_short(refusal)}", status=403, verb="get"
                ) from None
            error.detail = _without_values(error.detail, values)
            raise
        except helm_python.HelmValuesError as error:
            error.detail = _from_the_root(error.detail, str(self._chart.metadata.get("name", "")))
            raise
        rendered: dict[str, str] = json.loads(text)
        return rendered

    def close(self) -> None:
        self._chart.close()


@_mapped
def load_yaml(text: str) -> dict[str, Any]:
    """A YAML mapping as Helm and Kubernetes read it; ``{}`` for an empty document.

    Raises: ValuesError.
    """
    return helm_python.values_from_yaml(text) or {}


@_mapped
def parse_set(expression: str) -> dict[str, Any]:
    """What ``--set EXPRESSION`` sets. Raises: ValuesError."""
    return helm_python.parse_set_string(expression)


@_mapped
def parse_set_string(expression: str) -> dict[str, Any]:
    """What ``--set-string EXPRESSION`` sets. Raises: ValuesError."""
    return helm_python.parse_set_string_values(expression)


@_mapped
def parse_set_literal(expression: str) -> dict[str, Any]:
    """What ``--set-literal EXPRESSION`` sets. Raises: ValuesError."""
    return helm_python.parse_set_literal(expression)


@_mapped
def connect(access: Mapping[str, Any]) -> helm_python.Config:
    """The SDK's access to a cluster; nothing is asked until a template calls ``lookup``."""
    return helm_python.Config(**access)


def _ours(error: helm_python.HelmError) -> GitsyncError:
    text = error.detail.strip()
    if isinstance(error, helm_python.HelmValuesError):
        return _values_error(text)
    if isinstance(error, helm_python.HelmKubeError) or _LOOKUP_FAILED.search(text):
        return ClusterUnavailable(f"cannot look objects up while rendering: {_short(text)}")
    if isinstance(error, helm_python.HelmRenderError):
        return _render_error(text)
    if isinstance(error, (helm_python.HelmChartLoadError, helm_python.HelmChartInvalidError)):
        return ChartError(f"chart cannot be loaded: {_short(text)}")
    return ChartError(f"Helm failed: {_short(text)}")


#: The SDK gives a failing lookup no class of its own: what client-go and Go's network say when nobody answers.
_LOOKUP_FAILED = re.compile(
    r"error calling lookup:.*(?:dial tcp|connection re(?:fused|set)|no such host|timeout|deadline exceeded|\bEOF\b"
    r"|try again later|unable to handle the request|Too Many Requests|etcdserver|Service Unavailable)",
    re.DOTALL,
)


def _short(text: str) -> str:
    """One line of bearable length. A chain of calls says most at both its ends."""
    return shorten_middle(text, _MAX_MESSAGE)


def _without_values(text: str, values: str) -> str:
    """Template errors may quote what they were given. What is quoted and holds a string out of the values goes."""
    secrets = set(leaves(json.loads(values)))

    def hides(quoted: str, plain: str) -> bool:
        if re.search(r"\.(?:ya?ml|tpl|txt|json)\W*$", quoted):
            return False
        return "{{" in quoted or any(leaf in plain for leaf in secrets)

    return mask_quoted(text, hides)


_SCHEMA = "values don't meet the specifications of the schema(s)"
_COMPLAINT = re.compile(r"^\s*- at '(?P<path>[^']*)': (?P<text>.*)$", re.MULTILINE)
#: That some alternative failed says less than what failed in it.
_ALTERNATIVES = re.compile(r"'(?:allOf|anyOf|oneOf)' failed")
#: The complaints of the schema library that quote the value itself (escaped, so on one line).
_ABOUT_PATTERN = re.compile(r"'.*' (does not match pattern .*)")
_ABOUT_FORMAT = re.compile(r"'.*' (is not valid [\w-]+).*")


_HEADING = re.compile(r"([\w.-]+):")


def _from_the_root(text: str, root: str) -> str:
    """A schema's complaints with all paths from the root of the values. Helm gives those about a subchart from where
    the subchart's begin, below a line with its name."""
    lines, below = [], ""
    for line in text.split("\n"):
        if heading := _HEADING.fullmatch(line):
            below = "" if heading[1] == root else f"/{heading[1]}"
        lines.append(line.replace("- at '", f"- at '{below}", 1) if line.lstrip().startswith("- at '") else line)
    return "\n".join(lines)


def _values_error(text: str) -> ValuesError:
    if not text.startswith(_SCHEMA):
        return ValuesError(f"values cannot be used: {_short(mask_quoted(text, lambda quoted, plain: True))}")
    if "is not valid against metaschema" in text:
        return ValuesError(
            "the chart's values.schema.json is itself no valid schema", hint="correct it, or disable schema validation"
        )
    found = [(_dotted(match["path"]), _complaint(match["text"])) for match in _COMPLAINT.finditer(text)]
    fields = [pair for pair in found if not _ALTERNATIVES.match(pair[1])] or found
    listed = "; ".join(f"{path}: {complaint}" for path, complaint in fields)
    return ValuesError(
        f"values break the chart's schema: {_short(listed)}",
        fields=fields,
        hint="correct these values, or the chart's values.schema.json",
    )


def _dotted(pointer: str) -> str:
    """A JSON pointer as people write a value's path."""
    return pointer.strip("/").replace("/", ".").replace("~1", "/").replace("~0", "~") or "(root)"


def _complaint(text: str) -> str:
    about = _ABOUT_PATTERN.fullmatch(text) or _ABOUT_FORMAT.fullmatch(text)
    return f"value {about[1]}" if about else text


_AT = re.compile(
    r"^(?:template: |(?:execution error|parse error) (?:at|in) \()?(?P<path>[^\s():]+):(?P<line>\d+)(?::\d+)?\)?:?\s*",
    re.DOTALL,
)


def _render_error(text: str) -> RenderError:
    match = _AT.match(text)
    if match is None:
        return RenderError(f"template failed: {_short(text)}")
    message = _short(text[match.end() :])
    where = f"{match['path']}:{match['line']}"
    return RenderError(f"{where}: {message}", template=match["path"], line=int(match["line"]))
