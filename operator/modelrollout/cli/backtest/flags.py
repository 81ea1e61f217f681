"""The flags of the backtest, and how they are read off a command line. Imports nothing that takes long."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from modelrollout.cli.backtest.moments import FORMS

MOMENTS = ("--start", "--end", "--onset")
URL = "MODELROLLOUT_PROMETHEUS_URL"
ABOUT = """\
Replay a policy over what Prometheus remembers: which verdicts when, would it have taken traffic back, and how often
for nothing. Nothing is written to any cluster.

With --candidate-pods or --candidate-selector a candidate of the past is judged against stable, as if its rollout had
begun at --start. Without them each of stable's pods plays the candidate against the others, over and over: whatever is
taken back then is a false alarm."""
EXAMPLES = """\
examples:
  modelrollout backtest -f rollout.yaml --prometheus http://prometheus:9090 --start -7d
  modelrollout backtest -f rollout.yaml --prometheus http://prometheus:9090 --start 2026-01-31T12:00:00Z --end \
2026-01-31T14:00:00Z --onset 2026-01-31T12:40:00Z --candidate-selector 'version="v2"' --html report.html"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = ABOUT, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add(
        "-f",
        "--filename",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="the ModelRollout, or a MetricTemplate that it refers to; may be repeated, - is stdin",
    )
    add("--name", help="which ModelRollout, where the files have several")
    add("--without", action="append", default=[], metavar="METRIC", help="as if the policy had no metric of this name")
    add(
        "--prometheus",
        default=os.environ.get(URL),
        metavar="URL",
        help=f"Prometheus, or what speaks its API; ${URL}, else spec.analysis.prometheus.url of the file",
    )
    add("--header", action="append", default=[], metavar="NAME=VALUE", help="goes with every query: a tenant, a token")
    add("--start", required=True, metavar="TIME", help=f"{FORMS}; a rollout of the candidate begins here")
    add("--end", default="now", metavar="TIME", help="the same (default: now)")
    add("--onset", metavar="TIME", help="when the candidate is known to have become worse")
    add("--candidate-pods", metavar="REGEX", help="names of the candidate's pods: what {{ pods }} is for it")
    add("--candidate-selector", metavar="MATCHERS", help="label matchers of the candidate's series: 'version=\"v2\"'")
    add("--stable-pods", metavar="REGEX", help="names of stable's pods (default: those that begin with the rollout's)")
    add(
        "--stable-selector",
        metavar="MATCHERS",
        help="label matchers of stable's series (default: the opposite of --candidate-selector)",
    )
    for arm in ("candidate", "stable"):
        add(
            f"--{arm}-name",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"what {{{{ workload }}}}, {{{{ service }}}} or {{{{ revision }}}} was for {arm}",
        )
    add("--hold", action="store_true", help="stay at the last step that compares, until --end")
    add("--pods", type=int, default=10, metavar="N", help="of stable's pods so many play the candidate (default: 10)")
    add("--pod-label", metavar="LABEL", help="label with a pod's name (default: what {{ pods }} is held against)")
    add("-o", "--output", choices=("table", "json"), default="table", help="(default: table)")
    add("--html", type=Path, metavar="FILE", help="write a page with plots, which needs nothing else")
    add("-q", "--quiet", action="store_true", help="no progress")


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--start -7d` in one piece: argparse would take -7d for a flag."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] in MOMENTS and argument.startswith("-") and argument[1:2].isdigit():
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found
