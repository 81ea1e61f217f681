"""A shop that is quick to start: every second user buys, and a version fails while there is a file of its name.

    python server.py --version v1 --notes FOLDER

POST / sells or fails, GET /healthz is 200, GET /metrics is for Prometheus. It listens on $HOST:$PORT.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--notes", type=Path, required=True)
    flags = parser.parse_args()
    counts, turn, dice = Counter[str](), threading.Lock(), random.Random(flags.version)  # noqa: S311

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fails = (flags.notes / flags.version).exists()
            with turn:
                counts["came"] += 1
                counts["failed"] += fails
                counts["bought"] += dice.random() < 0.5
            self._reply(500 if fails else 200, '{"label": 1}')

        def do_GET(self) -> None:
            names = ("came", "failed", "bought") if self.path == "/metrics" else ()
            self._reply(200, "".join(f"shop_{name}_total {counts[name]}\n" for name in names))

        def _reply(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("x-model-version", flags.version)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
