"""The run's DAG as an SVG: left to right where there is room, top to bottom on a phone."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from kfp_ct.pages import formats
from kfp_ct.pages.markup import render
from kfp_ct.pages.plot import Point
from kfp_ct.report import states
from kfp_ct.report.layout import Edge, Layout, Place, arrange

if TYPE_CHECKING:
    from kfp_ct.runs.record import Task

_LETTER = 7.9  # pixels; generous for 12.5 px of the widest system fonts
_HEIGHT, _GAP = 46, 22
_WIDEST = 1460  # pixels; a wider drawing is scrolled instead of shrunk


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Layers and lanes in pixels. `along` runs from layer to layer, `across` from lane to lane."""

    starts: Sequence[float]
    sizes: Sequence[float]  # of every layer, along
    pitch: float
    thick: float  # of a task, across
    turned: bool  # along is downwards

    def at(self, along: float, across: float) -> Point:
        return (across, along) if self.turned else (along, across)

    def middle(self, place: Place) -> float:
        return place.lane * self.pitch + self.thick / 2

    def gates(self, place: Place) -> tuple[Point, Point]:
        """Where edges come in and go out."""
        start, across = self.starts[place.layer], self.middle(place)
        return self.at(start, across), self.at(start + self.sizes[place.layer], across)

    def box(self, place: Place) -> tuple[Point, Point]:
        """Corner and size of a task."""
        size = self.at(self.sizes[place.layer], self.thick)
        return self.at(self.starts[place.layer], place.lane * self.pitch), size


@dataclasses.dataclass(frozen=True)
class Node:
    """A task as drawn: its corner, its size and what is written in it."""

    x: float
    y: float
    width: float
    height: float
    look: states.Look
    name: str
    time: str
    about: str  # shown on hovering
    href: str  # empty if it leads nowhere


@dataclasses.dataclass(frozen=True)
class Arrow:
    """A dependency as drawn: the paths of its line and of its tip."""

    path: str
    tip: str


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The graph in one direction."""

    width: int
    height: int
    label: str
    arrows: Sequence[Arrow]
    nodes: Sequence[Node]


@dataclasses.dataclass(frozen=True)
class Graph:
    """The graph from left to right and from top to bottom."""

    wide: Drawing
    narrow: Drawing
    scrolled: bool  # too wide to be shrunk to a page
    linked: bool  # some task leads somewhere


def draw(tasks: Sequence["Task"], links: Mapping[str, str] | None = None) -> Markup:
    """Draws the tasks with their states and times; a style sheet shows the drawing that fits the page's width.

    Args:
        tasks: The tasks of a run.
        links: Name of a task to the address that it leads to.
    """
    return _rendered(lay_out(tasks, links or {}))


def draw_pipeline(tasks: Sequence["Task"]) -> Markup:
    """Draws the tasks of a pipeline that nobody has run: without states and times."""
    graph = lay_out(tasks, {})
    if graph:
        wide, narrow = (_stateless(tasks, drawing) for drawing in (graph.wide, graph.narrow))
        graph = dataclasses.replace(graph, wide=wide, narrow=narrow)
    return _rendered(graph)


def _rendered(graph: Graph | None) -> Markup:
    return render("report/dag.html", graph=graph) if graph else Markup()


def _stateless(tasks: Sequence["Task"], drawing: Drawing) -> Drawing:
    plain = states.Look("plain", "", "", "")
    nodes = [
        dataclasses.replace(node, look=plain, time="", about=task.name)
        for task, node in zip(tasks, drawing.nodes, strict=True)
    ]
    label = "steps of the pipeline: " + "; ".join(task.name for task in tasks)
    return dataclasses.replace(drawing, nodes=nodes, label=label)


def lay_out(tasks: Sequence["Task"], links: Mapping[str, str]) -> Graph | None:
    """Returns the graph of the tasks in pixels; None if there are none."""
    layout = arrange({task.name: task.upstream for task in tasks})
    if not layout.places:
        return None
    across = _across_page(layout)
    wide, narrow = (_drawing(tasks, layout, grid, links) for grid in (across, _down_page(layout)))
    return Graph(wide, narrow, across.starts[-1] + across.sizes[-1] > _WIDEST, bool(links))


def _across_page(layout: Layout) -> _Grid:
    sizes = [max(76, max(len(name) for name in names) * _LETTER + 24) for names in _layers(layout)]
    return _Grid(_starts(sizes), sizes, _HEIGHT + 16, _HEIGHT, turned=False)


def _down_page(layout: Layout) -> _Grid:
    sizes = [float(_HEIGHT)] * len(_layers(layout))
    wide = max(len(name) for name in layout.places) * _LETTER + 24
    return _Grid(_starts(sizes), sizes, wide + 12, wide, turned=True)


def _layers(layout: Layout) -> list[list[str]]:
    last = max(place.layer for place in layout.places.values())
    return [[name for name, place in layout.places.items() if place.layer == layer] for layer in range(last + 1)]


def _starts(sizes: Sequence[float]) -> list[float]:
    return list(itertools.accumulate((size + _GAP for size in sizes[:-1]), initial=1.0))


def _drawing(tasks: Sequence["Task"], layout: Layout, grid: _Grid, links: Mapping[str, str]) -> Drawing:
    lanes = [place.lane for place in [*layout.places.values(), *(p for e in layout.edges for p in e.bends)]]
    width, height = grid.at(grid.starts[-1] + grid.sizes[-1] + 2, max(lanes) * grid.pitch + grid.thick + 2)
    return Drawing(
        round(width),
        round(height) + 1,
        "steps of the run: " + "; ".join(f"{task.name} {_state(task)}" for task in tasks),
        [_arrow(edge, layout, grid) for edge in layout.edges],
        [_node(task, grid.box(layout.places[task.name]), links.get(task.name, "")) for task in tasks],
    )


def _arrow(edge: Edge, layout: Layout, grid: _Grid) -> Arrow:
    stops = [grid.gates(place) for place in (layout.places[edge.source], *edge.bends, layout.places[edge.target])]
    path = f"M{_pair(stops[0][1])}"
    for (_, leave), (enter, through) in itertools.pairwise(stops):
        path += _bow(leave, enter, grid.turned)
        if enter != stops[-1][0]:
            path += f"L{_pair(through)}"
    (x, y), (back, side) = stops[-1][0], (6, 3.5)
    wings = (
        ((x - side, y - back), (x + side, y - back)) if grid.turned else ((x - back, y - side), (x - back, y + side))
    )
    return Arrow(path, f"M{_pair(wings[0])}L{_pair((x, y))}L{_pair(wings[1])}Z")


def _bow(start: Point, end: Point, turned: bool) -> str:
    (x0, y0), (x1, y1) = start, end
    half = ((x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)) if turned else (((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1))
    return f"C{_pair(half[0])} {_pair(half[1])} {_pair(end)}"


def _node(task: "Task", box: tuple[Point, Point], href: str) -> Node:
    (x, y), (width, height) = box
    about = f"{task.name}: {_state(task)}" + (f"\n{task.summary}" if task.summary else "")
    return Node(x, y, width, height, states.look(task.state), task.name, _time(task), about, href)


def _time(task: "Task") -> str:
    look = states.look(task.state)
    return formats.duration(task.seconds) if states.ended(task.state) else look.word


def _state(task: "Task") -> str:
    word = states.look(task.state).word
    return f"{word}, {formats.duration(task.seconds)}" if states.ended(task.state) else word


def _pair(point: Point) -> str:
    return f"{formats.px(point[0])} {formats.px(point[1])}"
