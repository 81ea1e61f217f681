"""The row that `make bench-telemetry` prints of some scrapes, and what it has the operator show."""

from __future__ import annotations

from benchmarks.telemetry.__main__ import Scrape, row, show
from modelrollout.shell.telemetry import Telemetry


def test_a_row_has_the_mean_of_the_cost_and_the_longest_stretch() -> None:
    found = [Scrape(52000, 5_400_000, 0.6, 0.009), Scrape(52000, 5_400_000, 0.8, 0.0302)]
    assert row(1000, 6, found) == "| 1000 | 6 | 52000 | 5.4 | 0.70 | 30 |\n"


def test_every_rollout_is_shown_in_release_with_all_its_metrics() -> None:
    telemetry = Telemetry()
    for name in ("one", "other"):
        show(telemetry, name, metrics=3)
    page = telemetry.page().decode()
    assert page.count("modelrollout_metric_evidence_ratio{") == 6
    assert 'modelrollout_candidate_weight_ratio{namespace="models",rollout="other"} 0.25' in page
