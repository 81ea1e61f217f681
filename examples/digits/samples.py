"""Held-out digits with their true labels, and what a version answers for each: for load generators.

In Python, with this folder on sys.path: `samples()` and `answers("v1")`. Elsewhere: `python samples.py v1 v2` prints
`{"samples": [{"features": [64 numbers], "label": 3}, …], "answers": {"v1": [3, …], "v2": [3, …]}}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from model import RECIPES, Model, held_out_images


@dataclass(frozen=True, slots=True)
class Sample:
    """One image that no version was trained on; `features` is what POST /predict takes."""

    features: tuple[float, ...]
    label: int


def samples() -> tuple[Sample, ...]:
    """Always the same 600 in the same order."""
    images, labels = held_out_images()
    return tuple(Sample(tuple(map(float, pixels)), int(label)) for pixels, label in zip(images, labels, strict=True))


def answers(version: str) -> tuple[int, ...]:
    """What `version` predicts for each of `samples()`, in their order (v3: whenever it does not fail)."""
    images, _ = held_out_images()
    return tuple(int(label) for label in Model(version).labels(images))


def main() -> None:
    parser = argparse.ArgumentParser(description="Print held-out digits and what versions of the model answer.")
    parser.add_argument("versions", nargs="+", choices=list(RECIPES), metavar="version", help=", ".join(RECIPES))
    wanted = parser.parse_args().versions
    document = {
        "samples": [asdict(sample) for sample in samples()],
        "answers": {version: answers(version) for version in wanted},
    }
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
