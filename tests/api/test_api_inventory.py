"""An object's name in a release's ``status.inventory``: written as Flux writes it, and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import ObjectKey
from gitsync.api.inventory import inventory_id, parse_inventory_id

DNS = st.text("ab0-", min_size=1, max_size=8)
#: Names of RBAC objects may have colons and ``_`` in any place. Two ``_`` side by side, or one beside a colon, are not
#: told apart by the format, which is Flux's.
NAMES = st.text("ab-.:", min_size=1, max_size=12) | st.lists(DNS, min_size=1, max_size=3).map("_".join)
GROUPS = st.just("") | st.lists(DNS, min_size=1, max_size=3).map(".".join)
KINDS = st.sampled_from(["ConfigMap", "ClusterRole", "HelmRelease"])


@given(st.builds(ObjectKey, GROUPS, KINDS, st.just("") | DNS, NAMES))
def test_an_inventory_id_is_read_back_as_the_object_that_it_was_written_for(key: ObjectKey) -> None:
    assert parse_inventory_id(inventory_id(key)) == key


def test_a_name_with_colons_is_written_as_flux_writes_it() -> None:
    key = ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "system:redis:reader")
    assert inventory_id(key) == "_system__redis__reader_rbac.authorization.k8s.io_ClusterRole"


@pytest.mark.parametrize("text", ["", "redis", "default_redis", "a_b_"])
def test_what_is_no_inventory_id_names_no_object(text: str) -> None:
    assert parse_inventory_id(text) is None
