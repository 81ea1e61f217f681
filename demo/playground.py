"""`python -m demo.playground`: a cluster on this machine with the operator in it, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from demo.folder import claimed
from demo.operator_process import IMAGE, Operator, OperatorFailedError, operator
from demo.trouble import TROUBLE
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.processes.signals import run_until_told
from modelrollout.api.crd import definitions

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> int:
    flags = _flags()
    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s: %(message)s")
    try:
        with claimed(flags.directory, "sandbox"):
            return run_until_told(_run(flags))
    except TROUBLE as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.playground", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("build/sandbox"), help="where files and logs go")
    parser.add_argument("--context", help="use the existing cluster of this kubeconfig context")
    parser.add_argument("--no-operator", action="store_true", help="leave the operator to you")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        type=_image,
        metavar="NAME=FOLDER",
        help="a folder that stands for an image (modelrollout.dev/digits is there)",
    )
    return parser.parse_args()


def _image(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder).is_dir()):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER with an existing folder")
    return name, Path(folder).resolve()


def images(more: Mapping[str, Path] | None = None) -> dict[str, Path]:
    """The example images, the operator's own, and `more`."""
    return {"modelrollout.dev/digits": EXAMPLES / "digits", IMAGE: EXAMPLES.parent / "operator", **(more or {})}


async def _run(flags: argparse.Namespace) -> None:
    sys.stdout.write("Starting the local cluster …\n")
    async with AsyncExitStack() as parts:
        directory = flags.directory.resolve()
        place = await parts.enter_async_context(
            local_cluster(directory, images=images(dict(flags.image)), definitions=definitions(), context=flags.context)
        )
        beside: Operator | None = None
        if not flags.no_operator:
            beside = await parts.enter_async_context(
                operator(place.kubernetes.kubeconfig, place.metrics.url, directory / "logs" / "operator.log")
            )
            place.metrics.scrape_beside(beside.address)
        sys.stdout.write(_welcome(place, beside))
        sys.stdout.flush()
        if beside is None:
            await asyncio.Event().wait()
        else:
            code = await beside.ended()
            raise OperatorFailedError(f"The operator ended with code {code}; see {beside.log}.")


def _welcome(place: LocalCluster, beside: Operator | None) -> str:
    kubernetes = place.kubernetes
    rows = {
        "Kubernetes": f"{kubernetes.url} ({kubernetes.kind}, {kubernetes.version})",
        "Gateway": f"{place.gateway.url} (Envoy's own pages: {place.gateway.admin_url})",
        "Prometheus": place.metrics.url,
        "Operator": f"{beside.url}/metrics"
        if beside
        else f"not started; modelrollout run --kubeconfig {kubernetes.kubeconfig} --prometheus-url {place.metrics.url}",
        "Logs": str(place.directory / "logs"),
    }
    lines = [f"  {name:<11} {value}" for name, value in rows.items()]
    exports = [f"export KUBECONFIG={kubernetes.kubeconfig}", f"export GATEWAY={place.gateway.url}"]
    return "\n".join([*lines, "", *exports, "", "Ctrl-C ends all of it.", ""])


if __name__ == "__main__":
    sys.exit(main())
