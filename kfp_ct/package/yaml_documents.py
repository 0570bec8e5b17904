"""Parses YAML that strangers hand over, in bounded time and memory.

Aliases can make a few hundred bytes stand for billions of nodes, and deep nesting overflows the stack of the parser,
which ends the process: both are measured before anything is built or followed.
"""

from typing import Any

import yaml

# A compiled pipeline of a thousand tasks has some fifty thousand nodes, nested about twenty deep.
MOST_NODES, MOST_DEPTH = 2_000_000, 200


def parse(text: str) -> list[Any]:
    """Parses all documents of a text.

    Args:
        text: YAML, or JSON, which is YAML too.

    Returns:
        The documents that are not empty.

    Raises:
        ValueError: It is not YAML, nests too deeply, or its aliases stand for too much; the message says which.
    """
    try:
        _check_depth(text)
        documents = [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each is not None]
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
    except RecursionError as error:
        raise ValueError("an anchor stands inside itself") from error
    sizes: dict[int, int] = {}
    if sum(_size(document, sizes) for document in documents) > MOST_NODES:
        raise ValueError(f"its aliases stand for more than {MOST_NODES:,} nodes")
    return documents


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            raise ValueError(f"it nests deeper than {MOST_DEPTH} levels")


def _size(node: Any, sizes: dict[int, int]) -> int:
    """Returns how many nodes a node stands for when every alias is followed; each is visited once."""
    if not isinstance(node, dict | list):
        return 1
    if id(node) not in sizes:
        sizes[id(node)] = MOST_NODES + 1  # should it contain itself
        children = node.values() if isinstance(node, dict) else node
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in children)
    return sizes[id(node)]
