"""Remembers what the API server refuses of each rollout, and when to try again. Losing it does no harm."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from modelrollout.api.findings import Finding
from modelrollout.kube import Conflict, Failed, LeftAlone, Refused, Unreachable
from modelrollout.objects.manifests import Ref
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.workloads.companions import COMPANIONS
from modelrollout.workloads.kind_table import WORKLOADS

Refusal = Refused | Failed
"""Answers that are about the object: they stay the same until it changes, or something that it depends on."""
Trouble = Refusal | Unreachable
"""No answer may be about the object, too: a webhook that is away stands before one kind of object."""
LONGEST_PAUSE = timedelta(minutes=1)
_LONGEST_WORDS = 700
"""Characters. The API server may quote a whole template, and an Event takes 1,024."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writes: which objects were refused, and which were not tried for want of those that they need.

    `unanswered`: those of which nobody knows. A webhook on the way to one kind of object may be away by itself.
    """

    has_moved: bool = False
    refused: Mapping[Ref, Refusal] = field(default_factory=dict)
    waiting: frozenset[Ref] = frozenset()
    unanswered: Mapping[Ref, Unreachable] = field(default_factory=dict)
    conflict: Conflict | None = None

    @property
    def away(self) -> Unreachable | None:
        """How the API server did not answer, where it did not."""
        return next(iter(self.unanswered.values()), None)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the API server refused of objects that were not written yet; `contents` names which."""

    contents: tuple[str, ...] = ()
    refused: Mapping[Ref, Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    finding: Finding
    times: int  # that it was met in a row
    is_certain: bool  # a failure (500), or no answer, may be over in a moment; it counts when it comes again

    @classmethod
    def after(cls, before: _Known | None, ref: Ref, refusal: Trouble) -> _Known:
        finding, times = in_words(ref, refusal), 1
        if before is not None and _are_alike(before.finding.message, finding.message):
            finding, times = before.finding, before.times + 1
        return cls(finding, times, times > 1 or isinstance(refusal, Refused))


class Refusals:
    """By rollout, what is refused at present."""

    def __init__(self) -> None:
        self._known: dict[RolloutKey, dict[Ref, _Known]] = {}
        self._rehearsed: dict[RolloutKey, tuple[Rehearsed, datetime]] = {}

    def told(self, key: RolloutKey) -> Mapping[Ref, Finding]:
        """What people are told."""
        return {ref: one.finding for ref, one in self._known.get(key, {}).items() if one.is_certain}

    def worded(self, key: RolloutKey, refused: Mapping[Ref, Refusal]) -> Mapping[Ref, Finding]:
        """Refusals as people are told of them: in the words that they know, where these say the same."""
        known = self._known.get(key, {})
        return {ref: known[ref].finding if ref in known else in_words(ref, said) for ref, said in refused.items()}

    def uncertain(self, key: RolloutKey, refused: Mapping[Ref, Refusal]) -> list[Refusal]:
        """Those that may be over in a moment."""
        known = self._known.get(key, {})
        return [refusal for ref, refusal in refused.items() if ref in known and not known[ref].is_certain]

    def met(self, key: RolloutKey, refused: Mapping[Ref, Trouble], untried: Collection[Ref]) -> None:
        """Take note of what a pass met. Whatever it tried without a refusal is not refused any more."""
        known = self._known.pop(key, {})
        now = {ref: one for ref, one in known.items() if ref in untried}
        now |= {ref: _Known.after(known.get(ref), ref, refusal) for ref, refusal in refused.items()}
        if now:
            self._known[key] = now

    def of(self, key: RolloutKey) -> frozenset[Ref]:
        """The objects that are refused."""
        return frozenset(self._known.get(key, {}))

    def pause(self, key: RolloutKey) -> timedelta | None:
        """The time until the next attempt, longer after each; None where nothing is refused."""
        times = [one.times for one in self._known.get(key, {}).values()]
        return min(LONGEST_PAUSE, timedelta(seconds=2 ** min([*times, 10]) / 2)) if times else None

    def rehearsed(self, key: RolloutKey, answer: Rehearsed, now: datetime) -> None:
        """Take note of what was said to objects that are yet to be written."""
        self.met(key, answer.refused, ())
        self._rehearsed[key] = answer, now

    def last_rehearsed(self, key: RolloutKey, now: datetime) -> Rehearsed:
        """What was said last, until it is time to ask again."""
        answer, asked = self._rehearsed.get(key, (Rehearsed(), now))
        return answer if answer.refused and now < asked + (self.pause(key) or timedelta()) else Rehearsed()

    def forget(self, key: RolloutKey) -> None:
        """Forget a rollout that is gone."""
        self._known.pop(key, None)
        self._rehearsed.pop(key, None)


def cannot_rehearse(refusal: Refusal) -> bool:
    """Whether the answer is about rehearsing, not about the object: a webhook on the way has side effects."""
    return "dry run" in refusal.message


def in_words(ref: Ref, refusal: Trouble) -> Finding:
    """The refusal in the API server's own words."""
    named = f"{ref.resource.kind} '{ref.name}'"
    if isinstance(refusal, LeftAlone):
        return Finding("Refused", f"{named} is not written: {refusal.message}.")
    if not isinstance(refusal, Refusal):
        return Finding("Refused", f"The API server does not take {named}: {_cut(str(refusal))}.")
    origin = " It is made from spec.workload." if ref.resource in (*WORKLOADS, *COMPANIONS) else ""
    sentence = f"The API server refuses {named}: {_cut(refusal.message)} ({refusal.status}).{origin}"
    return Finding("Refused", sentence)


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}…"


def _are_alike(one: str, other: str) -> bool:
    """The same but for numbers, such as ports of connections: those may differ each time."""
    return re.sub(r"\d+", "0", one) == re.sub(r"\d+", "0", other)
