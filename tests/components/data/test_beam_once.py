"""What Beam is spared: it gets the answers that it would have worked out, and no pipeline those of another."""

import bz2
import functools
import sys

import apache_beam as beam
import pytest
from apache_beam.coders import StrUtf8Coder
from apache_beam.internal import cloudpickle_pickler
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions
from apache_beam.transforms import core, userstate
from apache_beam.transforms.userstate import BagStateSpec

from kfp_ct.data import beam_once, beam_runner

PLAIN_SUBMODULES = cloudpickle._find_imported_submodules
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


NAMES = BagStateSpec("names", StrUtf8Coder())
STATE, SAME = beam.DoFn.StateParam(NAMES), beam.DoFn.StateParam(NAMES)


class Counted(beam.DoFn):
    def process(self, element, names=STATE):
        yield element


class Twice(beam.DoFn):
    def process(self, element, names=STATE, again=SAME):
        yield element


def test_state_is_found_of_each_class_and_of_what_an_object_has_itself():
    for _ in range(2):
        assert userstate.get_dofn_specs(Doubled()) == (set(), set())
        assert userstate.get_dofn_specs(Counted()) == ({NAMES}, set())
        userstate.get_dofn_specs(Counted())[0].clear()  # what it is given is its own
        # DoFns of one class, each around a method of its own.
        wrapped = [core.CallableWrapperDoFn(each) for each in (Doubled().process, Counted().process, str)]
        assert [userstate.get_dofn_specs(each)[0] for each in wrapped] == [set(), {NAMES}, set()]
        with pytest.raises(ValueError, match="duplicate process method parameters"):
            userstate.get_dofn_specs(Twice())


def test_submodules_are_those_that_cloudpickle_finds():
    import concurrent.futures
    import xml.etree.ElementTree

    def uses():
        return concurrent.futures.ThreadPoolExecutor, xml.etree.ElementTree.parse, beam.io.textio, sys.path

    given = (uses.__code__, [concurrent, xml, beam, sys, 3])
    ours = beam_once.imported_submodules(*given)
    names = {module.__name__ for module in ours}
    assert {"concurrent.futures", "xml.etree", "xml.etree.ElementTree", "apache_beam.io.textio"} <= names
    assert len(ours) == len(names)
    assert names == {module.__name__ for module in PLAIN_SUBMODULES(*given)}


@pytest.mark.parametrize("size", [0, 10, 74_999, 75_000, 300_000])
def test_what_is_compressed_is_what_was_given(size):
    content = bytes(number * number % 251 for number in range(size))
    packed = cloudpickle_pickler.bz2.compress(content, compresslevel=9)
    assert bz2.decompress(packed) == cloudpickle_pickler.bz2.decompress(packed) == content
    assert len(packed) == len(bz2.compress(content, 9))
