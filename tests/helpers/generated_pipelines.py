"""Pipelines that hypothesis makes up, what they come to by definition, and their tasks in this process."""

import dataclasses
import json
import traceback
import types

from hypothesis import strategies as st
from kfp import dsl
from kfp.dsl import executor

IMAGE = "python:3.11"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def say(text: str, bad: bool) -> str:
    if bad:
        raise ValueError(text)
    return f"{text[-20:]}."


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def murmur(text: str, bad: bool) -> str:
    if bad:
        raise ValueError(text)
    return f"{text[-20:]}."


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def join(texts: list) -> str:
    return "+".join(texts)[-20:]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def closing(told: dsl.PipelineTaskFinalStatus) -> str:
    return told.state


@dsl.pipeline(name="inner")
def inner(text: str, bad: bool) -> str:
    first = murmur(text=f"<{text}", bad=False)
    return murmur(text=f"{first.output}>", bad=bad).output


@dataclasses.dataclass
class Step:
    """Says something: a word of its own, or what an earlier step said. Nested ones do so twice."""

    word: str
    source: int  # which of the steps before it that it may hear, counted from the last; beyond them: none
    bad: bool = False
    nested: bool = False
    after: bool = False  # waits for that step instead of hearing it
    patient: bool = False  # runs whatever came of that step


@dataclasses.dataclass
class Loop:
    """Repeats steps for every item; what the last of them said may be joined."""

    items: list
    body: list
    joined: bool


@dataclasses.dataclass
class Branch:
    """Runs one of two bodies, as an earlier step said."""

    source: int
    expected: str
    then: list
    otherwise: list


@dataclasses.dataclass
class Guarded:
    """Steps under an exit handler."""

    body: list


WORDS = st.sampled_from(["a", "b", "heads", "x y", "{{$}}", '"', "true", "python3", ""])


def steps(rarely_bad):
    return st.builds(Step, WORDS, st.integers(0, 4), rarely_bad, st.booleans(), st.booleans(), st.booleans())


def bodies(depth: int, rarely_bad):
    node = steps(rarely_bad)
    if depth:
        below = bodies(depth - 1, rarely_bad)
        loop = st.builds(Loop, st.lists(WORDS, min_size=1, max_size=3), below, st.booleans())
        branch = st.builds(Branch, st.integers(0, 4), st.sampled_from(["a.", "heads.", "b.."]), below, below)
        node = st.one_of(node, node, loop, branch)
    return st.lists(node, min_size=1, max_size=3)


def differs_in_kfp_local(nodes):
    """Whether kfp.local changes a value, as it fills in placeholders in them, or takes minutes over loops in loops."""
    return "{{$}}" in repr(nodes) or repr(nodes).count("Loop(") > 1


def pipelines():
    rarely_bad = st.sampled_from([False] * 7 + [True])
    plain = bodies(2, rarely_bad)
    guarded = st.builds(lambda body, rest: [Guarded(body), *rest], bodies(1, rarely_bad), plain)
    return st.one_of(plain, guarded)


class Building:
    """Makes the tasks of a body in kfp's DSL, and remembers which step became which."""

    def __init__(self) -> None:
        self.names = {}  # id of a step, or of a loop's join: the task's name

    def body(self, nodes, heard):
        heard = list(heard)
        for node in nodes:
            self._node(node, heard)
        return heard

    def _node(self, node, heard):
        match node:
            case Step():
                heard.append(self._step(node, heard))
            case Loop():
                with dsl.ParallelFor(node.items) as item:
                    inside = self.body(node.body, [])
                    last = say(text=item, bad=False)
                    self.names[id(node.items)] = last.name
                    del inside
                if node.joined:
                    joined = join(texts=dsl.Collected(last.output))
                    self.names[id(node)] = joined.name
                    heard.append(joined)
            case Branch():
                source = pick(heard, node.source)
                if source is None:
                    return
                with dsl.If(source.output == node.expected):
                    self._branch(node.then, heard)
                with dsl.Else():
                    self._branch(node.otherwise, heard)
            case Guarded():
                with dsl.ExitHandler(closing()):
                    say(text="guarded", bad=False)
                    self.body(node.body, [])

    def _branch(self, nodes, heard):
        self.names[id(nodes)] = say(text="taken", bad=False).name
        self.body(nodes, heard)

    def _step(self, node, heard):
        source = pick(heard, node.source)
        hears = source is not None and not node.after
        component = inner if node.nested else say
        task = component(text=source.output if hears else node.word, bad=node.bad)
        self.names[id(node)] = task.name
        if source is not None and node.after:
            task.after(source)
            if node.patient:
                task.ignore_upstream_failure()
        return task


def pick(heard, number):
    """Returns one of the steps that can be heard, counted from the last; None if there are not so many."""
    return heard[-1 - number] if number < len(heard) else None


def pipeline_of(nodes):
    """Returns the pipeline of nodes, and the names of its tasks."""
    building = Building()

    @dsl.pipeline(name="say")
    def made() -> str:
        heard = building.body(nodes, [])
        return (heard[0] if heard else say(text="nothing", bad=False)).output

    return made, building.names


def spoken(text):
    """Returns what `say` makes of a text."""
    return f"{text[-20:]}."


FAILED, BLOCKED, SKIPPED = "FAILED", "BLOCKED", "SKIPPED"


@dataclasses.dataclass
class Said:
    """What came of a step: a text, or why there is none."""

    text: str = ""
    state: str = "SUCCEEDED"

    @property
    def failed(self):
        return self.state in (FAILED, BLOCKED)


class Definition:
    """What a pipeline comes to, worked out from its nodes alone."""

    def __init__(self, names) -> None:
        self.names = names
        self.states = {}

    def run(self, nodes):
        """Returns whether it succeeds, and its output."""
        heard, failed = self.body(nodes, [], ())
        return not failed, None if failed else (heard[0].text if heard else "nothing.")

    def body(self, nodes, heard, iterations):
        heard, failed = list(heard), False
        for node in nodes:
            failed = self._node(node, heard, iterations) or failed
        return heard, failed

    def skip(self, nodes, count, iterations):
        """Marks all steps of a body as skipped; `count` steps can be heard there."""
        heard = [Said(state=SKIPPED)] * count
        for node in nodes:
            match node:
                case Step():
                    self._tell(node, SKIPPED, iterations)
                    heard.append(Said())
                case Loop():
                    self.skip(node.body, 0, iterations)
                    self._name(id(node.items), SKIPPED, iterations)
                    if node.joined:
                        self._name(id(node), SKIPPED, iterations)
                        heard.append(Said())
                case Branch() if pick(heard, node.source) is not None:
                    self._skip_branches(node, len(heard), iterations)

    def _skip_branches(self, node, count, iterations, taken=None):
        """Marks the branches that are not taken."""
        for nodes in (node.then, node.otherwise):
            self._name(id(nodes), "SUCCEEDED" if nodes is taken else SKIPPED, iterations)
            if nodes is not taken:
                self.skip(nodes, count, iterations)

    def _node(self, node, heard, iterations):
        match node:
            case Step():
                heard.append(self._step(node, heard, iterations))
                return heard[-1].failed
            case Loop():
                return self._loop(node, heard, iterations)
            case Branch():
                return self._branch(node, heard, iterations)
            case Guarded():
                self.states["closing"] = "SUCCEEDED"
                return self.body(node.body, [], iterations)[1]

    def _step(self, node, heard, iterations):
        source = pick(heard, node.source)
        if source is not None and source.failed and not (node.after and node.patient):
            self._tell(node, SKIPPED, iterations)
            return Said(state=BLOCKED)
        text = node.word if source is None or node.after else source.text
        said = spoken(f"{spoken(f'<{text}')}>") if node.nested else spoken(text)
        state = FAILED if node.bad else "SUCCEEDED"
        self._tell(node, state, iterations)
        return Said(said, state)

    def _loop(self, node, heard, iterations):
        failed = False
        for number, _ in enumerate(node.items):
            failed = self.body(node.body, [], (*iterations, number))[1] or failed
            self._name(id(node.items), "SUCCEEDED", (*iterations, number))
        if node.joined:
            text = "+".join(map(spoken, node.items))[-20:]
            heard.append(Said(state=BLOCKED) if failed else Said(text))
            self._name(id(node), SKIPPED if failed else "SUCCEEDED", iterations)
        return failed

    def _branch(self, node, heard, iterations):
        source = pick(heard, node.source)
        if source is None:
            return False
        used = outside(node.then, len(heard)) | outside(node.otherwise, len(heard))
        if source.failed or any(heard[number].failed for number in used):
            self._skip_branches(node, len(heard), iterations)
            return True
        taken = node.then if source.text == node.expected else node.otherwise
        self._skip_branches(node, len(heard), iterations, taken)
        return self.body(taken, heard, iterations)[1]

    def _tell(self, node, state, iterations):
        if not node.nested:
            self._name(id(node), state, iterations)

    def _name(self, key, state, iterations):
        self.states[".".join([self.names[key], *map(str, iterations)])] = state


def outside(nodes, count):
    """Returns which of the `count` steps before a body its nodes hear or wait for: the body waits for these."""
    found, known = set(), count
    for node in nodes:
        match node:
            case Step() | Branch():
                number = known - 1 - node.source
                if 0 <= number < count:
                    found.add(number)
                if isinstance(node, Step):
                    known += 1
                elif number >= 0:
                    inside = outside(node.then, known) | outside(node.otherwise, known)
                    found |= {each for each in inside if each < count}
            case Loop() if node.joined:
                known += 1
    return found


class InProcess:
    """Runs kfp's executor in this process: what runs tasks for the engine, without processes."""

    def run(self, task, say):
        return run_here(list(task.elements), say)

    def kill(self):
        """Nothing goes on by itself."""


def run_here(elements, say=lambda line: None):
    """Runs the command of a Python component as kfp's executor would; returns its exit code."""
    (script,) = [number for number, each in enumerate(elements) if "ephemeral_component.py" in each]
    given = dict(zip(elements[script + 2 :: 2], elements[script + 3 :: 2], strict=True))
    module = types.ModuleType("ephemeral_component")
    try:
        exec(elements[script + 1], module.__dict__)
        function = getattr(module, given["--function_to_execute"])
        executor.Executor(json.loads(given["--executor_input"]), function).execute()
    except Exception:
        for line in traceback.format_exc().splitlines():
            say(line)
        return 1
    return 0
