"""What the evidence on one metric allows to say: its verdict, in a sentence for whoever is woken by it. Pure.

A bound that is broken beyond chance is a Fail, with however few samples: `minSamples` guards what passes. What breaks
`min` or `max` needs no stable to compare with. Otherwise an arm that cannot be seen is NoData or Unavailable, whatever
the other shows; and only a candidate that is within every bound, on enough samples of both arms, passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from modelrollout.analysis import wording
from modelrollout.analysis.evidence import Bound, Evidence, Missing
from modelrollout.analysis.queries import LONGEST_WINDOW, Window
from modelrollout.api.spec import Metric
from modelrollout.api.status import MetricVerdict, Verdict

FEWEST_REQUESTS = 100
FEWEST_READINGS = 5
MOST_GROWTH = 1000  # with more samples than this many times over, nobody waits
INT64 = 2**63 - 1
_MISTAKEN = " asks wrongly: "  # it stands in the message, for that is what status keeps


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about a look at one metric but its answers."""

    metric: Metric
    level: float
    window: Window
    interval: timedelta

    @property
    def needed(self) -> int:
        default = FEWEST_READINGS if self.metric.value is not None else FEWEST_REQUESTS
        return default if self.metric.min_samples is None else self.metric.min_samples


def is_mistake(verdict: MetricVerdict) -> bool:
    """Whether the user's own metric is to blame for having no evidence, so that waiting does not mend it."""
    return verdict.message.startswith(f"{verdict.metric}{_MISTAKEN}")


def nothing(look: Look, missing: Missing, query: str | None) -> MetricVerdict:
    """The verdict when an arm cannot be judged."""
    return MetricVerdict(
        metric=look.metric.name,
        verdict=missing.verdict,
        message=f"{look.metric.name}{_MISTAKEN if missing.mistake else ': '}{missing.why}.",
        query=query,
        window_start=look.window.start,
        window_end=look.window.end,
    )


def concluded(look: Look, evidence: Evidence, query: str | None) -> MetricVerdict:
    """The verdict on what was seen."""
    verdict, bound, says = _conclusion(look, evidence)
    bound = bound or next(iter(evidence.bounds), None)
    gap = evidence.gap if verdict is not Verdict.FAIL else None
    unseen = evidence.unseen if verdict is not Verdict.FAIL else ()
    notes = "".join(f"; {note}" for note in (*evidence.notes, *unseen, *_capped(look)))
    return MetricVerdict(
        metric=look.metric.name,
        verdict=verdict,
        candidate=evidence.candidate,
        stable=evidence.stable,
        bound=bound.text if bound else None,
        samples=_whole(evidence.samples),
        stable_samples=None if evidence.stable_samples is None else _whole(evidence.stable_samples),
        message=f"{look.metric.name}{_MISTAKEN if gap and gap.mistake else ': '}{says}{notes}.",
        query=query,
        window_start=look.window.start,
        window_end=look.window.end,
    )


def _conclusion(look: Look, evidence: Evidence) -> tuple[Verdict, Bound | None, str]:
    """The verdict, the bound that decided it, and the sentence."""
    seen = _seen(evidence)
    broken = next((bound for bound in evidence.bounds if bound.p_value(1.0) <= look.level), None)
    if broken is not None:
        return Verdict.FAIL, broken, f"{seen}{_failure(broken)}"
    if evidence.gap is not None:
        return evidence.gap.verdict, None, f"{evidence.gap.why}; the candidate shows {seen}"
    if shortage := _shortage(look, evidence):
        return Verdict.INCONCLUSIVE, None, f"{seen}{shortage}"
    doubtful = next((bound for bound in evidence.bounds if not bound.is_kept), None)
    if doubtful is not None:
        return Verdict.INCONCLUSIVE, doubtful, f"{seen}{_doubt(look, evidence, doubtful)}"
    within = " and ".join(bound.text for bound in evidence.bounds)
    return Verdict.PASS, None, f"{seen} is within {within}" if within else f"{seen}, with nothing to compare it with"


def _whole(samples: float) -> int:
    return min(int(samples), INT64)


def _capped(look: Look) -> tuple[str, ...]:
    """Older evidence is not read: say so, or the numbers look too small for the time that has passed."""
    is_capped = look.window.look * look.interval > look.window.end - look.window.start
    return (f"only the last {wording.duration(max(LONGEST_WINDOW, look.interval))} count",) if is_capped else ()


def _seen(evidence: Evidence) -> str:
    if evidence.samples <= 0:
        return f"no {evidence.unit} yet"
    seen = f"{evidence.what}{evidence.candidate} over {wording.number(evidence.samples)} {evidence.unit}"
    if evidence.stable is None or evidence.stable_samples is None:
        return seen
    return f"{seen} (stable {evidence.stable} over {wording.number(evidence.stable_samples)})"


def _failure(bound: Bound) -> str:
    how = f", but {bound.detail}" if bound.is_kept else f" breaks the limit {bound.text}"
    more = f" ({bound.detail})" if bound.detail and not bound.is_kept else ""
    return f"{how}{more}; {wording.odds(bound.p_value(1.0))} by chance"


def _shortage(look: Look, evidence: Evidence) -> str:
    """How many samples are missing before anything may pass; empty when there are enough."""
    stable = math.inf if evidence.stable_samples is None else evidence.stable_samples
    arm, samples = ("stable ", stable) if stable < evidence.samples else ("", evidence.samples)
    if samples >= look.needed:
        return ""
    more = math.ceil(look.needed - samples)
    return f"; {arm}needs {_more(evidence, more)}{_wait(look, more, samples)}"


def _doubt(look: Look, evidence: Evidence, bound: Bound) -> str:
    """How many more samples would tell, if the values stay what they are."""
    growth = _telling_growth(look, bound)
    if growth is None:
        return f" is beyond {bound.text}, too little to tell from chance"
    more = math.ceil(evidence.samples * (growth - 1))
    wait = _wait(look, more, evidence.samples)
    return f" is beyond {bound.text}, perhaps by chance; needs {_more(evidence, more)} to tell{wait}"


def _more(evidence: Evidence, samples: int) -> str:
    unit = evidence.unit.removesuffix("s") if samples == 1 else evidence.unit
    return f"about {wording.number(wording.rounded(samples))} more {unit}"


def _telling_growth(look: Look, bound: Bound) -> float | None:
    """How many times as many samples would break the bound beyond chance; None when too many."""

    def tells(growth: float) -> bool:
        looks = look.window.look * growth  # samples come with looks, each of which has a smaller share than the last
        return bound.p_value(growth) <= look.level * (look.window.look / looks) ** 2

    growths = [1.25**step for step in range(1, math.ceil(math.log(MOST_GROWTH, 1.25)))]
    if not tells(growths[-1]):
        return None
    low, high = 0, len(growths) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(growths[middle]) else (middle + 1, high)
    return growths[low]


def _wait(look: Look, more: float, samples: float) -> str:
    """About how long it takes for so many samples to come, as they came so far; empty when nobody can say."""
    if samples <= 0:
        return ""
    seconds = more / samples * (look.window.end - look.window.start).total_seconds()
    return f" (about {wording.duration(timedelta(seconds=seconds))})" if seconds < 30 * 86_400 else ""
