"""Manifests as people wrote them, with the lines on which they did: YAML or JSON, any number of documents in a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from modelrollout.objects.manifests import Manifest

STDIN = "-"
_PATH = re.compile(r"\w+(?:\.\w+|\[[^\]]+\])*")


class UnreadableError(Exception):
    """A file that cannot be read; the message names it, and the line where there is one."""


class _Loader(yaml.SafeLoader):
    """As the API server reads YAML: a date is a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - yaml's own attribute
        first: [one for one in found if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Raises ConstructorError, where yaml lets out whatever Python says of a value that does not fit its tag."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):
            told = f"the value is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, told, node.start_mark) from None


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest and where it stands."""

    file: str
    manifest: Manifest
    _node: yaml.Node

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.manifest.get('kind')} '{self.manifest['metadata'].get('name', '')}'"

    def place(self, words: str = "") -> str:
        """File and line; that of the field whose path these words begin with, or have in front of all others."""
        paths = (path for path in _PATH.findall(words) if path.split(".")[0] in ("spec", "metadata"))
        return f"{self.file}:{_line(_deepest(self._node, next(paths, '')))}"

    def repeated(self) -> Iterator[tuple[str, str]]:
        """The place and the name of each field that stands a second time: the first one would be lost."""
        return ((f"{self.file}:{line}", name) for line, name in _repeated(self._node))


def read(files: Sequence[str]) -> Iterator[Written]:
    """Every object in the files; those of a List one by one. Raises UnreadableError."""
    for file in files:
        for node, document in _documents(file):
            if document is None:
                continue
            if not isinstance(document, dict):
                raise UnreadableError(f"{_called(file)}:{_line(node)}: this is no object of Kubernetes.")
            yield from _objects(_called(file), node, document)


def _documents(file: str) -> Iterator[tuple[yaml.Node, Any]]:
    text = _text(file)
    try:
        loader = _Loader(text)
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                yield node, loader.construct_document(node)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line, why = mark.line + 1 if mark else 1, problem or str(error).splitlines()[0]
        raise UnreadableError(f"{_called(file)}:{line}: this is no YAML: {why}.") from None
    except RecursionError:
        raise UnreadableError(f"{_called(file)}: this is nested too deeply to be read.") from None


def _text(file: str) -> str:
    try:
        if file == STDIN:
            return sys.stdin.read()
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UnreadableError(f"{_called(file)} cannot be read: {why}.") from None


def _called(file: str) -> str:
    return "stdin" if file == STDIN else file


def _objects(file: str, node: yaml.Node, document: Manifest) -> Iterator[Written]:
    if document.get("kind") == "List" and isinstance(document.get("items"), list):
        inner = _deepest(node, "items")
        parts = inner.value if isinstance(inner, yaml.SequenceNode) else []
        for part, item in zip(parts, document["items"], strict=True):
            yield from _objects(file, part, item) if isinstance(item, dict) else ()
        return
    if not isinstance(document.get("apiVersion"), str) or not isinstance(document.get("kind"), str):
        raise UnreadableError(f"{file}:{_line(node)}: this is no object of Kubernetes: apiVersion or kind is missing.")
    metadata = document.get("metadata")
    yield Written(file, {**document, "metadata": metadata if isinstance(metadata, dict) else {}}, node)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _deepest(node: yaml.Node, path: str) -> yaml.Node:
    """The node at a path like `spec.stages[0].canary`, or as deep as that leads. In brackets may stand a name."""
    for part in re.findall(r"\w+|(?<=\[)[^\]]+", path):
        found = _key_of(node, part) if isinstance(node, yaml.MappingNode) else _item_of(node, part)
        if found is None:
            break
        node = found
    return node


def _key_of(node: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in node.value if key.value == name), None)


def _item_of(node: yaml.Node, part: str) -> yaml.Node | None:
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    if part.isdecimal():
        return items[int(part)] if int(part) < len(items) else None
    maps = [one for one in items if isinstance(one, yaml.MappingNode)]
    return next((one for one in maps if (name := _key_of(one, "name")) is not None and name.value == part), None)


def _repeated(node: yaml.Node, known: set[int] | None = None) -> Iterator[tuple[int, str]]:
    known = set() if known is None else known
    if id(node) in known:  # an anchor is read wherever its aliases are, and looked at once
        return
    known.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set[str]()
        for key, value in node.value:
            if str(key.value) in seen:
                yield _line(key), str(key.value)
            seen.add(str(key.value))
            yield from _repeated(value, known)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated(one, known)
