"""Pipelines with what kfp's compiler can write into a package: one construct, or one combination, each.

The constructs are those of the packages that Kubeflow tests itself with (kubeflow/pipelines, test_data), made
deterministic, so that state and outputs can be held to plain kfp.local's.
"""

# ruff: noqa: B006, SIM117, UP006, UP014, UP035, UP045 - kfp reads these annotations and defaults itself
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from kfp import compiler, components, dsl

IMAGE = "python:3.11"
PIPELINES = {}
FAILING = set()


def component(function):
    return dsl.component(base_image=IMAGE, install_kfp_package=False)(function)


def construct(fails=False, **options):
    """Keeps a pipeline by its function's name, to be made when it is wanted; one that fails by its tasks says so."""

    def kept(function):
        name = function.__name__
        PIPELINES[name] = lambda: dsl.pipeline(name=name.replace("_", "-"), **options)(function)
        FAILING.update([name] if fails else [])
        return function

    return kept


@component
def echo(text: str) -> str:
    return text


@component
def show(text: str = "default", second: Optional[str] = None, third: Optional[int] = None) -> str:
    return f"{text}|{second}|{third}"


@component
def with_default(text: str = "nothing came") -> str:
    return text


@component
def double(num: int) -> int:
    return 2 * num


@component
def add(nums: List[int]) -> int:
    return sum(nums)


@component
def add_three(a: int, b: int, c: int) -> int:
    return a + b + c


@component
def add_nested(nums: List[List[int]]) -> int:
    return sum(sum(each) for each in nums)


@component
def as_json(value: dict) -> str:
    import json

    return json.dumps(value, sort_keys=True)


@component
def list_as_json(value: list) -> str:
    import json

    return json.dumps(value, sort_keys=True)


@component
def fail(text: str = "bad") -> str:
    raise ValueError(text)


@component
def write(text: str, out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write(text)
    out.metadata["length"] = len(text)


@component
def read(given: dsl.Input[dsl.Artifact]) -> str:
    return open(given.path).read() + str(given.metadata.get("length", ""))


@component
def read_optional(given: Optional[dsl.Input[dsl.Artifact]] = None) -> str:
    return "none" if given is None else given.uri


@component
def read_all(several: List[dsl.Dataset]) -> str:
    return ",".join(open(each.path).read() for each in several)


@component
def make(text: str) -> dsl.Dataset:
    made = dsl.Dataset(uri=dsl.get_uri(), metadata={"length": len(text)})
    with open(made.path, "w") as file:
        file.write(text)
    return made


@component
def structs() -> List[Dict[str, str]]:
    return [{"A_a": "1", "B_b": "2"}, {"A_a": "10", "B_b": "20"}]


@component
def deep_structs() -> list:
    return [{"A_a": "heads", "B_b": ["2", "20"]}, {"A_a": "tails", "B_b": ["22", "222"]}]


@component
def final_state(status: dict) -> str:
    return status["state"]


@component
def told(status: dsl.PipelineTaskFinalStatus, prefix: str = "") -> str:
    return f"{prefix}{status.pipeline_task_name} {status.state}"


@construct()
def optional_inputs(text: Optional[str] = None, number: Optional[int] = None) -> str:
    show(text="given", second="World")
    show()
    return show(second=text, third=number).output


@dsl.pipeline
def optional_child(text: Optional[str] = None, flag: Optional[bool] = None, things: Optional[list] = None) -> str:
    return show(second=text).output


@construct()
def optional_inputs_of_a_nested_pipeline(text: Optional[str] = None, other: str = "x") -> NamedTuple(
    "Outputs", [("nil", str), ("given", str), ("handed", str)]
):
    outputs = NamedTuple("Outputs", [("nil", str), ("given", str), ("handed", str)])
    return outputs(optional_child().output, optional_child(text=other).output, optional_child(text=text).output)


@dsl.pipeline
def optional_artifact(given: Optional[dsl.Input[dsl.Dataset]] = None) -> str:
    return read_optional(given=given).output


@construct()
def optional_artifacts(given: Optional[dsl.Input[dsl.Dataset]] = None) -> NamedTuple(
    "Outputs", [("imported", str), ("nothing", str), ("handed", str)]
):
    imported = dsl.importer(artifact_uri="gs://bucket/shakespeare.txt", artifact_class=dsl.Dataset)
    outputs = NamedTuple("Outputs", [("imported", str), ("nothing", str), ("handed", str)])
    return outputs(
        optional_artifact(given=imported.output).output,
        optional_artifact().output,
        optional_artifact(given=given).output,
    )


@construct()
def branches_in_a_loop(drumroll: bool = True, repeat: bool = True, trials: List[int] = [1, 2, 3]) -> int:
    with dsl.ParallelFor(trials) as trial:
        number = double(num=trial)
        with dsl.If(drumroll == True):  # noqa: E712 - kfp's condition
            with dsl.If(trial == 3):
                echo(text="drumroll")
        with dsl.If(number.output < 4):
            parity = echo(text="even")
            with dsl.If(parity.output == "even"):
                first = echo(text="low even")
            with dsl.Else():
                second = echo(text="low odd")
            echo(text=dsl.OneOf(first.output, second.output))
        with dsl.Elif(number.output > 4):
            echo(text="high")
        with dsl.Else():
            echo(text="lucky")
            with dsl.If(repeat == True):  # noqa: E712
                with dsl.ParallelFor([1, 2]):
                    echo(text="again")
    return add(nums=dsl.Collected(number.output)).output


@dsl.pipeline
def one_of_two(side: str = "heads") -> dsl.Dataset:
    with dsl.If(echo(text=side).output == "heads"):
        first = write(text="was heads")
    with dsl.Else():
        second = write(text="was tails")
    chosen = dsl.OneOf(first.outputs["out"], second.outputs["out"])
    read(given=chosen)
    return chosen


@construct()
def one_of_artifacts() -> NamedTuple("Outputs", [("first", str), ("second", str), ("whole", dsl.Dataset)]):
    heads, tails = one_of_two(), one_of_two(side="tails")
    outputs = NamedTuple("Outputs", [("first", str), ("second", str), ("whole", dsl.Dataset)])
    return outputs(read(given=heads.output).output, read(given=tails.output).output, tails.output)


@component
def add_datasets(several: dsl.Input[List[dsl.Dataset]], out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write(str(sum(int(open(each.path).read()) for each in several)))


@component
def double_dataset(num: int, out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write(str(2 * num))


@dsl.pipeline
def two_lists(first: dsl.Input[List[dsl.Dataset]], second: dsl.Input[List[dsl.Dataset]]) -> str:
    one, two = add_datasets(several=first), add_datasets(several=second)
    return show(text=read(given=one.outputs["out"]).output, second=read(given=two.outputs["out"]).output).output


@construct()
def lists_of_artifacts(threshold: int = 2) -> NamedTuple("Outputs", [("sum", str), ("all", List[dsl.Dataset])]):
    with dsl.ParallelFor([1, 2, 3]) as x:
        first = double_dataset(num=x)
        with dsl.ParallelFor([1, 2, 3]) as y, dsl.If(y >= threshold):
            second = double_dataset(num=y)
    joined = two_lists(first=dsl.Collected(first.outputs["out"]), second=dsl.Collected(second.outputs["out"]))
    outputs = NamedTuple("Outputs", [("sum", str), ("all", List[dsl.Dataset])])
    return outputs(joined.output, dsl.Collected(first.outputs["out"]))


@construct()
def collected_under_a_condition(threshold: int = 2) -> List[int]:
    with dsl.ParallelFor([1, 2, 3]) as x, dsl.If(x >= threshold):
        some = double(num=x)
    with dsl.If(threshold == 2):
        add(nums=dsl.Collected(some.output))
    return dsl.Collected(some.output)


@dsl.pipeline
def double_pipeline(num: int) -> int:
    return double(num=num).output


@dsl.pipeline
def add_pipeline(nums: List[List[int]]) -> NamedTuple("Outputs", [("total", int), ("letters", List[str])]):
    with dsl.ParallelFor(["m", "a", "t", "h"]) as letter:
        said = echo(text=letter)
    outputs = NamedTuple("Outputs", [("total", int), ("letters", List[str])])
    return outputs(add_nested(nums=nums).output, dsl.Collected(said.output))


@construct()
def collected_from_nested_pipelines() -> NamedTuple("Outputs", [("total", int), ("letters", str)]):
    with dsl.ParallelFor([1, 2, 3]), dsl.ParallelFor([1, 2, 3]) as y:
        doubled = double_pipeline(num=y)
    added = add_pipeline(nums=dsl.Collected(doubled.output))
    outputs = NamedTuple("Outputs", [("total", int), ("letters", str)])
    return outputs(added.outputs["total"], list_as_json(value=added.outputs["letters"]).output)


@construct()
def collected_and_returned() -> List[int]:
    with dsl.ParallelFor([1, 2, 3]) as x:
        doubled = double(num=x)
    return dsl.Collected(doubled.output)


@construct()
def collected_in_later_loops() -> int:
    with dsl.ParallelFor([1, 2, 3]) as a:
        first = double(num=a)
        with dsl.ParallelFor([4, 5, 6]) as b:
            second = double(num=b)
        add(nums=dsl.Collected(second.output))
    add_nested(nums=dsl.Collected(second.output))
    with dsl.ParallelFor([0, 0, 0]):
        third = add(nums=dsl.Collected(first.output))
        fourth = add_nested(nums=dsl.Collected(second.output))
    one, two = add(nums=dsl.Collected(third.output)), add(nums=dsl.Collected(fourth.output))
    with dsl.ParallelFor([1, 2]) as x, dsl.ParallelFor([10, 20]) as y:
        joined = add_three(a=x, b=y, c=two.output)
    add_nested(nums=dsl.Collected(joined.output))
    return double(num=one.output).output


@dsl.pipeline
def notify(status: dsl.PipelineTaskFinalStatus):
    with dsl.If(final_state(status=status).output == "FAILED"):
        echo(text="failed")
    with dsl.Else():
        echo(text="went well")


@construct(fails=True)
def pipeline_as_exit_task(message: str = "Hello"):
    with dsl.ExitHandler(notify(), name="body"):
        echo(text=message)
        fail(text="Task failed.")


@construct()
def exit_task_after_success(message: str = "Hello"):
    with dsl.ExitHandler(told(prefix=message), name="body"):
        echo(text=message)


@construct(fails=True)
def several_exit_handlers(message: str = "Hello"):
    with dsl.ExitHandler(told(prefix="1 ")):
        echo(text=message)
    with dsl.ExitHandler(told(prefix="2 ")):
        fail(text=message)
    with dsl.ExitHandler(notify()):
        echo(text=message)


@construct()
def patient_of_what_went_well() -> str:
    first = echo(text="x")
    return with_default(text=first.output).ignore_upstream_failure().output


@construct(fails=True)
def patient_with_a_default_for_what_failed():
    failing = fail(text="x")
    with_default(text=failing.output).ignore_upstream_failure()


@dsl.pipeline
def greet(msg: str):
    said = echo(text=msg)
    with dsl.If(said.output == "Hello"):
        echo(text="world")
    with dsl.If(said.output != "Hello"):
        echo(text="Bye!")


@construct()
def nested_pipelines_in_a_loop(msg: str = "Hello"):
    echo(text=msg)
    with dsl.ParallelFor(["Hello", "world!"]) as item:
        greet(msg=item)


@construct()
def importers(name: str = "n", uri: str = "gs://bucket/a.txt") -> NamedTuple(
    "Outputs", [("a", dsl.Dataset), ("b", str)]
):
    first = dsl.importer(
        artifact_uri=uri,
        artifact_class=dsl.Dataset,
        reimport=False,
        metadata={"name": name, "spec": {"image": uri}, "number": 5, "rate": 0.5, "flag": True},
    )
    made = echo(text="made")
    second = dsl.importer(
        artifact_uri=made.output,
        artifact_class=dsl.Model,
        metadata={"list": [made.output, f"<{name}>"], made.output: made.output},
    )
    with dsl.If(made.output == "made"):
        third = dsl.importer(artifact_uri=f"{uri}.{name}", artifact_class=dsl.Dataset, reimport=True)
        read_optional(given=third.output)
    outputs = NamedTuple("Outputs", [("a", dsl.Dataset), ("b", str)])
    return outputs(first.output, read_optional(given=second.output).output)


@component
def write_folder(text: str, out: dsl.Output[dsl.Dataset]):
    from pathlib import Path

    Path(out.path).mkdir()
    for name in ("b", "a"):
        Path(out.path, name).write_text(name + text)


@component
def uri_of(given: dsl.Input[dsl.Dataset]) -> str:
    return given.uri


@component
def read_any(given: dsl.Input[dsl.Dataset]) -> str:
    from pathlib import Path

    path = Path(given.path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return "+".join(file.read_text() for file in files)


@dsl.pipeline
def import_three(first: str, second: str, folder: str) -> str:
    tasks = [
        dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset, reimport=bool(n), download_to_workspace=True)
        for n, uri in enumerate((first, second, folder))
    ]
    # What is read was imported before the last import, which must not replace it.
    texts = [read_any(given=task.output).after(*tasks) for task in tasks]
    return echo(text=f"{texts[0].output}|{texts[1].output}|{texts[2].output}").output


@construct(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def imported_into_a_workspace() -> str:
    uris = [uri_of(given=write(text=text).output).output for text in ("one", "two")]
    return import_three(first=uris[0], second=uris[1], folder=uri_of(given=write_folder(text="x").output).output).output


@construct()
def loops_over_structs(names: List[str] = ["a", "b"]) -> str:
    with dsl.ParallelFor(names) as name:
        echo(text=name)
    with dsl.ParallelFor(structs().output) as item:
        whole = as_json(value=item)
    with dsl.ParallelFor(structs().output) as item:
        echo(text=item.A_a)
    return list_as_json(value=dsl.Collected(whole.output)).output


@construct()
def loops_and_conditions(
    msg: str = "hello",
    items: list = [{"A_a": "heads", "B_b": ["A", "B"]}, {"A_a": "tails", "B_b": ["X", "Y"]}],
) -> str:
    flip = echo(text="heads")
    outer = deep_structs()
    with dsl.If(flip.output != "no-such-result"):
        inner = deep_structs()
        with dsl.ParallelFor(outer.output) as item:
            echo(text=msg)
            with dsl.If(item.A_a == "heads"):
                show(text=item.B_b)
            with dsl.If(flip.output == "heads"):
                show(text=item.B_b)
            with dsl.If(item.A_a == "tails"), dsl.ParallelFor([{"a": "-1"}, {"a": "-2"}]) as inner_item:
                as_json(value=inner_item)
            with dsl.ParallelFor(item.B_b) as one:
                echo(text=one)
            with dsl.ParallelFor(items) as handed:
                show(text=handed)
                with dsl.ParallelFor(inner.output) as each:
                    show(text=handed, second=each.A_a)
            with dsl.ParallelFor(["1", "2"]) as static, dsl.If(static == "1"):
                echo(text="1")
    with dsl.ParallelFor(items) as item, dsl.If(item.A_a == "heads"), dsl.ParallelFor(item.B_b) as one:
        echo(text=one)
    return flip.output


@construct()
def numbers_in_conditions(number: int = 7, rate: float = 0.25, flag: bool = True, text: str = "it's") -> str:
    with dsl.If(number > 5):
        with dsl.If(double(num=number).output <= 14):
            first = echo(text=f"{number} > 5")
        with dsl.Else():
            second = echo(text="no")
        inner = dsl.OneOf(first.output, second.output)
        shown = show(text=inner)
    with dsl.Else():
        other = echo(text="small")
    with dsl.If(rate < 0.5):
        echo(text="rare")
    with dsl.If(flag == False):  # noqa: E712
        echo(text="never")
    with dsl.If(text != "its"):
        echo(text="quoted")
    return dsl.OneOf(shown.output, other.output)


@dsl.pipeline
def make_all(texts: List[str] = ["Hello", ",", "world!"]) -> List[dsl.Dataset]:
    with dsl.ParallelFor(texts) as text:
        made = write(text=text)
    return dsl.Collected(made.outputs["out"])


@construct()
def loops_over_artifacts() -> NamedTuple("Outputs", [("joined", str), ("each", List[str])]):
    made = make_all()
    with dsl.ParallelFor(items=made.output) as item:
        one = read(given=item)
    outputs = NamedTuple("Outputs", [("joined", str), ("each", List[str])])
    return outputs(read_all(several=made.output).output, dsl.Collected(one.output))


@construct()
def parallelism(names: List[str] = ["a", "b"]) -> List[int]:
    with dsl.ParallelFor(items=names, parallelism=2) as name:
        echo(text=name)
        with dsl.ParallelFor(items=names) as nested:
            echo(text=nested)
    with dsl.ParallelFor(items=[{"A": "1", "B": "2"}, {"A": "10", "B": "20"}], parallelism=0) as item:
        echo(text=item.A)
        with dsl.ParallelFor(items=[{"A": "10", "B": "20"}], parallelism=1) as inner:
            show(text=inner.A, second=inner.B)
    with dsl.ParallelFor([{"a": 1, "b": 2}, {"a": 2, "b": 3}], parallelism=1) as pair:
        doubled = double(num=pair.a)
    return dsl.Collected(doubled.output)


@construct()
def empty_loops(names: List[str] = []) -> NamedTuple("Outputs", [("names", List[str]), ("count", int)]):
    with dsl.ParallelFor(names) as name:
        said = echo(text=name)
        number = double(num=3)
    outputs = NamedTuple("Outputs", [("names", List[str]), ("count", int)])
    return outputs(dsl.Collected(said.output), add(nums=dsl.Collected(number.output)).output)


@construct()
def texts_made_of_values(name: str = "KFP", number: int = 3, rate: float = 0.5, flag: bool = True) -> str:
    said = echo(text=f"Hello {name}")
    echo(text=f"{said.output}, again: {number} {rate} {flag}")
    listed = list_as_json(value=[f"Hello {name}", number])
    mapped = as_json(value={"x": f"How are you, {name}?", "n": [number, {"deep": said.output}]})
    with dsl.ParallelFor(["Hi", "Howdy"]) as greeting:
        echo(text=f"{greeting}, {name}")
        list_as_json(value=[f"Hello {greeting}"])
    return show(text=listed.output, second=mapped.output).output


@construct()
def resources_of_other_tasks(memory: str = "15G") -> int:
    task = add(nums=[1, 2])
    task.set_cpu_limit(echo(text="4000m").output)
    task.set_memory_limit(memory)
    task.set_cpu_request("100m").set_memory_request("1G")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    task.set_display_name("a sum").set_caching_options(False)
    return task.output


@component
def split(given: dsl.Dataset) -> NamedTuple("outputs", first=dsl.Dataset, second=dsl.Dataset):
    with open(given.path) as file:
        text = file.read()
    first = dsl.Dataset(uri=dsl.get_uri(suffix="first"), metadata={"of": len(text)})
    second = dsl.Dataset(uri=dsl.get_uri(suffix="second"), metadata={"of": len(text)})
    for made, part in ((first, text[:3]), (second, text[3:])):
        with open(made.path, "w") as file:
            file.write(part)
    outputs = NamedTuple("outputs", first=dsl.Dataset, second=dsl.Dataset)
    return outputs(first=first, second=second)


BOTH = NamedTuple("BOTH", first=dsl.Dataset, second=dsl.Dataset)


@dsl.pipeline
def split_pipeline(given: dsl.Dataset) -> BOTH:
    task = split(given=given)
    return BOTH(task.outputs["first"], task.outputs["second"])


@construct()
def returned_artifacts() -> NamedTuple("Outputs", first=dsl.Dataset, text=str):
    halves = split_pipeline(given=make(text="Hello, world").output)
    outputs = NamedTuple("Outputs", first=dsl.Dataset, text=str)
    return outputs(halves.outputs["first"], read(given=halves.outputs["second"]).output)


@component
def preprocess(
    message: str,
    numbers: Dict[str, int],
    words: List[str],
    one: dsl.Output[dsl.Dataset],
    two_path: dsl.OutputPath("Dataset"),
    text_path: dsl.OutputPath(str),
    flag_path: dsl.OutputPath(bool),
    rate_path: dsl.OutputPath(float),
    dict_path: dsl.OutputPath(Dict[str, int]),
    list_path: dsl.OutputPath(List[str]),
):
    import json

    contents = {
        one.path: message, two_path: message, text_path: message, flag_path: str(True), rate_path: "0.5",
        dict_path: json.dumps(numbers), list_path: json.dumps(words),
    }  # fmt: skip
    for path, content in contents.items():
        with open(path, "w") as file:
            file.write(content)


@component
def train(
    one_path: dsl.InputPath("Dataset"),
    two: dsl.Input[dsl.Dataset],
    text: str,
    flag: bool,
    rate: float,
    numbers: Dict[str, int],
    words: List[str],
    model: dsl.Output[dsl.Model],
    steps: int = 100,
) -> str:
    model.metadata["accuracy"] = 0.9
    model.framework = "none"
    read = [open(path).read() for path in (one_path, two.path)]
    with open(model.path, "w") as file:
        file.write(f"{read} {text} {flag!r} {rate!r} {numbers} {words} {steps!r}")
    return open(model.path).read()


@construct()
def outputs_by_path(message: str = "m", numbers: Dict[str, int] = {"A": 1, "B": 2}) -> NamedTuple(
    "Outputs", text=str, model=dsl.Model
):
    made = preprocess(message=message, numbers=numbers, words=["a", "b"])
    trained = train(
        one_path=made.outputs["one"],
        two=made.outputs["two_path"],
        text=made.outputs["text_path"],
        flag=made.outputs["flag_path"],
        rate=made.outputs["rate_path"],
        numbers=made.outputs["dict_path"],
        words=made.outputs["list_path"],
    )
    return NamedTuple("Outputs", text=str, model=dsl.Model)(trained.outputs["Output"], trained.outputs["model"])


@component
def text_as_artifact(number: int, message: str) -> dsl.Dataset:
    return "\n".join([message] * number)


@component
def several(
    given: dsl.Input[dsl.Dataset],
) -> NamedTuple("Outputs", [("scalar", str), ("count", int), ("metrics", dsl.Metrics), ("model", dsl.Model)]):
    import json
    from collections import namedtuple

    output = namedtuple("Outputs", ["scalar", "count", "metrics", "model"])
    return output("123", 4, json.dumps({"accuracy": 0.9}), "of " + open(given.path).read())


@construct()
def several_outputs(first: str = "a", number: int = 2) -> NamedTuple("Outputs", text=str, model=dsl.Model, count=int):
    made = several(given=text_as_artifact(number=number, message=first).output)
    outputs = NamedTuple("Outputs", text=str, model=dsl.Model, count=int)
    return outputs(read(given=made.outputs["model"]).output, made.outputs["model"], made.outputs["count"])


@component
def measure(
    metrics: dsl.Output[dsl.Metrics],
    curve: dsl.Output[dsl.ClassificationMetrics],
    page: dsl.Output[dsl.HTML],
    notes: dsl.Output[dsl.Markdown],
    sliced: dsl.Output[dsl.SlicedClassificationMetrics],
):
    metrics.log_metric("accuracy", 0.9)
    curve.log_roc_curve([0.0, 1.0], [0.0, 1.0], [0.9, 0.1])
    curve.log_confusion_matrix(["a", "b"], [[1, 2], [3, 4]])
    for artifact, text in ((page, "<h1>Hello</h1>"), (notes, "## Hello")):
        with open(artifact.path, "w") as file:
            file.write(text)


@construct()
def metrics_and_pages() -> NamedTuple("Outputs", metrics=dsl.Metrics, page=dsl.HTML, curve=dsl.ClassificationMetrics):
    made = measure()
    outputs = NamedTuple("Outputs", metrics=dsl.Metrics, page=dsl.HTML, curve=dsl.ClassificationMetrics)
    return outputs(made.outputs["metrics"], made.outputs["page"], made.outputs["curve"])


@construct()
def after_a_loop() -> str:
    with dsl.ParallelFor([1, 2, 3]):
        one = echo(text="foo")
    two = echo(text="bar").after(one)
    return echo(text="baz").after(one, two).output


@construct()
def after_across_loops():
    with dsl.ParallelFor([1, 2, 3]):
        one = echo(text="one")
    with dsl.ParallelFor([1, 2, 3]) as item:
        two = echo(text=f"two {item}").after(one)
    with dsl.ParallelFor([1, 2, 3]):
        with dsl.ParallelFor(["a", "b"]):
            three = echo(text="three")
        echo(text="four").after(three)
        with dsl.ParallelFor(["a", "b"]):
            echo(text="five").after(two)


@component
def model_of(data: dsl.Dataset, number: str, results: dsl.Output[dsl.Model]):
    with open(results.path, "w") as file:
        file.write(f"{open(data.path).read()}-{number}")
    results.metadata["of"] = number


@component
def models_text(models: List[dsl.Model]) -> str:
    return ",".join(open(each.path).read() for each in models)


@component
def words_of(text: str) -> list:
    return text.split(",")


@dsl.pipeline
def one_dataset(text: str) -> dsl.Dataset:
    return write(text=text).outputs["out"]


@dsl.pipeline
def collecting(numbers: str = "", letters: str = "") -> List[dsl.Model]:
    letters_task = words_of(text=letters)
    with dsl.ParallelFor(words_of(text=numbers).output) as number:
        read(given=write(text=number).outputs["out"])
        with dsl.ParallelFor(letters_task.output) as letter:
            data = one_dataset(text=letter)
            made = model_of(data=data.output, number=number)
        models_text(models=dsl.Collected(made.outputs["results"]))
        read_all(several=dsl.Collected(data.output))
    return dsl.Collected(made.outputs["results"])


@construct()
def artifacts_collected_in_loops() -> str:
    return models_text(models=collecting(numbers="s1,s2", letters="x,y,z").output).output


@construct()
def reused_components() -> int:
    first = double(num=1)
    second = double(num=first.output)
    return double(num=second.output).output


@construct()
def defaults_of_all_types(
    text: str = "",
    whole: int = 0,
    rate: float = 1.0,
    flag: bool = False,
    listed: list = [1, "a", {"b": [True, 0.5]}],
    mapped: dict = {"a": 1, "b": {"c": [1.5]}},
    large: int = 2**40,
    small: float = 1e-7,
) -> str:
    return (
        show(
            text=f"{text}{whole}{rate}{flag}{large}{small}",
            second=list_as_json(value=listed).output,
            third=whole,
        )
        .after(as_json(value=mapped))
        .output
    )


class Custom(dsl.Artifact):
    schema_title = "system.Custom"
    schema_version = "0.0.1"


@component
def uri_of_its_own(out: dsl.Output[dsl.Artifact]) -> str:
    out.uri = "s3://bucket/somewhere"
    out.metadata["rows"] = 5
    out.metadata["shape"] = {"a": [1, 2]}
    return out.uri


@construct()
def artifacts_elsewhere() -> NamedTuple("Outputs", whole=dsl.Artifact, uri=str):
    made = uri_of_its_own()
    outputs = NamedTuple("Outputs", whole=dsl.Artifact, uri=str)
    return outputs(made.outputs["out"], read_optional(given=made.outputs["out"]).output)


@construct()
def retried_and_patient(text: str = "a") -> str:
    tried = echo(text=text).set_retry(num_retries=2, backoff_duration="0s", backoff_factor=2)
    with dsl.If(tried.output == "a"):
        echo(text="x").set_retry(1)
    return tried.output


@construct(fails=True)
def failing_in_a_nested_loop():
    with dsl.ParallelFor([1, 2]) as item:
        with dsl.If(item == 2):
            fail(text="two")
        echo(text="beside")
    echo(text="apart")


@construct(fails=True)
def failing_branch_with_one_of() -> str:
    with dsl.If(echo(text="a").output == "a"):
        first = fail()
    with dsl.Else():
        second = echo(text="b")
    return show(text=dsl.OneOf(first.output, second.output)).output


@component
def concat(first: str, second: str) -> str:
    return first + second


def loaded(pipeline):
    """Returns a pipeline as one gets it that is loaded from its package."""
    with tempfile.TemporaryDirectory() as folder:
        compiler.Compiler().compile(pipeline, f"{folder}/package.yaml")
        return components.load_component_from_text(Path(folder, "package.yaml").read_text())


@construct()
def loaded_from_packages() -> NamedTuple("Outputs", text=str, whole=str):
    split_again = loaded(split_pipeline)
    joined = loaded(concat)(first="a", second="b")
    halves = split_again(given=make(text="Hello").output)
    outputs = NamedTuple("Outputs", text=str, whole=str)
    return outputs(read(given=halves.outputs["first"]).output, joined.output)


@construct()
def placeholders_of_the_run() -> str:
    names = as_json(value={"task": dsl.PIPELINE_TASK_NAME_PLACEHOLDER})
    echo(text=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    echo(text=f"{dsl.PIPELINE_ROOT_PLACEHOLDER}/x {dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER}")
    return names.output


def contents(value):
    """Returns an output so that two runs of it can be compared: of an artifact its type, metadata and contents."""
    if isinstance(value, list):
        return [contents(each) for each in value]
    if isinstance(value, dsl.Artifact):
        file = Path(value.uri)
        text = value.uri if "://" in value.uri else file.read_text() if file.is_file() else None
        return {"type": value.schema_title, "metadata": value.metadata, "text": text}
    return value


def contents_of(outputs):
    """Returns the outputs of a pipeline so that those of two runs can be compared."""
    return {name: contents(value) for name, value in outputs.items()}


@component
def quotient(of: float, by: float) -> float:
    return of / by if by else of * float("inf")


@component
def log_loss(value: str, metrics: dsl.Output[dsl.Metrics]):
    metrics.log_metric("loss", float(value))


@construct(fails=True)
def infinite_parameter() -> float:
    return quotient(of=1.0, by=0.0).output


@construct(fails=True)
def nan_parameter() -> float:
    return quotient(of=0.0, by=0.0).output


@construct(fails=True)
def nan_metric():
    echo(text="ran").after(log_loss(value="nan"))


@construct()
def nan_as_text() -> str:
    return echo(text="nan").output


@component
def whole(power: int) -> int:
    return 2**power + 1


@component
def digits(number: int) -> str:
    return str(number)


@construct()
def large_whole_numbers() -> str:
    return digits(number=whole(power=53).output).output
