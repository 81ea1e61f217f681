"""The YAML in a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[dict[str, Any]]:
    """Every document in its YAML blocks, in order."""
    texts = _BLOCK.findall(page.read_text())
    return [document for text in texts for document in yaml.safe_load_all(text) if document is not None]
