"""What the report draws: the graph of tasks, links, names that are no markup, slices, layout, words."""

import copy
import itertools
import json
import re

import pytest

from kfp_ct.data import layouts
from kfp_ct.report import dag, layout
from kfp_ct.runs.events import State
from reporting import HOSTILE, SUMMARIES, UPSTREAM, Laboratory, Reader, not_drawn, with_evaluation


@pytest.fixture
def laboratory(tmp_path):
    return Laboratory(tmp_path)


def test_every_task_is_a_node_and_a_row(laboratory):
    run = laboratory.run()
    drawn = str(dag.draw(run.tasks))
    across, _, down = drawn.partition('<div class="dag narrow"')
    for name in UPSTREAM:
        assert across.count(f">{name}</text>") == 1
        assert down.count(f">{name}</text>") == 1
    assert across.count('<g class="node') == len(UPSTREAM)
    text = Reader(laboratory.written(run)[0]).text
    assert all(f"what {name} found" in text for name in UPSTREAM)


def test_states_differ_by_word_and_sign_not_only_by_colour(laboratory):
    run = laboratory.stopped("train", "no disk")
    run.task("ingest").state = State.CACHED
    drawn, _ = laboratory.written(run)
    text = Reader(drawn).text
    assert all(word in text for word in ("from cache", "succeeded", "failed", "skipped"))
    signs = re.findall(r'class="node (\w+)".*?<path class="sign"[^>]* d="([^"]+)"', drawn, re.DOTALL)
    assert len(set(signs)) == len({style for style, _ in signs}) == 4


def test_the_page_refers_to_nothing_outside_the_machine(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    reader = Reader(drawn)
    elsewhere = {address for address in reader.addresses if not re.match(r"#|logs/|\.\./", address)}
    assert elsewhere == {"model_card.html"}  # beside the page
    assert not re.search(r"@import|url\(|https?://", drawn)
    assert not {"script", "link", "img", "iframe"}.intersection(reader.tags)


def test_links_to_artifacts_survive_a_move_of_the_whole_folder(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    linked = [address for address in Reader(drawn).addresses if address.startswith("../")]
    assert linked
    assert all((laboratory.folder / address).exists() for address in linked)


def test_hostile_names_are_text(laboratory):
    run = laboratory.stopped("train", f"{HOSTILE}\nfix: {HOSTILE}")
    run.project = run.user = run.cause = run.commit = run.parameters["model_name"] = HOSTILE
    run.task("ingest").summary = HOSTILE
    run.tasks[1].name = HOSTILE
    run.task("train").upstream = [HOSTILE]
    drawn, _ = laboratory.written(run)
    assert "<script" not in drawn
    assert "alert('x')" in Reader(drawn).text


def test_hostile_data_is_text(laboratory):
    evil = json.loads(json.dumps(SUMMARIES[("evaluate", "evaluation", layouts.SUMMARY)]))
    evil["slices"][0]["slice"] = evil["slice_comparison"][0]["slice"] = evil["checks"][0]["reason"] = HOSTILE
    evil["compared_with"] = HOSTILE
    statistics = copy.deepcopy(SUMMARIES[("statistics", "statistics", layouts.SUMMARY)])
    statistics["splits"][0]["features"][1]["top_values"][0]["value"] = HOSTILE
    statistics["splits"][0]["features"][0]["name"] = HOSTILE
    summaries = with_evaluation(evil) | {("statistics", "statistics", layouts.SUMMARY): statistics}
    drawn, _ = laboratory.written(laboratory.run(summaries))
    assert "<script" not in drawn
    assert not_drawn(drawn) == []
    Reader(drawn)


def test_small_slices_are_folded_away_and_greatest_losses_come_first(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    part = drawn[drawn.index("<h2>Slices</h2>") : drawn.index("<h2>Curves</h2>")]
    order = [part.index(name) for name in ("carrier=WN", "origin=EWR", "1 slice of fewer than 500 rows", "carrier=OO")]
    assert order == sorted(order)


def test_less_is_better_for_a_loss(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    row = re.search(r"<th[^>]*>log loss</th>.*?</tr>", drawn, re.DOTALL)
    assert "better" in row.group()


class TestLayout:
    """The layered layout."""

    def test_every_edge_leads_to_a_later_layer(self):
        found = layout.arrange(UPSTREAM)
        assert found.edges
        assert all(found.places[edge.source].layer < found.places[edge.target].layer for edge in found.edges)

    def test_what_follows_from_other_edges_is_left_out(self):
        found = layout.arrange({"a": [], "b": ["a"], "c": ["a", "b"]})
        assert [(edge.source, edge.target) for edge in found.edges] == [("a", "b"), ("b", "c")]

    def test_an_edge_over_layers_bends_around_what_stands_there(self):
        found = layout.arrange(UPSTREAM)
        (edge,) = [edge for edge in found.edges if edge.source == "resolve-champion"]
        assert [bend.layer for bend in edge.bends] == [3, 4, 5, 6]
        taken = {(place.layer, place.lane) for place in found.places.values()}
        assert not taken.intersection((bend.layer, bend.lane) for bend in edge.bends)

    def test_nothing_overlaps(self):
        wide = {"root": [], **{f"leaf{n}": ["root"] for n in range(12)}, "end": [f"leaf{n}" for n in range(12)]}
        found = layout.arrange(wide)
        lanes = sorted(found.places[f"leaf{n}"].lane for n in range(12))
        assert all(after - before >= 1 - 1e-9 for before, after in itertools.pairwise(lanes))

    def test_names_that_are_no_tasks_are_ignored(self):
        assert layout.arrange({"a": ["condition-1"]}).edges == []

    def test_no_tasks_no_layout(self):
        assert layout.arrange({}).places == {}
