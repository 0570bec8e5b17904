"""Places the tasks of a DAG: layers by longest path, lanes by where their upstream stands.

A small form of Sugiyama's layered drawing (Sugiyama, Tagawa and Toda 1981), enough for pipelines of tens of tasks.
"""

import dataclasses
import graphlib
from collections.abc import Mapping, Sequence

# A task, or a bend of an edge (source, target) that passes a layer.
Vertex = str | tuple[str, str, int]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where something stands: its layer (0 is first) and its lane (neighbours are at least 1 apart)."""

    layer: int
    lane: float


@dataclasses.dataclass(frozen=True)
class Edge:
    """A dependency, with a bend in every layer that it passes."""

    source: str
    target: str
    bends: list[Place]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where every task stands and how the edges run; lanes begin at 0."""

    places: dict[str, Place]
    edges: list[Edge]


def arrange(upstream: Mapping[str, Sequence[str]]) -> Layout:
    """Arranges tasks.

    Args:
        upstream: Task to the tasks it waits for; names that are no tasks are ignored.

    Returns:
        A layout in which every edge leads to a later layer. Dependencies that follow from others are left out.

    Raises:
        graphlib.CycleError: The tasks wait for each other.
    """
    known = {task: [name for name in waits if name in upstream] for task, waits in upstream.items()}
    order = list(graphlib.TopologicalSorter(known).static_order())
    direct = _reduced(known, order)
    layers: dict[str, int] = {}
    for task in order:
        layers[task] = 1 + max((layers[name] for name in direct[task]), default=-1)
    lanes = _lanes(_ranks(direct, layers))
    edges = [
        Edge(source, target, [Place(n, lanes[source, target, n]) for n in range(layers[source] + 1, layers[target])])
        for target, sources in direct.items()
        for source in sources
    ]
    return Layout({task: Place(layers[task], lanes[task]) for task in upstream}, edges)


def _reduced(upstream: Mapping[str, Sequence[str]], order: Sequence[str]) -> dict[str, list[str]]:
    """Leaves out what a task waits for through another task anyway (transitive reduction)."""
    before: dict[str, set[str]] = {}
    for task in order:
        before[task] = set(upstream[task]).union(*(before[name] for name in upstream[task]))
    return {
        task: [name for name in dict.fromkeys(waits) if not any(name in before[other] for other in waits)]
        for task, waits in upstream.items()
    }


def _ranks(direct: Mapping[str, Sequence[str]], layers: Mapping[str, int]) -> list[dict[Vertex, list[Vertex]]]:
    """Lists the vertices of every layer with their neighbours in the layer before."""
    ranks: list[dict[Vertex, list[Vertex]]] = [{} for _ in range(1 + max(layers.values(), default=-1))]
    for task, sources in direct.items():
        neighbours: list[Vertex] = []
        for source in sources:
            last: Vertex = source
            for layer in range(layers[source] + 1, layers[task]):
                bend = (source, task, layer)
                ranks[layer][bend] = [last]
                last = bend
            neighbours.append(last)
        ranks[layers[task]][task] = neighbours
    return ranks


def _lanes(ranks: Sequence[Mapping[Vertex, Sequence[Vertex]]]) -> dict[Vertex, float]:
    """Puts every vertex as near to the middle of its neighbours as the vertices beside it allow."""
    lanes: dict[Vertex, float] = {}
    for rank in ranks:
        wanted = {
            vertex: sum(lanes[near] for near in nears) / len(nears) if nears else 0.0 for vertex, nears in rank.items()
        }
        ordered = sorted(rank, key=lambda vertex: wanted[vertex])
        lanes |= dict(zip(ordered, _spread([wanted[vertex] for vertex in ordered]), strict=True))
    first = min(lanes.values(), default=0.0)
    return {vertex: lane - first for vertex, lane in lanes.items()}


def _spread(wanted: Sequence[float]) -> list[float]:
    """Returns positions at least 1 apart, the nearest to those wanted (least squares, pooling adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for index, value in enumerate(wanted):
        shift, size = value - index, 1
        while pools and pools[-1][0] >= shift:
            other, count = pools.pop()
            shift, size = (other * count + shift * size) / (count + size), count + size
        pools.append((shift, size))
    shifts = [shift for shift, size in pools for _ in range(size)]
    return [shift + index for index, shift in enumerate(shifts)]
