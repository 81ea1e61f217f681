"""The version before this one, from the history of this repository."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.places import ROOT

BEFORE = "2877d2d"
"""Its commit."""


def unpacked(folder: Path, *parts: str) -> Path:
    """A folder with parts of it; the test is skipped in a clone without its history."""
    command = ["git", "archive", BEFORE, *parts]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)  # noqa: S603
    if told.returncode:
        pytest.skip(f"this clone has no commit {BEFORE}, which is the version before")
    with tarfile.open(fileobj=io.BytesIO(told.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
