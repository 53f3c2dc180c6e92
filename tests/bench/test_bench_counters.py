"""Requests are counted once each, whatever form the API server says it in."""

from __future__ import annotations

import json

from bench.counters import Kind, read_audit, read_metrics, since
from bench.idle import agents_since

METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",group="apps",resource="deployments",scope="resource",subresource="",verb="APPLY",version="v1"} 3
apiserver_request_total{code="201",component="apiserver",group="apps",resource="deployments",scope="resource",subresource="",verb="APPLY",version="v1"} 50
apiserver_request_total{code="200",component="apiserver",group="apps",resource="deployments",scope="resource",subresource="status",verb="PUT",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",group="apps",resource="deployments",scope="cluster",subresource="",verb="WATCH",version="v1"} 2
apiserver_request_total{code="200",component="",group="",resource="",scope="",subresource="/metrics",verb="GET",version=""} 9
apiserver_request_total{code="200",component="",group="",resource="",scope="",subresource="/readyz",verb="GET",version=""} 4
apiserver_longrunning_requests{component="apiserver",group="apps",resource="deployments",scope="cluster",subresource="",verb="WATCH",version="v1"} 1
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="log",verb="CONNECT",version="v1"} 1
apiserver_request_total_other{verb="GET"} 1000
"""  # noqa: E501


def event(audit_id: str, at: str, stage: str = "ResponseComplete", **more: object) -> str:
    fields = {
        "auditID": audit_id,
        "stage": stage,
        "requestReceivedTimestamp": at,
        "verb": "patch",
        "userAgent": "gitsync",
        "requestURI": "/apis/apps/v1/namespaces/bench/deployments/app",
        "objectRef": {"resource": "deployments", "namespace": "bench", "name": "app"},
    }
    return json.dumps({**fields, **more}) + "\n"


class TestMetrics:
    def test_answers_of_every_code_are_summed_and_statuses_are_kinds_of_their_own(self) -> None:
        counted = read_metrics(METRICS)
        assert counted[Kind("APPLY", "deployments")] == 53
        assert counted[Kind("PUT", "deployments/status")] == 7
        assert counted[Kind("GET", "/readyz")] == 4

    def test_a_watch_under_way_is_counted_with_those_that_ended(self) -> None:
        assert read_metrics(METRICS)[Kind("WATCH", "deployments")] == 3

    def test_reading_the_counter_is_not_counted(self) -> None:
        assert Kind("GET", "/metrics") not in read_metrics(METRICS)

    def test_a_watch_that_ends_between_two_readings_changes_nothing(self) -> None:
        ended = METRICS.replace('verb="WATCH",version="v1"} 2', 'verb="WATCH",version="v1"} 3').replace(
            'verb="WATCH",version="v1"} 1', 'verb="WATCH",version="v1"} 0'
        )
        assert since(read_metrics(METRICS), read_metrics(ended)) == {}

    def test_only_what_came_in_between_is_left(self) -> None:
        later = METRICS.replace("} 50", "} 55")
        assert since(read_metrics(METRICS), read_metrics(later)) == {Kind("APPLY", "deployments"): 5}


class TestAudit:
    def test_a_request_is_known_by_time_client_verb_and_resource(self) -> None:
        (asked,) = read_audit([event("1", "2026-01-01T00:00:00.250000Z", userAgent="kube-scheduler/v1.36 (linux)")])
        assert asked.at == 1767225600.25
        assert (asked.client, str(asked.kind), asked.writes) == ("kube-scheduler", "patch deployments", True)

    def test_a_watch_that_began_and_ended_is_one_request(self) -> None:
        lines = [
            event("1", "2026-01-01T00:00:00.000000Z", "ResponseStarted", verb="watch"),
            event("1", "2026-01-01T00:00:00.000000Z", "ResponseComplete", verb="watch"),
        ]
        assert [(asked.verb, asked.writes) for asked in read_audit(lines)] == [("watch", False)]

    def test_requests_are_in_the_order_they_came_not_in_that_they_were_answered(self) -> None:
        lines = [
            event("1", "2026-01-01T00:00:02.000000Z", verb="get"),
            event("2", "2026-01-01T00:00:01.000000Z", verb="list"),
        ]
        assert [asked.verb for asked in read_audit(lines)] == ["list", "get"]

    def test_what_is_no_resource_is_named_by_its_path(self) -> None:
        line = event("1", "2026-01-01T00:00:00.000000Z", requestURI="/apis?timeout=32s", objectRef=None, verb="get")
        assert [asked.resource for asked in read_audit([line])] == ["/apis"]

    def test_a_subresource_belongs_to_the_name(self) -> None:
        line = event(
            "1", "2026-01-01T00:00:00.000000Z", objectRef={"resource": "helmreleases", "subresource": "status"}
        )
        assert [asked.resource for asked in read_audit([line])] == ["helmreleases/status"]

    def test_a_line_that_is_still_being_written_is_left_for_later(self) -> None:
        whole = event("1", "2026-01-01T00:00:00.000000Z")
        assert len(read_audit([whole, whole.replace('"1"', '"2"')[:40]])) == 1


def test_requests_of_the_agent_are_told_from_all_others() -> None:
    lines = [
        event("1", "2026-01-01T00:00:01.000000Z", verb="watch", userAgent="gitsync/0.2"),
        event("2", "2026-01-01T00:00:03.000000Z", verb="watch", userAgent="gitsync/0.2"),
        event("3", "2026-01-01T00:00:03.000000Z", verb="get", userAgent="kube-controller-manager/v1.36.3"),
    ]
    asked = read_audit(lines)
    assert agents_since(asked, asked[1].at).total() == 1
    assert [kind.verb for kind in agents_since(asked, asked[0].at)] == ["watch"]
