"""A server that does what a test tells it: it is unready while the file `unready` is there, and notes its signals.

    python server.py --notes FOLDER [--ignore-term] [--exit-after SECONDS] [--code N] [--child]

GET /healthz is 200 or 503; GET / tells what it was started with. It listens on $HOST:$PORT.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--exit-after", type=float)
    parser.add_argument("--code", type=int, default=0)
    parser.add_argument("--child", action="store_true")
    flags = parser.parse_args()
    if flags.exit_after is not None:
        time.sleep(flags.exit_after)
        sys.exit(flags.code)
    children = [subprocess.Popen(["sleep", "600"]).pid] if flags.child else []  # noqa: S607

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            unwell = self.path == "/healthz" and (flags.notes / "unready").exists()
            about = {"env": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "children": children}
            body = json.dumps(about).encode()
            self.send_response(503 if unwell else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)

    def on_term(*_: object) -> None:
        (flags.notes / f"term-{os.environ['HOSTNAME']}").write_text(str(time.time()))
        if not flags.ignore_term:
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, on_term)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
