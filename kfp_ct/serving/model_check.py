"""What a SavedModel must not hold: a graph is a program, and a served folder may have come from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

from tensorflow.core.protobuf import meta_graph_pb2

from kfp_ct.serving.routing import CANDIDATE
from kfp_ct.storage import releases

# They read or write files of the server's choosing, or run Python of a process that is not there.
_UNSAFE_OPS = frozenset(
    ("PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "WholeFileReaderV2")
)


class UnsafeModelError(Exception):
    """A model that is not served, whatever it would answer."""


class DamagedModelError(Exception):
    """A version whose files are not those that were published."""


def check_files(folder: Path) -> None:
    """Demands that all files of a version lie in its folder.

    Raises:
        UnsafeModelError: A link leads out of it, or something is no file.
    """
    inside = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise UnsafeModelError(f"{path.relative_to(folder)} is a link that leads out of the model's folder")
        if not path.is_file() and not path.is_dir():
            raise UnsafeModelError(f"{path.relative_to(folder)} is neither a file nor a folder")


def check_manifest(folder: Path) -> None:
    """Demands the files that were published, where the publisher wrote down which they are.

    A damaged file may still be a SavedModel, with other answers.

    Raises:
        DamagedModelError: A file is missing or has changed.
    """
    folder = folder.absolute()
    model = folder.parent.parent if folder.parent.name == CANDIDATE else folder.parent
    manifest = releases.read_manifest(str(model.parent), model.name, folder.name)
    if manifest is None:
        return
    if changed := releases.changed_files(folder, manifest):
        raise DamagedModelError(
            f"not the files that were published: {', '.join(changed)}\nexpected: what {model / folder.name}.json says"
            "\nfix: remove the version's folder and deploy the version again"
        )


def check_graph(graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Demands a graph that reaches nothing but its own variables and assets.

    Raises:
        UnsafeModelError: An operation reaches further.
    """
    unsafe = sorted(set(_operations(graph)) & _UNSAFE_OPS)
    if unsafe:
        raise UnsafeModelError(f"the graph has operations that are not served: {', '.join(unsafe)}")


def _operations(graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    for node in graph.graph_def.node:
        yield node.op
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            yield node.op
