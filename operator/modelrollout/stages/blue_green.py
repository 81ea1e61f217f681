"""`blueGreen`: a candidate of full size is looked at beside stable, then gets everybody in one write. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.blue_green import BlueGreen, Preview
from modelrollout.api.findings import Finding
from modelrollout.api.scalars import in_percent
from modelrollout.api.status import Phase
from modelrollout.rollout.rollout import Wish
from modelrollout.stages import comparison, shadow, smoke
from modelrollout.traffic.exposure import BY_SERVICE, EVERYBODY, HOST, NOBODY, Exposure, Match
from modelrollout.traffic.router import ALL_REQUESTS
from modelrollout.trial.checks import EXPOSED_WAITS, SEEN_WAITS
from modelrollout.trial.trial import Place, Step


def steps(index: int, name: str, blue_green: BlueGreen, wish: Wish) -> Iterator[Step]:
    before = [*smoke.steps(Place(index, name, 0), blue_green, EVERYBODY)]
    before += _before_the_switch(Place(index, name, len(before)), blue_green)
    yield from before
    version = wish.model.version
    told = f"{name}: version {version} gets all traffic in one switch; the old version stays as it is beside it."
    yield Step(
        place=Place(index, name, len(before)),
        phase=Phase.PROGRESSING,
        exposure=EVERYBODY,
        hold=blue_green.hold.timedelta,
        begins=Finding("Switched", told),
        waits=EXPOSED_WAITS,
    )


def _before_the_switch(place: Place, blue_green: BlueGreen) -> Iterator[Step]:
    """No step where nobody sees the candidate before. It is judged where there are copies of users' requests: those of
    people who look at a preview say little, and may be meant to fail."""
    mirror, exposure = blue_green.mirror, _exposure(blue_green)
    if exposure == NOBODY:
        return
    told = f"{place.stage}: the candidate starts at full size and is seen by {exposure}; stable answers everybody else."
    step = Step(
        place=place,
        phase=Phase.PROGRESSING,
        exposure=exposure,
        hold=blue_green.preview_hold.timedelta,
        begins=Finding("StepStarted", told),
        waits=EXPOSED_WAITS if mirror else SEEN_WAITS,
        is_judged=mirror is not None,
        pods_for=EVERYBODY,
        judged=None if mirror else frozenset(),
        copied=shadow.copied(mirror) if mirror else ALL_REQUESTS,
        needs_approval=blue_green.approval,
    )
    yield comparison.with_comparer(step, mirror) if mirror else step


def _exposure(blue_green: BlueGreen) -> Exposure:
    """Who sees the candidate before the switch."""
    preview, mirror = blue_green.preview, blue_green.mirror
    copies = in_percent(mirror.percent) if mirror else 0
    return Exposure(mirror=copies, asked=frozenset(_asking(preview) if preview else ()))


def _asking(preview: Preview) -> Iterator[Match]:
    if preview.header:
        yield Match(preview.header.name, preview.header.value)
    if preview.host:
        yield Match(HOST, preview.host)
    if not (preview.header or preview.host):
        yield BY_SERVICE
