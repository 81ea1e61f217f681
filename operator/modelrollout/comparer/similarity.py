"""How alike two texts are: ROUGE-2 (F1), the share of pairs of adjacent words that both have. Pure.

Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004. Linear in the texts' length, where an edit
distance is quadratic: a long answer must not keep the process from its other work.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word; of scripts that are written without spaces each character is one."""


def similarity(one: str, other: str) -> float:
    """From 0 to 1, whatever the case, the spaces and the punctuation."""
    mine, theirs = _pairs(one), _pairs(other)
    both = sum((mine & theirs).values())
    all_of_them = mine.total() + theirs.total()
    return 2 * both / all_of_them if all_of_them else float(one.strip() == other.strip())


def _pairs(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return Counter(pairwise(words)) if len(words) > 1 else Counter((word,) for word in words)
