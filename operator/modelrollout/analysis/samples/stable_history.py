"""How the history of stable's pods is read: in steps of a minute, from their first request on. Pure."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.sequential.noise import History

Floats = npt.NDArray[np.float64]

HISTORY = timedelta(hours=6)
"""With one hour of history one clean service in eight looks noisy; statistics: 3.3."""
HISTORY_STEP = timedelta(minutes=1)
LONGEST_GAP = 300.0
"""Seconds for which Prometheus repeats the last sample of a series; a longer gap in a history is an end."""
RECENT_STEPS = 60
"""The last steps of the history, from which rates are computed: an hour."""


def window_from(start: float) -> SampleWindow:
    return SampleWindow(since=start, look_back=LONGEST_GAP, warm_up=0.0)


def history_edges(start: float, end: float) -> Floats:
    """The bounds of the history's steps."""
    step = HISTORY_STEP.total_seconds()
    return np.asarray(start + np.arange(int((end - start) / step + 1e-9) + 1) * step, dtype=np.float64)


def since_busy(bad: Floats, total: Floats) -> History | None:
    """The history (pods × steps) from its first request on: before that Prometheus remembers nothing."""
    busy = np.flatnonzero(total.sum(axis=0) > 0)
    if not busy.size:
        return None
    return History(bad[:, busy[0] :], total[:, busy[0] :], HISTORY_STEP.total_seconds())
