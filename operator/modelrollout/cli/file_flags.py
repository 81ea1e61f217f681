"""The command lines of `modelrollout lint` and `modelrollout render`. They import nothing of a cluster."""

from __future__ import annotations

import argparse


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="YAML or JSON with any number of objects; - is the standard input. What a ModelRollout names (templates "
        "of metrics, a workload, a route) is looked for in these files as well",
    )
    parser.add_argument("-n", "--namespace", default="default", help="of objects that say none (default: %(default)s)")
