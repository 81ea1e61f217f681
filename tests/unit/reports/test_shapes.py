"""What the pen of the charts draws at given places."""

import math
from xml.etree.ElementTree import tostring

from modelrollout.reports.shapes import area, box, curve, fraction_between, rule


def test_a_value_beyond_the_axis_is_cut() -> None:
    assert [fraction_between(value, 2.0, 4.0) for value in (1.0, 2.0, 2.5, 4.0, math.inf)] == [0.0, 0.0, 0.25, 1.0, 1.0]


def test_a_curve_is_broken_where_there_is_no_value() -> None:
    drawn = curve("line stable", [(0.0, 1.0), (1.0, 2.0), (2.0, math.nan), (3.0, 1.5), (4.0, math.nan)])
    assert drawn.attrib == {"class": "line stable", "d": "M0.00 1.00L1.00 2.00M3.00 1.50"}


def test_shapes_stand_where_they_are_put() -> None:
    assert [
        tostring(shape, encoding="unicode")
        for shape in (
            rule("grid", 0.0, 1.0, 2.0, 3.004),
            box("zone bad", 1.0, 2.0, 3.0, 4.0),
            area("fill", [(0.0, 1.0), (2.0, 3.0)]),
        )
    ] == [
        '<line class="grid" x1="0.00" y1="1.00" x2="2.00" y2="3.00" />',
        '<rect class="zone bad" x="1.00" y="2.00" width="3.00" height="4.00" />',
        '<polygon class="fill" points="0.00,1.00 2.00,3.00" />',
    ]
