"""Placeholders: what a package holds is filled in, what a run hands through is not."""

import json

from kfp_ct.local.placeholders import fill_command, fill_constant

FACTS = {".pipeline_job_name": "job", ".workspace_path": "/home/ws"}
GIVEN = {
    "inputs": {
        "parameterValues": {"text": "a {{$}} b {{$.pipeline_job_name}}", "count": 3},
        "artifacts": {"data": {"artifacts": [{"uri": "/d", "metadata": {"rows": 5}}]}},
    },
    "outputs": {
        "parameters": {"Output": {"outputFile": "/o/Output"}},
        "artifacts": {"model": {"artifacts": [{"uri": "/o/model", "metadata": {}}]}},
        "outputFile": "/o/executor_output.json",
    },
}


def test_a_text_made_of_values_takes_them_as_they_are():
    constant = "{{$.inputs.parameters['pipelinechannel--x']}}, {{$.inputs.parameters['n']}} in {{$.pipeline_job_name}}"
    values = {"pipelinechannel--x": "{{$}} {{$.pipeline_job_name}}", "n": 5}
    assert fill_constant(constant, values, FACTS) == "{{$}} {{$.pipeline_job_name}}, 5 in job"


def test_constants_are_filled_in_deep_down_and_other_braces_stay():
    assert fill_constant({"a": ["{{$.workspace_path}}/x", 1, None]}, {}, FACTS) == {"a": ["/home/ws/x", 1, None]}
    assert fill_constant("a {{$}} {{$.unknown}} {{x}}", {}, FACTS) == "a {{$}} {{$.unknown}} {{x}}"
    assert fill_constant("/kfp-workspace/a", {}, FACTS) == "/home/ws/a"


def test_the_executor_input_is_filled_in_once():
    assert json.loads(fill_command("{{$}}", GIVEN, FACTS)) == GIVEN


def test_paths_lead_into_the_executor_input():
    asked = (
        "{{$.inputs.parameters['count']}} {{$.inputs.artifacts['data'].path}} {{$.inputs.artifacts['data'].uri}} "
        "{{$.inputs.artifacts['data'].metadata['rows']}} {{$.outputs.parameters['Output'].output_file}} "
        "{{$.outputs.artifacts['model'].path}} {{$.outputs.output_file}} {{$.inputs.parameters['none']}}"
    )
    assert fill_command(asked, GIVEN, FACTS) == "3 /d /d 5 /o/Output /o/model /o/executor_output.json null"


def test_a_list_of_artifacts_is_all_of_them_as_json():
    parts = [{"name": "a", "uri": "/a", "metadata": {"rows": 1}}, {"name": "b", "uri": "/b", "metadata": {}}]
    given = {"inputs": {"artifacts": {"parts": {"artifacts": parts}, "none": {"artifacts": []}}}, "outputs": {}}
    assert json.loads(fill_command("{{$.inputs.artifacts['parts']}}", given, FACTS)) == parts
    assert fill_command("{{$.inputs.artifacts['none']}}", given, FACTS) == "[]"
