"""The table of phases, and the table of it in the docs."""

from __future__ import annotations

from modelrollout.api.status import Phase
from modelrollout.trial.phases import SERVES_CANDIDATE, TRANSITIONS, table
from tests.places import ROOT

PAGE = ROOT / "docs/life-of-a-rollout.md"


def test_every_phase_has_a_row() -> None:
    assert set(TRANSITIONS) == {None, *Phase} - {Phase.INVALID}


def test_rolling_back_never_leads_to_where_the_candidate_gets_traffic() -> None:
    assert not SERVES_CANDIDATE & set(TRANSITIONS[Phase.ROLLING_BACK])


def test_traffic_begins_only_after_pending() -> None:
    leads_to_traffic = {before for before, nexts in TRANSITIONS.items() if Phase.PROGRESSING in nexts}
    assert leads_to_traffic == {Phase.PENDING}


def test_the_page_on_the_life_of_a_rollout_has_the_table() -> None:
    """Write it anew with `python -c 'from modelrollout.trial.phases import table; print(table())'`."""
    assert f"<!-- phases -->\n{table()}\n<!-- /phases -->" in PAGE.read_text()
