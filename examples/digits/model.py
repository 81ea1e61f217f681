"""The digits model: eight-by-eight pixel images of handwritten digits, and what each released version learnt from them.

Real and small: scikit-learn ships the images, training takes milliseconds. Deterministic, so that any process can train
a version and knows what every other process that serves it would have answered. Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.svm import SVC

PIXELS = 64
BRIGHTEST = 16.0  # pixels are numbers from 0 to 16
HELD_OUT = 600  # images that no version ever trains on
SPLIT_SEED = 7


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a version was trained. The versions' conduct as servers (failing, slow, crashing) is in server.py."""

    images: int
    mistaken_classes: tuple[int, int] | None = None  # the two names that its training job mixed up


SOUND = Recipe(images=300)
RECIPES = {
    "v1": Recipe(images=120),  # what serves today: sound, trained on few images
    "v2": SOUND,  # better
    "v3": SOUND,  # fails one request in five
    "v4": Recipe(images=300, mistaken_classes=(1, 7)),  # quick, without errors, and wrong about every 1 and 7
    "v5": SOUND,  # slow
    "v6": SOUND,  # crashes
}


class Model:
    """One trained version."""

    def __init__(self, version: str) -> None:
        recipe = RECIPES[version]
        images, labels = _training_images(recipe.images)
        if recipe.mistaken_classes:
            labels = _mixed_up(labels, *recipe.mistaken_classes)
        self._classifier = SVC(gamma=0.05, C=10).fit(images / BRIGHTEST, labels)

    def label(self, pixels: NDArray[np.float64]) -> int:
        """The digit in one image: 64 numbers from 0 to 16, row by row."""
        return int(self.labels(pixels.reshape(1, PIXELS))[0])

    def labels(self, images: NDArray[np.float64]) -> NDArray[np.int64]:
        """The digits in many images, one a row."""
        answers: NDArray[np.int64] = self._classifier.predict(images / BRIGHTEST)
        return answers


def held_out_images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Images and their true labels that no version has seen."""
    images, labels = _shuffled()
    return images[:HELD_OUT], labels[:HELD_OUT]


def _training_images(count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    images, labels = _shuffled()
    return images[HELD_OUT : HELD_OUT + count], labels[HELD_OUT : HELD_OUT + count]


def _shuffled() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # The file lists writer after writer: unshuffled, the held-out images would be other people's hands.
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    return images[order], labels[order]


def _mixed_up(labels: NDArray[np.int64], one: int, other: int) -> NDArray[np.int64]:
    return np.where(labels == one, other, np.where(labels == other, one, labels))
