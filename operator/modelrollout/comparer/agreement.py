"""Whether two answers agree, and else why not. Pure.

A disagreement is a word about the candidate. Where a rule cannot be applied at all nothing is said: a path that leads
nowhere in either answer would otherwise look like agreement for ever.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from modelrollout.api.compare import Agreement, TopK
from modelrollout.comparer.json_paths import Keys, find, keys, without
from modelrollout.comparer.similarity import similarity


class Reason(StrEnum):
    """Why two answers disagree."""

    FAILED = "failed"  # the candidate gave no answer, or one of 5xx
    STATUS = "status"
    UNREADABLE = "unreadable"  # the candidate's body is not what its content type says
    MISSING = "missing"  # the candidate's answer has no such part
    TYPE = "type"
    FIELDS = "fields"
    LENGTH = "length"
    VALUE = "value"
    NUMBER = "number"
    RANKING = "ranking"
    TEXT = "text"


class NotComparable(Exception):  # noqa: N818 - not an error: stable's answer is not of the kind that the rule speaks of
    """The rule says nothing about these answers; the message is a label of a metric."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When two answers agree, ready to be used thousands of times a second."""

    way: Keys
    ignored: tuple[Keys, ...]
    absolute: float = 0.0
    relative: float = 0.0
    top_k: TopK | None = None
    similarity: float | None = None  # None: texts are equal or they are not

    @classmethod
    def of(cls, agreement: Agreement) -> Self:
        numbers = agreement.numbers
        return cls(
            keys(agreement.path),
            tuple(map(keys, agreement.ignore)),
            numbers.absolute.value if numbers else 0.0,
            numbers.relative.value if numbers else 0.0,
            agreement.top_k,
            agreement.text.similarity.value if agreement.text else None,
        )


def disagreement(rules: Rules, stable: Any, candidate: Any) -> Reason | None:
    """Why two JSON values (or texts) disagree; None when they agree. Raises NotComparable."""
    mine, theirs = _part(rules, candidate), _part(rules, stable)
    if not theirs:
        raise NotComparable("path_not_found")
    if not mine:
        return Reason.MISSING
    if rules.top_k and None in rules.way and not all(isinstance(one, dict | list) for one in theirs):
        theirs, mine = [theirs], [mine]  # `[*]` led to the entries of one ranking, not to many rankings
    if len(mine) != len(theirs):
        return Reason.LENGTH
    try:
        return _of_rankings(rules.top_k, theirs, mine) if rules.top_k else _each(rules, theirs, mine)
    except RecursionError:
        raise NotComparable("too_deep") from None


def _part(rules: Rules, value: Any) -> list[Any]:
    return find(rules.way, without(rules.ignored, value))


def _each(rules: Rules, stable: Sequence[Any], candidate: Sequence[Any]) -> Reason | None:
    for one, other in zip(stable, candidate, strict=True):
        if (why := difference(rules, one, other)) is not None:
            return why
    return None


def difference(rules: Rules, stable: Any, candidate: Any) -> Reason | None:
    """Why two whole values disagree, whatever the paths of the rules; None when they agree."""
    match stable, candidate:
        case dict(), dict():
            if stable.keys() != candidate.keys():
                return Reason.FIELDS
            return _each(rules, [*stable.values()], [candidate[key] for key in stable])
        case list(), list():
            return _each(rules, stable, candidate) if len(stable) == len(candidate) else Reason.LENGTH
        case bool(), bool():
            return None if stable == candidate else Reason.VALUE
        case (bool(), _) | (_, bool()):
            return Reason.TYPE
        case ((int() | float()), (int() | float())):
            return None if _is_close(rules, stable, candidate) else Reason.NUMBER
        case str(), str():
            return _of_texts(rules, stable, candidate)
    return None if stable == candidate else Reason.VALUE if type(stable) is type(candidate) else Reason.TYPE


def _is_close(rules: Rules, stable: float, candidate: float) -> bool:
    if stable == candidate or (stable != stable and candidate != candidate):  # or NaN in both
        return True
    try:
        return abs(stable - candidate) <= rules.absolute + rules.relative * abs(stable) < math.inf
    except OverflowError:  # an integer of a thousand digits
        return False


def _of_texts(rules: Rules, stable: str, candidate: str) -> Reason | None:
    if stable == candidate:
        return None
    inner = [_structure(text) for text in (stable, candidate)]
    if None not in inner:  # the arguments of a tool call, or structured output: spaces are of no account
        return difference(rules, *inner)
    if rules.similarity is None:
        return Reason.VALUE
    return None if similarity(stable, candidate) >= rules.similarity else Reason.TEXT


def _structure(text: str) -> Any:
    """The object or list that a text is, or None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _of_rankings(rule: TopK, stable: list[Any], candidate: list[Any]) -> Reason | None:
    for one, other in zip(stable, candidate, strict=True):
        if not isinstance(one, dict | list):
            raise NotComparable("not_a_ranking")
        if not isinstance(other, dict | list):
            return Reason.TYPE
        best, mine = _best(rule.k, one), _best(rule.k, other)
        if len(best & mine) < rule.overlap.value * max(len(best), len(mine)) - 1e-9:
            return Reason.RANKING
    return None


def _best(k: int, ranking: Mapping[str, Any] | Sequence[Any]) -> set[str]:
    """The first entries of a list in order, or the names (else positions) of the highest scores."""
    scores = dict(ranking) if isinstance(ranking, Mapping) else dict(enumerate(ranking))
    if not all(isinstance(score, int | float) and not isinstance(score, bool) for score in scores.values()):
        return {repr(entry) for entry in [*scores.values()][:k]}
    ordered = sorted(scores, key=lambda name: -math.inf if scores[name] != scores[name] else scores[name], reverse=True)
    return {str(name) for name in ordered[:k]}
