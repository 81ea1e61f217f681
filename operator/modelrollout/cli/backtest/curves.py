"""The measurements of both arms over time, for people to look at; the judgement rests on ticks. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.analysis.samples.over_time import SeriesOfArm
from modelrollout.api.metric import Metric

Floats = npt.NDArray[np.float64]


def measured(metric: Metric, parts: SeriesOfArm, edges: Floats, look_back: float) -> list[float]:
    """One arm's value between neighbouring edges; NaN where there is none.

    A ratio as it is written (bad or good), a histogram's quantile in the unit of its edges, the mean of users or of
    an expression, and of pairs the part that only the candidate got wrong.
    """
    return kind_of(metric).over_time(metric, parts, edges, SampleWindow(float(edges[0]) - look_back, look_back, 0.0))
