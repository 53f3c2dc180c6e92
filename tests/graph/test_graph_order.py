"""The dependency graph, by hand and against networkx on generated graphs."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import ObjectKey, Origin
from gitsync.graph import Cycle, Edge, Graph
from tests.cost import costs_below


def graph(nodes: str, *edges: str) -> Graph[str]:
    """``graph("abc", "ab")``: nodes a, b and c; a depends on b."""
    return Graph(nodes, [Edge(edge[0], edge[1], Origin(f"{edge[0]}.yaml", 7, 5)) for edge in edges])


def release(name: str) -> ObjectKey:
    return ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", name)


def test_dependencies_stand_in_earlier_layers() -> None:
    assert graph("abcd", "ab", "ac", "bd", "cd").layers() == [["d"], ["b", "c"], ["a"]]


def test_nodes_without_edges_stand_in_the_first_layer_in_input_order() -> None:
    assert graph("zxy").layers() == [["z", "x", "y"]]


def test_a_node_follows_its_last_dependency() -> None:
    assert graph("abc", "ab", "bc", "ac").layers() == [["c"], ["b"], ["a"]]


def test_order_within_a_layer_is_the_input_order_whatever_the_order_of_edges() -> None:
    assert graph("xcba", "cx", "ax", "bx").layers() == [["x"], ["c", "b", "a"]]


def test_an_empty_graph_has_no_layers() -> None:
    empty = graph("")
    assert (empty.layers(), empty.reverse_layers(), empty.cycles(), empty.held()) == ([], [], [], {})


def test_deleting_goes_from_dependents_to_dependencies() -> None:
    assert graph("abcd", "ab", "bc", "dc").reverse_layers() == [["a", "d"], ["b"], ["c"]]


def test_deleting_leaves_nothing_out_not_even_a_cycle() -> None:
    assert graph("abcde", "ab", "ba", "ca", "bd").reverse_layers() == [["c", "e"], ["a", "b"], ["d"]]


def test_members_of_a_cycle_and_what_depends_on_them_have_no_layer() -> None:
    assert graph("abcde", "ab", "ba", "ca", "bd").layers() == [["d", "e"]]


def test_held_nodes_say_which_cycle_holds_them() -> None:
    held = graph("abcd", "ab", "ba", "ca", "dc").held()
    assert {node: str(reason) for node, reason in held.items()} == {
        "a": "dependency cycle: a -> b -> a",
        "b": "dependency cycle: a -> b -> a",
        "c": "waits for a, which is held by the dependency cycle a -> b -> a",
        "d": "waits for c, which is held by the dependency cycle a -> b -> a",
    }


def test_a_dependency_of_a_cycle_is_not_held() -> None:
    assert "d" not in graph("abd", "ab", "ba", "ad").held()


def test_a_self_loop_is_a_cycle() -> None:
    (cycle,) = graph("ab", "aa", "ba").cycles()
    assert str(cycle) == "a -> a"
    assert cycle.members == ("a",)


def test_a_cycle_begins_at_the_member_that_comes_first_in_the_input() -> None:
    (cycle,) = graph("cab", "ab", "bc", "ca").cycles()
    assert str(cycle) == "c -> a -> b -> c"


def test_two_cycles_are_two() -> None:
    assert [str(cycle) for cycle in graph("abcd", "cd", "dc", "ab", "ba").cycles()] == ["a -> b -> a", "c -> d -> c"]


def test_of_a_tangle_a_shortest_cycle_is_named_and_all_members_are_listed() -> None:
    (cycle,) = graph("abcd", "ab", "bc", "cd", "da", "ca", "cb").cycles()
    assert str(cycle) == "b -> c -> b"
    assert cycle.members == ("a", "b", "c", "d")
    assert cycle.explain() == "b -> c at b.yaml:7:5; c -> b at c.yaml:7:5; in further cycles with these: a, d"


def test_a_cycle_of_releases_is_told_by_namespace_and_name_with_the_place_of_each_edge() -> None:
    a, b = release("a"), release("b")
    edges = [Edge(a, b, Origin("apps/a.yaml", 12, 7)), Edge(b, a, Origin("apps/b.yaml", 9, 7))]
    (cycle,) = Graph([a, b], edges).cycles()
    assert str(cycle) == "default/a -> default/b -> default/a"
    assert cycle.explain() == "default/a -> default/b at apps/a.yaml:12:7; default/b -> default/a at apps/b.yaml:9:7"


def test_a_cycle_of_different_kinds_is_told_with_the_kinds() -> None:
    a, b = release("a"), ObjectKey("", "Namespace", "", "b")
    (cycle,) = Graph([a, b], [Edge(a, b), Edge(b, a)]).cycles()
    assert str(cycle) == "HelmRelease/default/a -> Namespace/b -> HelmRelease/default/a"
    assert cycle.explain() == "HelmRelease/default/a -> Namespace/b; Namespace/b -> HelmRelease/default/a"


def test_a_dependency_that_is_no_node_is_missing_and_does_not_hold_the_order() -> None:
    with_gap = graph("ab", "ab", "ax")
    assert [(edge.dependent, edge.dependency, str(edge.origin)) for edge in with_gap.missing()] == [
        ("a", "x", "a.yaml:7:5")
    ]
    assert with_gap.layers() == [["b"], ["a"]]
    assert with_gap.dependencies("a") == ["b"]


def test_an_edge_of_an_unknown_dependent_is_refused() -> None:
    with pytest.raises(ValueError, match="x has dependencies but is not a node"):
        graph("a", "xa")


def test_neighbours_come_in_the_order_of_their_edges_once_each() -> None:
    double = graph("abc", "ac", "ab", "ac")
    assert double.dependencies("a") == ["c", "b"]
    assert double.dependents("c") == ["a"]
    assert double.layers() == [["b", "c"], ["a"]]


def test_of_an_edge_given_twice_the_first_place_is_named() -> None:
    edges = [Edge("a", "a", Origin("first.yaml", 1)), Edge("a", "a", Origin("second.yaml", 2))]
    (cycle,) = Graph("a", edges).cycles()
    assert cycle.explain() == "a -> a at first.yaml:1"


pairs = st.tuples(st.integers(0, 11), st.integers(0, 11))


@given(st.permutations(range(12)), st.lists(pairs, max_size=40))
def test_order_and_cycles_agree_with_networkx(nodes: list[int], edges: list[tuple[int, int]]) -> None:
    ours = Graph(nodes, [Edge(dependent, dependency) for dependent, dependency in edges])
    theirs: nx.DiGraph[int] = nx.DiGraph(edges)
    theirs.add_nodes_from(nodes)

    loops = [part for part in nx.strongly_connected_components(theirs) if is_cyclic(theirs, part)]
    assert sorted(sorted(cycle.members) for cycle in ours.cycles()) == sorted(map(sorted, loops))
    for cycle in ours.cycles():
        assert_is_shortest_cycle(cycle, theirs)

    held = {node for loop in loops for member in loop for node in {member} | nx.ancestors(theirs, member)}
    assert set(ours.held()) == held
    free = theirs.subgraph(set(nodes) - held).reverse()
    assert [set(layer) for layer in ours.layers()] == [set(layer) for layer in nx.topological_generations(free)]
    assert all(layer == sorted(layer, key=nodes.index) for layer in ours.layers())

    condensed = nx.condensation(theirs)
    assert [set(layer) for layer in ours.reverse_layers()] == [
        {node for part in layer for node in condensed.nodes[part]["members"]}
        for layer in nx.topological_generations(condensed)
    ]


def is_cyclic(theirs: nx.DiGraph[int], part: set[int]) -> bool:
    return len(part) > 1 or any(theirs.has_edge(node, node) for node in part)


def assert_is_shortest_cycle(cycle: Cycle[int], theirs: nx.DiGraph[int]) -> None:
    heads = [edge.dependency for edge in cycle.edges]
    assert [edge.dependent for edge in cycle.edges] == heads[-1:] + heads[:-1], "the edges form a ring"
    assert all(theirs.has_edge(edge.dependent, edge.dependency) for edge in cycle.edges)
    part = theirs.subgraph(cycle.members)
    shortest = min(
        1 + nx.shortest_path_length(part, dependency, dependent)
        for dependent, dependency in part.edges
        if nx.has_path(part, dependency, dependent)
    )
    assert len(cycle.edges) == shortest


def test_a_chain_of_ten_thousand_does_not_meet_the_recursion_limit() -> None:
    count = 10_000
    chain = Graph(range(count), [Edge(n, n + 1) for n in range(count - 1)])
    assert len(chain.layers()) == count
    ring = Graph(range(count), [Edge(n, (n + 1) % count) for n in range(count)])
    (cycle,) = ring.cycles()
    assert len(cycle.edges) == count
    assert str(cycle).startswith("0 -> 1 -> 2 -> ")
    assert str(cycle).endswith(
        " -> 9 -> (9980 more) -> 9990 -> 9991 -> 9992 -> 9993 -> 9994 -> 9995 -> 9996 -> 9997 -> 9998 -> 9999 -> 0"
    )
    assert len(cycle.explain()) < 1000


@pytest.mark.parametrize("shape", ["layered", "ring with chords", "tangle"])
def test_ten_thousand_nodes_and_fifty_thousand_edges_take_well_under_a_second(shape: str) -> None:
    count = 10_000
    if shape == "layered":
        edges = [Edge(n, (n * 31 + k * 977) % n) for n in range(1, count) for k in range(5)]
    elif shape == "tangle":
        edges = [Edge(n, (n * 31 + k * 977 + 1) % count) for n in range(count) for k in range(5)]
    else:
        edges = [Edge(n, (n + 1) % count) for n in range(count)]
        edges += [Edge(n, n + 1 + k) for n in range(count - 5) for k in range(1, 5)]

    def all_of_it() -> None:
        big = Graph(range(count), edges)
        big.layers(), big.reverse_layers(), big.cycles(), big.held()

    costs_below(1.5, all_of_it)  # measured: 0.2 to 0.7 s
