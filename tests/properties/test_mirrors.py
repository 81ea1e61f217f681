"""The promises of the design again, kept by an operator that reads from memory.

Watches may withhold what happened, lose it, tell it twice or backwards, and break. Whatever is told of a route, no
write moves traffic that was not decided on that very route; and once the watches are well again, all ends right.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.fate import BAD_METRICS, HANDS, MEANWHILE, OUTAGES, PODS_SUFFER, RELEASES, Act, histories
from tests.fakes.mirrored import ROUTES, WATCHED, MirroredLife, watches
from tests.properties.test_plan_invariants import assert_at_rest, hostile


def assert_ends_right(life: MirroredLife) -> None:
    life.settle()
    life.run(minutes=10)  # the next look at everything, and whatever waits for the resync
    assert_at_rest(life)


@hostile
@given(histories(PODS_SUFFER, HANDS, RELEASES, BAD_METRICS, OUTAGES, MEANWHILE))
def test_reading_from_memory_breaks_no_promise(history: list[Act]) -> None:
    life = MirroredLife().live(history)
    assert_ends_right(life)


@hostile
@given(histories(watches(*ROUTES), watches(*ROUTES), HANDS, RELEASES, BAD_METRICS, PODS_SUFFER, most=30))
def test_whatever_is_told_of_routes_no_write_moves_traffic_wrongly(history: list[Act]) -> None:
    life = MirroredLife().live(history)
    assert_ends_right(life)


@hostile
@given(
    histories(watches(*WATCHED), watches(*WATCHED), RELEASES, BAD_METRICS, OUTAGES, HANDS, most=30),
    st.sampled_from(["lost", "told"]),
)
def test_all_ends_right_once_the_watches_are_well_again_or_the_next_look_is_due(history: list[Act], how: str) -> None:
    life = MirroredLife().live(history)
    if how == "lost":
        for plural in WATCHED:
            life.happen(("lose", plural))
    assert_ends_right(life)
