"""A certificate for loopback, as a Secret of type kubernetes.io/tls is mounted."""

from __future__ import annotations

import itertools
from pathlib import Path

from localcluster.apiserver.certificates import write_serving_files

_numbers = itertools.count(1)


def make_certificate(folder: Path) -> Path:
    """Puts `tls.crt` and `tls.key` into the folder, in the place of those that are there; their authority's file."""
    made = folder / f"made-{next(_numbers)}"
    made.mkdir(parents=True)
    files = write_serving_files(made)
    files.certificate.rename(folder / "tls.crt")
    files.key.rename(folder / "tls.key")
    return files.authority
