"""The built-in API server as a process: `python -m localcluster.apiserver --certificate … --key …`.

It reads its token from the environment, listens on a free loopback port and writes its address to a file.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import ssl
from pathlib import Path

from aiohttp import web

from localcluster.apiserver.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localcluster.apiserver", description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--service-cluster-ip-range", required=True)
    parser.add_argument("--announce", type=Path, required=True, help="the file that the address is written to")
    arguments = parser.parse_args()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(arguments.certificate, arguments.key)
    server = Server(os.environ["LOCALCLUSTER_TOKEN"], arguments.service_cluster_ip_range)
    asyncio.run(serve(server, tls, arguments.announce))


async def serve(server: Server, tls: ssl.SSLContext, announce: Path) -> None:
    """Serve until told to stop."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    # Watches end with their client, not at the next event they would have sent it.
    runner = web.AppRunner(server.app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    gc.freeze()  # schemas live as long as the process; collecting around them costs milliseconds each time
    _write_whole(announce, f"https://127.0.0.1:{runner.addresses[0][1]}")
    await stopped.wait()
    await runner.cleanup()


def _write_whole(path: Path, content: str) -> None:
    """Writes the whole file at once: a reader never sees half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(content)
    draft.replace(path)


if __name__ == "__main__":
    main()
