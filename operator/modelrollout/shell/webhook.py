"""The admission webhook's port: AdmissionReviews over HTTPS. `admission.py` decides the answers."""

from __future__ import annotations

import json
import logging
import ssl
from pathlib import Path
from typing import Protocol

from aiohttp import web

from modelrollout.shell.admission import Advisor, NotAReviewError

logger = logging.getLogger(__name__)

PATH = "/review"
CERTIFICATE, KEY = "tls.crt", "tls.key"
"""The file names of a mounted Secret of type kubernetes.io/tls."""
LARGEST_REVIEW = 16 * 2**20
"""Bytes of a review: it holds an object twice, and an object may have 3 MiB."""


class CertificateError(ValueError):
    """The files cannot be used; the message names the folder."""


class Certificate:
    """A certificate and its key in a folder, read again when they change: they are renewed while we run."""

    def __init__(self, folder: Path) -> None:
        """Raises CertificateError."""
        self._folder = folder
        self._stamp, self._context = self._read()
        self._refused = self._stamp  # files that could not be used are not tried, and logged, again at every connection

    def server_context(self) -> ssl.SSLContext:
        """For a server: every connection gets the certificate that is there when it begins."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._choose  # called for every handshake, even if it names no server
        return context

    def _choose(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        stamp = self._now()
        if stamp not in (self._stamp, self._refused):
            try:
                self._stamp, self._context = self._read()
                logger.info("The webhook's certificate in %s was renewed.", self._folder)
            except CertificateError as error:  # in the middle of being replaced, perhaps
                self._refused = stamp
                logger.warning("%s The one from before is still used.", error)
        connection.context = self._context

    def _read(self) -> tuple[tuple[int, ...], ssl.SSLContext]:
        stamp, context = self._now(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or str(error)
            raise CertificateError(
                f"{CERTIFICATE} and {KEY} in {self._folder} (--webhook-certificates) cannot be used: {why}."
            ) from None
        return stamp, context

    def _now(self) -> tuple[int, ...]:
        """Changes when one of the files does."""
        found = []
        for name in (CERTIFICATE, KEY):
            try:
                state = (self._folder / name).stat()
                found += [state.st_mtime_ns, state.st_ino]
            except OSError:
                found += [0, 0]
        return tuple(found)


class Identity(Protocol):
    """Where the server's certificate comes from."""

    def server_context(self) -> ssl.SSLContext:
        """For a server: every connection gets the certificate that is there when it begins."""


class Webhook:
    """An HTTPS server that runs between `start` and `stop`."""

    def __init__(self, advisor: Advisor, certificate: Identity, host: str, port: int) -> None:
        self._advisor, self._certificate, self._host, self._port = advisor, certificate, host, port
        app = web.Application(client_max_size=LARGEST_REVIEW)
        app.add_routes([web.post(PATH, self._review)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self) -> int:
        """Listens; returns the port, which is a free one when 0 was asked for. Raises OSError when it is taken."""
        await self._runner.setup()
        tls = self._certificate.server_context()
        await web.TCPSite(self._runner, self._host, self._port, ssl_context=tls).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _review(self, request: web.Request) -> web.Response:
        try:
            review = json.loads(await request.read())
        except ValueError:
            return web.Response(status=400, text="This is not JSON.\n")
        try:
            return web.json_response(await self._advisor.review(review))
        except NotAReviewError as error:
            return web.Response(status=400, text=f"{error}\n")
