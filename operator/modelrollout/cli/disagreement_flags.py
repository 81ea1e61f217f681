"""The command line of `modelrollout disagreements`. It imports nothing of a cluster: `--help` is there at once."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the ModelRollout")
    parser.add_argument("-n", "--namespace", help="its namespace; that of the context when left out")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="json: all that is kept")
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig to use; else $KUBECONFIG or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig")
