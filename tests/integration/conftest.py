"""What integration tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace", "notes"]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where the `plain` image's server looks for orders and leaves word of its signals."""
    return tmp_path
