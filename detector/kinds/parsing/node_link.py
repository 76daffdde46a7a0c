"""A graph from a stranger's node-link JSON, as ``detector.kinds.graph`` has it.

The size of the text bounds the memory: while it is read, no JSON value takes much more than twenty
times its text; what is kept of attributes takes about three times theirs, names of nodes at most
about twenty (``models.kinds.attribute_values``).
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from detector.errors import SampleTooLargeError, UndecodableSampleError, UnsupportedSampleError
from models.kinds.attribute_values import Value, Values, text
from models.kinds.graph_columns import Graph

BYTES, NODES, EDGES, ATTRIBUTES, CHARACTERS = 4 << 20, 5000, 20_000, 64, 100
LARGEST = 1e15
"""Of a number: beyond it, neighbouring whole numbers are soon no longer told apart."""
_SHAPE = 'send {"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]}'
_OF_NODES, _OF_EDGES = ("id",), ("source", "target", "key")


def read(content: bytes) -> Graph:
    """Return the graph of a JSON text.

    Raises:
        UndecodableSampleError: if it is no JSON, no graph, or one with an edge to nowhere.
        UnsupportedSampleError: if an attribute is neither number nor word, or a number too large.
        SampleTooLargeError: if it is over a limit.
    """
    if len(content) > BYTES:
        raise SampleTooLargeError(f"a graph has at most {BYTES} bytes, got {len(content)}")
    whole = _parsed(content)
    if not isinstance(whole, dict):
        raise UndecodableSampleError(f"no graph: {_SHAPE}")
    nodes = _items(whole, ("nodes",), NODES)
    edges = _items(whole, ("edges", "links"), EDGES)
    if not nodes:
        raise UndecodableSampleError(f"the graph has no node: {_SHAPE}")
    names = [_name(node, "id", f"node {at}") for at, node in enumerate(nodes)]
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) < len(names):
        twice = next(name for row, name in enumerate(names) if rows[name] != row)
        raise UndecodableSampleError(f"two nodes have the id {twice!r}: ids must differ")
    directed, several = (_flag(whole, key) for key in ("directed", "multigraph"))
    pairs = _pairs(edges, rows, once=not several, directed=directed)
    return Graph(tuple(names), pairs, directed, _table(nodes, _OF_NODES), _table(edges, _OF_EDGES))


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(
            content.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_once
        )
    except RecursionError as error:
        raise UndecodableSampleError(f"the JSON is nested too deeply: {_SHAPE}") from error
    except ValueError as error:  # of the encoding too
        raise UndecodableSampleError(f"no JSON text in UTF-8: {str(error)[:200]}") from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number; leave the attribute out, or send null")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _items(whole: dict[str, Any], keys: tuple[str, ...], most: int) -> list[dict[str, Any]]:
    """Return the objects of a list under the one of the keys that is there."""
    there = [key for key in keys if key in whole]
    if len(there) != 1:
        raise UndecodableSampleError(f"one list of {' or '.join(keys)} is needed: {_SHAPE}")
    items = whole[there[0]]
    if not isinstance(items, list):
        raise UndecodableSampleError(f"{there[0]} is no list: {_SHAPE}")
    if len(items) > most:
        raise SampleTooLargeError(f"a graph has at most {most} {keys[0]}, got {len(items)}")
    if not all(isinstance(item, dict) for item in items):
        raise UndecodableSampleError(f"every item of {there[0]} must be an object: {_SHAPE}")
    return items


def _flag(whole: dict[str, Any], key: str) -> bool:
    value = whole.get(key, False)
    if not isinstance(value, bool):
        raise UndecodableSampleError(f"{key} must be true or false")
    return value


def _name(item: dict[str, Any], key: str, what: str) -> str:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UndecodableSampleError(f"{what}: {key!r} must be a string or a whole number")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UnsupportedSampleError(f"{what}: {key!r} has too many digits: send it as a string")
    return _word(str(value), what)


def _word(value: str, what: str) -> str:
    if len(value) > CHARACTERS:
        raise SampleTooLargeError(f"{what}: at most {CHARACTERS} characters, got {len(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UndecodableSampleError(f"{what}: half a character in a string") from error
    return value


def _pairs(
    edges: list[dict[str, Any]], rows: Mapping[str, int], *, once: bool, directed: bool
) -> Int64[np.ndarray, "e 2"]:
    """Return the rows that each edge joins."""
    pairs = np.zeros((len(edges), 2), np.int64)
    seen: dict[tuple[int, int], int] = {}
    for at, edge in enumerate(edges):
        ends = [_name(edge, key, f"edge {at}") for key in ("source", "target")]
        for end in ends:
            if end not in rows:
                raise UndecodableSampleError(f"edge {at} ends at {end!r}, and no node has that id")
        source, target = (rows[end] for end in ends)
        pair = (source, target) if directed or source < target else (target, source)
        if seen.setdefault(pair, at) != at and once:
            raise UndecodableSampleError(
                f"edge {at} joins the same nodes as edge {seen[pair]}: send each edge once, or "
                '"multigraph": true'
            )
        pairs[at] = source, target
    return pairs


def _table(items: list[dict[str, Any]], reserved: tuple[str, ...]) -> dict[str, Values]:
    """Return every attribute's values, one an item, None where there is none."""
    table: dict[str, tuple[list[int], list[Value]]] = {}
    for row, item in enumerate(items):
        for key, given in item.items():
            if key in reserved:
                continue
            single = not isinstance(given, list)
            for place, value in enumerate([given] if single else given[: ATTRIBUTES + 1]):
                name = key if single else f"{key}[{place}]"
                if name not in table:
                    if len(table) == ATTRIBUTES:
                        raise SampleTooLargeError(f"at most {ATTRIBUTES} attributes are read")
                    table[_word(name, "attribute")] = [], []
                rows, values = table[name]
                if rows[-1:] == [row]:  # as "x[0]" beside "x": [1]; the last counts
                    rows.pop()
                    values.pop()
                rows.append(row)
                values.append(_value(name, value, single=single))
    return {name: Values(len(items), *columns) for name, columns in table.items()}


def _value(name: str, value: Any, *, single: bool) -> Value:
    if value is None:
        return None
    if isinstance(value, str) and single:
        return _word(value, f"attribute {name!r}")
    if not isinstance(value, int | float):
        raise UnsupportedSampleError(
            f"attribute {name!r} must be a number, a string, or a list of numbers"
        )
    if not abs(value) <= LARGEST:
        raise UnsupportedSampleError(f"attribute {name!r}: numbers reach from -1e15 to 1e15")
    return text(float(value)) if name == "label" else float(value)
