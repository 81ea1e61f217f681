"""The table of phases, and the README's picture of it."""

from __future__ import annotations

from modelrollout.api.status import Phase
from modelrollout.trial.phases import SERVES_CANDIDATE, TRANSITIONS, mermaid
from tests.places import ROOT

README = ROOT / "README.md"


def test_every_phase_has_a_row() -> None:
    assert set(TRANSITIONS) == {None, *Phase} - {Phase.INVALID}


def test_rolling_back_never_leads_to_where_the_candidate_gets_traffic() -> None:
    assert not SERVES_CANDIDATE & set(TRANSITIONS[Phase.ROLLING_BACK])


def test_traffic_begins_only_after_pending() -> None:
    leads_to_traffic = {before for before, nexts in TRANSITIONS.items() if Phase.PROGRESSING in nexts}
    assert leads_to_traffic == {Phase.PENDING}


def test_readme_diagram() -> None:
    """Draw it anew with `python -c 'from modelrollout.trial.phases import mermaid; print(mermaid())'`."""
    assert f"<!-- phases -->\n```mermaid\n{mermaid()}\n```\n<!-- /phases -->" in README.read_text()
