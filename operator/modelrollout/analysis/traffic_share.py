"""What the counters of all metrics say together of the candidate's share of the traffic. Pure.

Metrics may count other things than requests: tokens, or labels that arrive for one arm first. So the share contradicts
what was intended only where every metric that has counted enough says so, on the same side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.look import Arrivals
from modelrollout.analysis.kinds.arrivals import FALSE_ALARM_RATE, FAR_MORE, LESS, MORE, SIDES
from modelrollout.api.findings import Finding

FEWER_THAN_INTENDED, MORE_THAN_INTENDED = "FewerThanIntended", "MoreThanIntended"

_CAUSES_OF_LESS = (
    "Either the gateway does not follow the weights of the route, another route or a cache answers first, or session "
    "persistence keeps users where they were; or Prometheus does not see all of the candidate's pods, or a selector in "
    "spec.analysis.metrics leaves some out"
)
_CAUSES_OF_MORE = (
    "Either the gateway does not follow the weights of the route, clients call the candidate's Service directly, "
    "session persistence keeps users with it, or requests that fail are sent again; or Prometheus does not see all of "
    "stable's pods, or a selector in spec.analysis.metrics leaves some out"
)


@dataclass(frozen=True, slots=True)
class TrafficShare:
    """`contradiction`: how the requests contradict the intended share; None while they do not.

    `is_far_more`: whether more than twice as many users as intended meet the candidate. `is_met`: whether any request
    to the candidate was counted.
    """

    contradiction: Finding | None
    is_far_more: bool = False
    is_met: bool = True


def traffic_share(found: Sequence[tuple[str, Arrivals | None]]) -> TrafficShare | None:
    """From the arrivals by metric; None while nothing can be said."""
    told = [(metric, arrivals) for metric, arrivals in found if arrivals is not None and arrivals.is_enough]
    if not told:
        return None
    needed = math.log(len(SIDES) * sum(arrivals is not None for _, arrivals in found) / FALSE_ALARM_RATE)
    shown = {side for side in SIDES if all(arrivals.shown[side] >= needed for _, arrivals in told)}
    metric, most = max(told, key=lambda one: one[1].candidate + one[1].stable)
    if shown & {MORE, FAR_MORE}:
        return TrafficShare(Finding(MORE_THAN_INTENDED, _words(metric, most, _CAUSES_OF_MORE)), FAR_MORE in shown)
    if LESS in shown:
        is_met = any(arrivals.candidate > 0 for _, arrivals in told)
        return TrafficShare(Finding(FEWER_THAN_INTENDED, _words(metric, most, _CAUSES_OF_LESS)), is_met=is_met)
    return TrafficShare(None)


def _words(metric: str, arrivals: Arrivals, causes: str) -> str:
    mine, theirs, intended = arrivals.candidate, arrivals.stable, arrivals.intended
    if intended.mirror and not intended.weight:
        got = wording.share(mine / theirs) if theirs > 0 else "more"
        told = f"the candidate got copies of {got} of stable's {wording.number(theirs)} requests"
        return f"{metric}: {told}, and copies of {intended.mirror:g} % were intended. {causes}."
    got = f"{wording.share(mine / (mine + theirs))} of {wording.number(mine + theirs)} requests"
    return f"{metric}: the candidate got {got}, and {intended.weight} % were intended. {causes}."
