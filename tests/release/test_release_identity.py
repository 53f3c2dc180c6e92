"""How log lines name a release, and say what makes it another one."""

from __future__ import annotations

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.release.desired import changed_identity
from gitsync.release.revision import ReleaseRef, release_fields

WAS = ReleaseRef("web", "apps", "apps")


@pytest.mark.parametrize(
    ("new", "chart", "why"),
    [
        (WAS, "crate", "its chart was box and is crate"),
        (WAS._replace(storage="records"), "box", "its storage namespace was apps and is records"),
        (ReleaseRef("site", "prod", "apps"), "box", "its name was web and is site, its namespace was apps and is prod"),
    ],
)
def test_what_makes_a_release_another_one_is_said_from_what_to_what(new: ReleaseRef, chart: str, why: str) -> None:
    assert changed_identity(WAS, new, "box", chart) == why


def test_a_line_names_the_helmrelease_and_helm_s_name_where_that_differs() -> None:
    key = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "apps", "web")
    assert release_fields(key, WAS) == {"release": key}
    other = ReleaseRef("prod-web", "prod", "apps")
    assert release_fields(key, other) == {"release": key, "helm_release": "prod/prod-web"}
    assert release_fields(None, other) == {"release": "prod/prod-web"}
