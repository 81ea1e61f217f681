"""YAML: in a file, and in a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def documents(text: str) -> list[Any]:
    """All that are not empty. By the loader in C, which takes a tenth of the time: each worker reads all pages."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None]


def document(path: Path) -> Any:
    """The only one in a file."""
    (found,) = documents(path.read_text())
    return found


def blocks(page: Path) -> list[dict[str, Any]]:
    """Every document in its YAML blocks, in order."""
    texts = _BLOCK.findall(page.read_text())
    return [document for text in texts for document in documents(text)]
