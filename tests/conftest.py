"""What every test run ends with: why tests were skipped, each reason once."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Hundreds of tests wait for a real kube-apiserver; where there is none, one line says so."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no worker is left with one of them at the end."""
    first = ("test_rollouts.py", "test_sandbox.py", "test_demo.py", "test_digits.py", "test_pods.py")
    order = {name: number for number, name in enumerate(first)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
