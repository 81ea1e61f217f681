"""How little the command line imports before it knows which command is meant."""

import subprocess
import sys

import pytest

HEAVY = {"aiohttp", "kopf", "kubernetes", "kubernetes.aio", "numpy", "prometheus_api_client", "re2", "scipy"}
PROGRAM = """
import sys
from modelrollout.__main__ import main
try:
    main(sys.argv[1:])
finally:
    sys.stderr.write(" ".join(sys.modules))
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["status", "--help"], ["run", "--help"], ["disagreements", "--help"], ["backtest", "--help"]],
    ids=" ".join,
)
def test_a_help_text_waits_for_nothing_heavy(arguments: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0
    assert ran.stdout.startswith("usage: modelrollout")
    assert not HEAVY & set(ran.stderr.split())


@pytest.mark.parametrize("module", ["modelrollout.plan.planner", "modelrollout.kube", "modelrollout.objects.manifests"])
def test_no_module_but_an_open_connection_brings_the_client_of_kubernetes(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert module in ran.stdout.split()
    assert "kubernetes" not in ran.stdout.split()
