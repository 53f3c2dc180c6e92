"""What pyproject.toml says about the libraries that gitsync stands on."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import git
import helm_python
import pytest
from helm_python import _native
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import kube_config
from kubernetes.aio.config.kube_config import KubeConfigLoader

from tests.docs.markdown import ROOT

#: Names of libraries that are not theirs to keep, and that gitsync uses nevertheless.
PRIVATE = {
    "helm-python-sdk": [(_native, "call_string"), (helm_python.Chart, "_raw"), (helm_python.Config, "_raw")],
    "kubernetes": [
        (kube_config, "_cleanup_temp_files"),
        (RESTClientObject, "_create_pool_manager"),
        (KubeConfigLoader, "_load_user_token"),
        (KubeConfigLoader, "_get_base_path"),
    ],
    "gitpython": [(git.Git, "_parse_object_header")],
}


def requirements() -> dict[str, str]:
    """Versions that are asked for, by distribution; of the extra that the image has, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (*project["dependencies"], *project["optional-dependencies"]["keyless"])
    found = (re.fullmatch(r"([\w.-]+)(.*)", line) for line in lines)
    return {match[1].lower(): match[2] for match in found if match}


def imported(path: Path) -> set[str]:
    """The packages that a module imports, but for gitsync's own and Python's."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named.add(node.module)
    return {name.partition(".")[0] for name in named} - {"gitsync"} - sys.stdlib_module_names


def test_what_is_imported_is_asked_for() -> None:
    packages = set().union(*map(imported, (ROOT / "gitsync").rglob("*.py")))
    distributions = packages_distributions()
    asked = requirements().keys()
    missing = {
        name
        for name in packages
        if not {item.lower().replace("_", "-") for item in distributions.get(name, [name])} & asked
    }
    assert missing == set()


@pytest.mark.parametrize("distribution", PRIVATE)
def test_a_library_that_is_leaned_on_by_private_names_has_them_and_an_upper_bound(distribution: str) -> None:
    assert "<" in requirements()[distribution]
    assert [name for owner, name in PRIVATE[distribution] if not hasattr(owner, name)] == []


def test_a_loader_of_kubeconfigs_knows_its_user_by_a_private_name() -> None:
    config = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://a.example"}}],
        "users": [{"name": "a", "user": {"tokenFile": "token"}}],
    }
    loader = KubeConfigLoader(config)
    assert loader._user.safe_get("tokenFile") == "token"
    assert hasattr(loader._user, "path")
