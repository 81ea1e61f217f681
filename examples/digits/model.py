"""The digits model: eight-by-eight pixel images of handwritten digits, and what each released version learnt from them.

Real and small: 1,797 images (digits.npy, whose source and licence stand beside it), a kernel machine, milliseconds of
training. Deterministic, so that any process can train a version and knows what every other process that serves it would
have answered. Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).with_name("digits.npy")
PIXELS = 64
BRIGHTEST = 16.0  # pixels are numbers from 0 to 16
DIGITS = 10
HELD_OUT = 600  # images that no version ever trains on
SPLIT_SEED = 7
GAMMA = 0.05  # how soon two images that differ stop being alike
RIDGE = 0.1  # how little is believed of a single image, which may be named wrongly


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
    """One trained version: a score for each digit by kernel ridge regression, of which the highest is the answer.

    Also called regularised least-squares classification (Rifkin, Yeo and Poggio, 2003). It has a closed form.
    """

    def __init__(self, version: str) -> None:
        recipe = RECIPES[version]
        images, labels = _training_images(recipe.images)
        if recipe.mistaken_classes:
            labels = _mixed_up(labels, *recipe.mistaken_classes)
        self._known = images / BRIGHTEST
        self._squares = (self._known**2).sum(axis=1)  # of all: to sum them again is half the time of an answer
        targets = np.eye(DIGITS)[labels]
        self._weights = np.linalg.solve(self._likeness(self._known) + RIDGE * np.eye(len(labels)), targets)

    def label(self, pixels: NDArray[np.float64]) -> int:
        """The digit in one image: 64 numbers from 0 to 16, row by row."""
        return int(self.labels(pixels.reshape(1, PIXELS))[0])

    def labels(self, images: NDArray[np.float64]) -> NDArray[np.int64]:
        """The digits in many images, one a row."""
        scores = self._likeness(images / BRIGHTEST) @ self._weights
        answers: NDArray[np.int64] = scores.argmax(axis=1)
        return answers

    def _likeness(self, images: NDArray[np.float64]) -> NDArray[np.float64]:
        """How alike each is to each that it was trained on: the kernel exp(-gamma |a - b|²), 1 for equal ones."""
        squares = (images**2).sum(axis=1)
        distances = squares[:, np.newaxis] + self._squares - 2 * images @ self._known.T
        likeness: NDArray[np.float64] = np.exp(-GAMMA * distances)
        return likeness


def held_out_images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Images and their true labels that no version has seen."""
    images, labels = _shuffled()
    return images[:HELD_OUT], labels[:HELD_OUT]


def _training_images(count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    images, labels = _shuffled()
    return images[HELD_OUT : HELD_OUT + count], labels[HELD_OUT : HELD_OUT + count]


def _shuffled() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # The file lists writer after writer: unshuffled, the held-out images would be other people's hands.
    rows = np.load(DATA)
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(rows)
    return shuffled[:, :PIXELS].astype(np.float64), shuffled[:, PIXELS].astype(np.int64)


def _mixed_up(labels: NDArray[np.int64], one: int, other: int) -> NDArray[np.int64]:
    return np.where(labels == one, other, np.where(labels == other, one, labels))
