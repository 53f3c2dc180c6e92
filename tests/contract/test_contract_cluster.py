"""What gitsync's own client is tested for on a real API server holds for the sandbox, too.

Left out: what is about rights, service accounts and admission, which the sandbox does not play.
"""

from __future__ import annotations

import pytest

from tests.cluster.promises import (
    live,
    test_a_dry_run_shows_what_would_be_and_changes_nothing,
    test_a_half_open_connection_is_noticed_and_nothing_is_missed,
    test_a_kind_comes_and_goes_with_its_crd,
    test_a_list_of_several_pages_is_whole,
    test_a_namespace_on_its_way_out_counts_as_deleted,
    test_a_refused_secret_is_not_quoted,
    test_an_object_s_whole_life,
    test_errors_name_the_object_and_the_field,
    test_fields_of_others_are_taken_only_by_force,
    test_metadata_alone_can_be_watched,
    test_only_the_object_that_was_meant_is_deleted,
    test_the_largest_object_passes_through_apply_and_watch,
    test_what_is_there_already_is_not_created,
    test_writers_that_meet_all_get_through,
)

__all__ = [
    "live",
    "test_a_dry_run_shows_what_would_be_and_changes_nothing",
    "test_a_half_open_connection_is_noticed_and_nothing_is_missed",
    "test_a_kind_comes_and_goes_with_its_crd",
    "test_a_list_of_several_pages_is_whole",
    "test_a_namespace_on_its_way_out_counts_as_deleted",
    "test_a_refused_secret_is_not_quoted",
    "test_an_object_s_whole_life",
    "test_errors_name_the_object_and_the_field",
    "test_fields_of_others_are_taken_only_by_force",
    "test_metadata_alone_can_be_watched",
    "test_only_the_object_that_was_meant_is_deleted",
    "test_the_largest_object_passes_through_apply_and_watch",
    "test_what_is_there_already_is_not_created",
    "test_writers_that_meet_all_get_through",
]

pytestmark = pytest.mark.parametrize("control_plane", ["sandbox"], indirect=True)
