"""A model server for handwritten digits: trains its version at start, answers over HTTP, shows metrics to Prometheus.

    python server.py --version v1        # listens on $HOST:$PORT, else 127.0.0.1:8080

POST /predict `{"features": [64 numbers from 0 to 16]}` → `{"label": 3, "version": "v1"}`; every reply names its version
in the header `x-model-version`. A request may carry the true label in `x-true-label`: it stands for the label that in
real life arrives later, and is all that `model_labelled_total` and `model_correct_total` know. Users keep some of the
answers that they are shown as they are; an application would count these, and here the server does
(`model_answers_shown_total`, `model_answers_kept_total`). Nobody is shown the answer to a copy, which has the header
`x-modelrollout-shadow`.
GET /healthz is 200 once the model is trained, and 503 before that and while stopping. GET /metrics is for Prometheus.

The versions are made to differ in what a rollout has to notice (how each was trained is in model.py):
v1 sound (94 % right, 55 % kept) · v2 better (97 %, 80 % kept) · v3 like v2, but one request in five fails · v4 quietly
wrong (76 %, no errors, same latency; 30 % kept) · v5 like v2, but 40 ms slower · v6 like v2, but crashes a few seconds
after it became ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from aiohttp import web
from model import Model
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, disable_created_metrics, generate_latest

logger = logging.getLogger("digits")

MILLISECONDS = (0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 250, 500)
QUIET = 0.25  # seconds without a request after which nobody is taken to send us more
LAST_CALL = 3.0  # seconds after which a stopping server leaves even if somebody still sends
FAILURES_SEED, KEEPING_SEED = 1, 2


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a version behaves as a server."""

    failing: float = 0.0  # share of requests
    extra_seconds: float = 0.0  # on each request
    crashes_after: float | None = None  # seconds of being ready
    kept: float = 0.8  # share of its answers that users keep


CONDUCT = {
    "v1": Conduct(kept=0.55),
    "v2": Conduct(),
    "v3": Conduct(failing=0.2),
    "v4": Conduct(kept=0.3),
    "v5": Conduct(extra_seconds=0.040),
    "v6": Conduct(crashes_after=5.0),
}

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this one untyped
# Probes and scrapes are not counted: at a few requests a second they would pass for successful predictions.
REQUESTS = Counter("http_requests_total", "Answered requests for predictions.", ["method", "path", "code"])
DURATION = Histogram(
    "http_request_duration_seconds", "Time to answer them.", ["method", "path"], buckets=[m / 1e3 for m in MILLISECONDS]
)
PREDICTIONS = Counter("model_predictions_total", "Predictions by the class that was predicted.", ["class"])
LABELLED = Counter("model_labelled_total", "Predictions whose true label became known.")
CORRECT = Counter("model_correct_total", "Predictions whose true label became known and was the one predicted.")
SHOWN = Counter("model_answers_shown_total", "Answers that a user was shown.")
KEPT = Counter("model_answers_kept_total", "Answers that a user was shown and kept as they are.")

# Shown as 0 from the first scrape on: a counter that appears together with its first event hides that event.
for code in ("200", "400", "500"):
    REQUESTS.labels("POST", "/predict", code)
for digit in range(10):
    PREDICTIONS.labels(str(digit))
DURATION.labels("POST", "/predict")


class PredictionError(Exception):
    """The version's own bug: the request is answered with 500."""


class Server:
    """One version behind HTTP; it listens before it is trained, and is ready after."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._conduct = CONDUCT[version]
        self._model: Model | None = None
        self._luck = random.Random(FAILURES_SEED)  # noqa: S311, it only decides who is unlucky
        self._taste = random.Random(KEEPING_SEED)  # noqa: S311, it only decides what users like
        self._leaving = False
        self._in_flight = 0
        self._last_request = 0.0

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._signed])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/predict", self._predict)
        return app

    async def train(self) -> None:
        """Load the model; requests are answered with 503 until then, as by any server that loads one."""
        self._model = await asyncio.to_thread(Model, self.version)
        logger.info("%s is ready", self.version)
        if self._conduct.crashes_after is not None:
            await asyncio.sleep(self._conduct.crashes_after)
            sys.stderr.write(f"{self.version}: fatal: free(): invalid pointer\n")
            os._exit(134)  # what a native library's abort() looks like to a container runtime

    async def leave(self) -> None:
        """Return when it has been quiet for a moment; who still sends is answered, and told to go elsewhere."""
        self._leaving = True
        self._last_request = started = perf_counter()
        while perf_counter() - started < LAST_CALL:
            if self._in_flight == 0 and perf_counter() - self._last_request >= QUIET:
                break
            await asyncio.sleep(QUIET / 10)

    @web.middleware
    async def _signed(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self._in_flight += 1
        try:
            reply = await handler(request)
        except web.HTTPException as refusal:  # no such path, no such method: aiohttp's own replies
            reply = web.Response(status=refusal.status, text=refusal.text, headers=_allowed(refusal))
        finally:
            self._in_flight -= 1
        if request.path not in ("/healthz", "/metrics"):
            self._last_request = perf_counter()
        reply.headers["x-model-version"] = self.version
        if self._leaving:
            reply.force_close()
        return reply

    async def _healthz(self, _: web.Request) -> web.Response:
        if self._leaving:
            return web.Response(status=503, text="stopping\n")
        if self._model is None:
            return web.Response(status=503, text="training\n")
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _predict(self, request: web.Request) -> web.Response:
        started = perf_counter()
        status, answer = await self._answer(request)
        DURATION.labels("POST", "/predict").observe(perf_counter() - started)
        REQUESTS.labels("POST", "/predict", str(status)).inc()
        return web.json_response({**answer, "version": self.version}, status=status)

    async def _answer(self, request: web.Request) -> tuple[int, dict[str, object]]:
        if self._model is None:
            return 503, {"error": "the model is still training"}
        try:
            pixels = _pixels(await request.read())
            label = await self._prediction(self._model, pixels)
        except ValueError as mistake:
            return 400, {"error": str(mistake)}
        except PredictionError as failure:
            return 500, {"error": str(failure)}
        self._count(label, request.headers.get("x-true-label"))
        if "x-modelrollout-shadow" not in request.headers:
            self._show()
        return 200, {"label": label}

    async def _prediction(self, model: Model, pixels: list[float]) -> int:
        if self._conduct.extra_seconds:
            await asyncio.sleep(self._conduct.extra_seconds)
        if self._luck.random() < self._conduct.failing:
            raise PredictionError("the feature store's replica is out of date")
        return model.label(np.array(pixels))

    def _count(self, label: int, truth: str | None) -> None:
        PREDICTIONS.labels(str(label)).inc()
        if truth is None or not truth.isdecimal():
            return
        LABELLED.inc()
        if int(truth) == label:
            CORRECT.inc()

    def _show(self) -> None:
        SHOWN.inc()
        if self._taste.random() < self._conduct.kept:
            KEPT.inc()


def _pixels(body: bytes) -> list[float]:
    """The features of a request; ValueError says what is wrong with them."""
    try:
        features = json.loads(body)["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError('the body has to be JSON: {"features": [64 numbers]}') from None
    if not isinstance(features, list) or len(features) != 64:
        raise ValueError("features has to be a list of 64 numbers")
    if not all(isinstance(f, int | float) and not isinstance(f, bool) and 0 <= f <= 16 for f in features):
        raise ValueError("features has to hold numbers from 0 to 16")
    return features


def _allowed(refusal: web.HTTPException) -> dict[str, str]:
    return {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}


async def serve(version: str, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished."""
    server = Server(version)
    runner = web.AppRunner(server.app(), access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    for address in runner.addresses:
        logger.info("%s listens on http://%s:%d", version, *address[:2])
    async with asyncio.TaskGroup() as tasks:  # a failed training ends the process
        training = tasks.create_task(server.train())
        await told.wait()
        await server.leave()
        training.cancel()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve one version of the digits model.")
    parser.add_argument("--version", required=True, choices=list(CONDUCT))
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8080")))
    wish = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(serve(wish.version, wish.host, wish.port))


if __name__ == "__main__":
    main()
