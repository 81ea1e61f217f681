"""Which tests come first, which are slow, and what every run ends with: why tests were skipped, each reason once."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
# CI sees the same examples every time; who asks for more sees new ones.
settings.register_profile("the same", derandomize=not os.environ.get("MODELROLLOUT_EXAMPLES"))
settings.load_profile("the same")
FIRST = (  # those that wait take turns with those that compute, so that neither core is idle
    "integration/test_long_releases.py",
    "properties/test_plan_crashes.py",
    "integration/test_rollouts.py",
    "properties/test_plan_walk.py",
    "integration/test_leaders.py",
    "integration/test_upgrade.py",
    "properties/test_plan_invariants.py",
    "integration/test_synced.py",
    "integration/test_shadow_and_switch.py",
    "contract/routers/test_routers.py",
    "integration/test_sandbox.py",
    "integration/test_demo.py",
    "integration/test_ab_test.py",
    "chart/test_least_rights.py",
    "integration/test_digits.py",
    "integration/test_pods.py",
)
SLOW = (  # marked so: `make test-fast` leaves them out
    "unit/analysis/test_false_alarms.py",  # thousands of releases of equal versions
    "unit/analysis/test_walks.py",  # every order in which samples may be told
    "unit/sequential/test_no_bet_is_expected_to_win.py",  # every outcome of every bet
    "unit/sequential/test_noise.py",
    "unit/sequential/test_rollouts_by_chance.py",
    "unit/cli/backtest",  # weeks of a made-up past
    "properties",  # rollouts in a hostile world, strung together by hypothesis
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Hundreds of tests wait for a real kube-apiserver; where there is none, one line says so."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")


def pytest_configure() -> None:
    """A file that was renamed must not fall off a list in silence."""
    if gone := [name for name in (*FIRST, *SLOW) if not (HERE / name).exists()]:
        raise pytest.UsageError(f"tests/conftest.py speaks of {', '.join(gone)}, which is not there")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end, and to look through it for garbage takes a sixth of the time."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no worker is left with one of them at the end."""
    slow = {path for path in {item.path for item in items} if any(path.is_relative_to(HERE / name) for name in SLOW)}
    for item in items:
        if item.path in slow:
            item.add_marker("slow")
    order = {HERE / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))
