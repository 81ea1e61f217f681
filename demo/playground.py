"""`python -m demo.playground`: a cluster on this machine with the operator in it, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from demo.operator_process import Operator, OperatorFailedError, operator
from localcluster.cluster import Sandbox, sandbox
from localcluster.gateway.envoy import GatewayError
from localcluster.kubernetes import NotStartedError
from localcluster.metrics import PrometheusFailedError, PrometheusMissingError
from localcluster.pods import NoAddressError
from localcluster.processes.signals import run_until_told
from modelrollout.api.crd import definitions
from modelrollout.kube import KubeError

EXAMPLES = Path(__file__).parents[1] / "examples"
EXPECTED = (
    GatewayError,
    KubeError,
    NotStartedError,
    NoAddressError,
    PrometheusMissingError,
    PrometheusFailedError,
    OperatorFailedError,
)


class BusyError(Exception):
    """Another sandbox uses the directory."""


def main() -> int:
    flags = _flags()
    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s: %(message)s")
    try:
        with _claimed(flags.directory):
            return run_until_told(_run(flags))
    except (*EXPECTED, BusyError) as error:
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
    """The example images and `more`."""
    return {"modelrollout.dev/digits": EXAMPLES / "digits", **(more or {})}


async def _run(flags: argparse.Namespace) -> None:
    sys.stdout.write("Starting the sandbox …\n")
    async with AsyncExitStack() as parts:
        directory = flags.directory.resolve()
        place = await parts.enter_async_context(
            sandbox(directory, images=images(dict(flags.image)), definitions=definitions(), context=flags.context)
        )
        beside: Operator | None = None
        if not flags.no_operator:
            beside = await parts.enter_async_context(
                operator(place.kubernetes.kubeconfig, place.metrics.url, directory / "logs" / "operator.log")
            )
        sys.stdout.write(_welcome(place, beside))
        sys.stdout.flush()
        if beside is None:
            await asyncio.Event().wait()
        else:
            code = await beside.ended()
            raise OperatorFailedError(f"The operator ended with code {code}; see {beside.log}.")


def _welcome(place: Sandbox, beside: Operator | None) -> str:
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
    return "\n".join([*lines, "", f"export KUBECONFIG={kubernetes.kubeconfig}", "", "Ctrl-C ends all of it.", ""])


@contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    """Two sandboxes in one directory would write each other's files."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"A sandbox runs in {directory} already; --directory names another place.") from error
        yield


if __name__ == "__main__":
    sys.exit(main())
