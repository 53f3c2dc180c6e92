"""What ``gitsync validate`` has found, in the formats of the services that show it beside a change: GitHub's workflow
commands, GitLab's Code Quality report, and SARIF 2.1.0. Pure.

Files are named from the root of the repository, wherever the command was run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import gitsync
from gitsync.cli.common.output import as_json
from gitsync.cli.repository.checks import CHECKS
from gitsync.text import printable

if TYPE_CHECKING:
    from gitsync.cli.repository.checks import ManifestProblem

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_GITLAB_SEVERITY: Final = {"error": "critical", "warning": "minor"}


def github(problems: Sequence[ManifestProblem]) -> str:
    """Workflow commands, one a line: GitHub shows them at the lines of the change, ten errors and ten warnings of a
    step."""
    return "".join(map(_command, problems))


def gitlab(problems: Sequence[ManifestProblem]) -> str:
    """A Code Quality report."""
    return as_json(
        [
            {
                "description": _said(problem),
                "check_name": f"gitsync/{problem.check}",
                "fingerprint": fingerprint,
                "severity": _GITLAB_SEVERITY[problem.severity],
                "location": {"path": problem.origin.path, "lines": {"begin": _line(problem)}},
            }
            for problem, fingerprint in _with_fingerprints(problems)
        ]
    )


def sarif(problems: Sequence[ManifestProblem]) -> str:
    """A log of one run, for GitHub's code scanning and whatever else reads SARIF."""
    driver = {
        "name": "gitsync",
        "version": gitsync.__version__,
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in CHECKS.items()],
    }
    results = [_result(problem, fingerprint) for problem, fingerprint in _with_fingerprints(problems)]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return as_json({"$schema": _SARIF, "version": "2.1.0", "runs": [run]})


FORMATS: Mapping[str, Callable[[Sequence[ManifestProblem]], str]] = {"github": github, "gitlab": gitlab, "sarif": sarif}


def _command(problem: ManifestProblem) -> str:
    place = {"file": problem.origin.path, "line": _line(problem), "col": max(problem.origin.column, 1)}
    named = {**place, "title": f"gitsync {problem.check}"}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in named.items())
    return f"::{problem.severity} {properties}::{_data(_said(problem))}\n"


def _data(text: str) -> str:
    """Text with the line ends, which would end the command for GitHub's runner, escaped."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _result(problem: ManifestProblem, fingerprint: str) -> dict[str, Any]:
    region = {"startLine": _line(problem), "startColumn": max(problem.origin.column, 1)}
    artifact = {"uri": _uri(problem.origin.path), "uriBaseId": "%SRCROOT%"}
    return {
        "ruleId": problem.check,
        "level": problem.severity,
        "message": {"text": _said(problem)},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"gitsync/v1": fingerprint},
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _said(problem: ManifestProblem) -> str:
    """A problem's message and its hint, in one line."""
    return printable(problem.said)


def _line(problem: ManifestProblem) -> int:
    """The problem's line, counted from one. A problem that is about a whole file is shown at its first line."""
    return max(problem.origin.line, 1)


def _with_fingerprints(problems: Sequence[ManifestProblem]) -> Iterator[tuple[ManifestProblem, str]]:
    """Each problem with a fingerprint that stays the same when lines are added above it, so that a service knows the
    problem again in the next commit."""
    seen: Counter[str] = Counter()
    for problem in problems:
        about = "\0".join((problem.check, problem.origin.path, problem.object, problem.field, problem.message))
        seen[about] += 1
        yield problem, hashlib.sha256(f"{about}\0{seen[about]}".encode()).hexdigest()
