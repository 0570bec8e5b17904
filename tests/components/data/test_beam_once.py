"""What Beam is spared: it gets the answers that it would have worked out, and no pipeline those of another."""

import functools

import apache_beam as beam
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions
from apache_beam.transforms import core

from kfp_ct.data import beam_once, beam_runner

beam_once.remember()
asked = core.get_function_args_defaults


class Doubled(beam.DoFn):
    def process(self, element, times=beam.DoFn.TimestampParam, *more, unit="s"):
        yield 2 * element


def plain(self, first, second=3):
    return first


def test_arguments_are_those_of_the_signature_each_time():
    method = Doubled().process
    for _ in range(2):
        assert asked(method) == (["element", "times"], [beam.DoFn.TimestampParam])
        assert asked(Doubled.process) == (["self", "element", "times"], [beam.DoFn.TimestampParam])
        assert asked(functools.partial(plain, 1)) == (["first", "second"], [3])
        assert asked(plain) == (["self", "first", "second"], [3])
        asked(plain)[0].clear()  # what it is given is its own


def test_options_are_each_pipelines_own():
    first, second = (beam_runner.options(["--experiments=a", "--direct_num_workers=3"]) for _ in range(2))
    first.view_as(DebugOptions).experiments.append("b")
    first.view_as(DirectOptions).direct_num_workers = 5
    for options, experiments, workers in ((first, ["a", "b"], 5), (second, ["a"], 3)):
        assert options.view_as(DebugOptions).experiments == experiments
        assert options.view_as(DirectOptions).direct_num_workers == workers
        assert options.get_all_options()["direct_num_workers"] == workers
        assert isinstance(options.view_as(DebugOptions).view_as(DirectOptions), DirectOptions)
    assert first.view_as(PipelineOptions).get_all_options()["experiments"] == ["a", "b"]


def test_a_value_that_was_given_stands_over_the_flags():
    options = PipelineOptions(["--direct_num_workers=3"], direct_num_workers=7)
    assert options.view_as(DirectOptions).direct_num_workers == 7
