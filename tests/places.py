"""Where things are in the repository, wherever the test that asks for them moves to."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
