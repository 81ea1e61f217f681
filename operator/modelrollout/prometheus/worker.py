"""One thread with one connection to Prometheus, for one query at a time.

A thread because `prometheus-api-client` blocks. One of our own because Python waits for the threads of an executor when
the process ends, and a Prometheus that hangs must not hold up an operator that was told to stop.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import Timeout, disable_warnings
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from modelrollout.prometheus.guard import Adapter, Forbidden, Guard
from modelrollout.prometheus.replies import Data, Reply, Window, answer, misfit, too_big, understood
from modelrollout.promql.query import Answer, Query, Unanswered

logger = logging.getLogger(__name__)

MAX_BYTES = 32 * 2**20  # the largest answer that is read takes about half of it
CHUNK_BYTES = 2**16
LONGEST_GET = 4_000  # characters of a query; servers and proxies take URLs of about 8,000, and a query grows in one
LESS_PATIENT = 0.9  # Prometheus gives up earlier than we do by this factor, so that we hear why


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Prometheus, and how to reach it. `verify`: True, False, or a file of certificate authorities.

    `authority`: the text of such a file, in its place. `guard` judges the addresses that its name leads to. `secrets`
    are not repeated, whoever sends them back.
    """

    url: str = field(repr=False)  # it may have a password in it
    timeout: float
    headers: Mapping[str, str] = field(repr=False)
    verify: bool | str
    authority: str = field(default="", repr=False)
    guard: Guard | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def base(self) -> str:
        """What the paths of the API are appended to."""
        return self.url.rstrip("/")

    @property
    def mistake(self) -> Unanswered | None:
        """Why this is no usable address; it may come from a user's spec."""
        try:
            if urlsplit(self.url).scheme in ("http", "https") and urlsplit(self.url).hostname:
                return None
        except ValueError:
            pass
        why = f"{self.url!r} is no address of a Prometheus; it has to look like http://prometheus:9090"
        return Unanswered(why, rejected=False)

    @property
    def name(self) -> str:
        """For people: without the user and password that a URL may carry."""
        parts = urlsplit(self.base)
        return f"Prometheus at {urlunsplit(parts._replace(netloc=parts.netloc.rpartition('@')[2]))}"

    def hidden(self, text: str) -> str:
        """The text without the secrets: what a server answers may quote what it was shown."""
        for secret in self.secrets:
            text = text.replace(secret, "(hidden)")
        return text

    def was_silent(self) -> Unanswered:
        """The answer for a query that got no reply in time."""
        return Unanswered(f"{self.name} did not answer within {self.timeout:g} s.", rejected=False)


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """`heard`: a reply came, even an error. `in_vain`: no reply came for the whole timeout."""

    answer: Answer
    heard: bool
    in_vain: bool = False


Tell = Callable[[RequestOutcome | Exception], None]


class Worker:
    """Starts at once, takes one query after the other, ends after `stop`."""

    def __init__(self, target: Endpoint) -> None:
        self._target = target
        self._jobs: queue.SimpleQueue[tuple[Query, Tell] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="prometheus", daemon=True)
        self._thread.start()

    def ask(self, query: Query, tell: Tell) -> None:
        """`tell` is called once, in the worker's own thread; with an exception when we have a bug."""
        self._jobs.put((query, tell))

    def stop(self) -> None:
        """End after the query under way."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait until it has ended and closed its connection."""
        self._thread.join()

    def _work(self) -> None:
        session = _Session(self._target)
        with PrometheusConnect(self._target.base, session=session) as client:
            while job := self._jobs.get():
                query, tell = job
                try:
                    outcome: RequestOutcome | Exception = _ask(client, session, self._target, query)
                except Exception as bug:  # noqa: BLE001  # it belongs to the one who waits; the worker goes on
                    outcome = bug
                tell(outcome)


class _DeclinedError(Exception):
    """A reply without data."""

    def __init__(self, answer: Unanswered) -> None:
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Success:
    """The part of requests' Response that the library reads."""

    data: Data
    status_code: int = 200

    def json(self) -> Any:
        return {"data": {"result": self.data}}  # whole: the library would drop the type and the warnings


class _Session(requests.Session):
    """Adds to the library: a deadline for the whole request, a size limit, and replies told apart."""

    def __init__(self, target: Endpoint) -> None:
        super().__init__()
        self._target, self._adapter = target, Adapter(target.guard, target.authority)
        # Looked up once: requests would read the environment and ~/.netrc again for every single query.
        settings = self.merge_environment_settings(target.url, {}, None, target.verify, None)
        self.trust_env, self.verify = False, settings["verify"]
        self.proxies = settings["proxies"] if target.guard is None else {}
        self.headers.update(target.headers)
        if target.verify is False:  # the user chose that; one warning is enough
            logger.warning("The certificate of %s is not verified.", target.name)
            disable_warnings(InsecureRequestWarning)

    def get_adapter(self, url: str | bytes) -> HTTPAdapter:
        return self._adapter  # and not the one that the library puts in place

    def close(self) -> None:
        super().close()
        self._adapter.close()

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str],
        timeout: float,
        **rest: Any,
    ) -> _Success:
        deadline = time.monotonic() + timeout
        # GET as long as it fits: an authorising proxy often allows readers no POST.
        fits = len(params["query"]) <= LONGEST_GET
        with super().request(
            method if fits else "POST",
            url,
            params=params if fits else None,
            data=None if fits else params,
            timeout=Timeout(total=timeout),  # type: ignore[arg-type]  # known to requests, not to its types
            stream=True,
            allow_redirects=False,  # a redirect leads to a login page, and takes a timeout more
            **rest,
        ) as reply:
            body = self._read(reply, deadline)
            got = Reply(reply.status_code, reply.reason or "", reply.headers, body)
        data = understood(got, who=self._target.name)
        if isinstance(data, Unanswered):
            again = understood(_without_secrets(got, self._target), who=self._target.name)
            raise _DeclinedError(again if isinstance(again, Unanswered) else data)
        for warning in data.warnings:
            logger.info("%s warns: %s", self._target.name, self._target.hidden(warning))
        return _Success(data)

    def _read(self, reply: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        for chunk in reply.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BYTES:
                raise _DeclinedError(too_big(MAX_BYTES))
            if time.monotonic() > deadline:
                raise requests.ReadTimeout
        return bytes(body)


def _without_secrets(got: Reply, target: Endpoint) -> Reply:
    """Of a reply that people are told of: numbers of a whole answer stay as they are."""
    headers = CaseInsensitiveDict({name: target.hidden(value) for name, value in got.headers.items()})
    body = target.hidden(got.body.decode(errors="replace")).encode()
    return Reply(got.status, target.hidden(got.reason), headers, body)


def _ask(client: Any, session: _Session, target: Endpoint, query: Query) -> RequestOutcome:
    try:
        data, types, window = _data(client, query, target.timeout)
        read = misfit(data, *types, who=target.name) or answer(data, window, who=target.name)
        return RequestOutcome(read, heard=True)
    except _DeclinedError as declined:
        return RequestOutcome(declined.answer, heard=True)
    except (OSError, HTTPError) as trouble:  # requests' own are OSErrors; some of urllib3's slip through it
        return _not_heard(trouble, target)


def _data(client: Any, query: Query, timeout: float) -> tuple[Data, tuple[str, ...], Window | None]:
    """The data, and of which types they may be. Times in milliseconds, the resolution of Prometheus."""
    start, end = milliseconds(query.start), milliseconds(query.end)
    params = {"timeout": f"{timeout * LESS_PATIENT:.3f}"}
    if query.step is None:
        raw = f"{query.promql}[{end - start}ms]"
        return client.custom_query(raw, {**params, "time": _seconds(end)}, timeout), ("matrix",), (start, end)
    if start == end:
        at_once = client.custom_query(query.promql, {**params, "time": _seconds(end)}, timeout)
        return at_once, ("vector", "scalar"), None
    # The library rounds its own start and end to whole seconds; these replace them.
    params |= {"start": _seconds(start), "end": _seconds(end)}
    step = f"{query.step.total_seconds():.3f}"
    stepped = client.custom_query_range(query.promql, query.start, query.end, step, params, timeout)
    return stepped, ("matrix",), None


def milliseconds(moment: datetime) -> int:
    """Unix time, cut off rather than rounded: two windows that meet at a moment must meet at the same millisecond."""
    return int(moment.timestamp() * 1_000_000 + 0.5) // 1_000


def _seconds(unix_milliseconds: int) -> str:
    return f"{unix_milliseconds / 1_000:.3f}"


def _not_heard(trouble: OSError | HTTPError, target: Endpoint) -> RequestOutcome:
    cause: BaseException = trouble
    while inner := cause.__cause__ or cause.__context__:
        cause = inner  # the library's own words bury it under the names of three classes
    if isinstance(trouble, requests.Timeout) or isinstance(cause, TimeoutError):
        return RequestOutcome(target.was_silent(), heard=False, in_vain=True)
    if isinstance(cause, Forbidden):
        return RequestOutcome(Unanswered(f"{target.name} is not asked: {cause}.", rejected=False), heard=False)
    why = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return RequestOutcome(Unanswered(f"{target.name} did not answer: {why}.", rejected=False), heard=False)
