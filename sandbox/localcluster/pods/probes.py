"""Probes: is a container started, alive, ready? Asked over HTTP, TCP or a command, counted as the kubelet counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import aiohttp

from localcluster.pods.environment import UnsupportedError

UNSET_PERIOD = 10.0  # what an API server writes where no period is given …
QUICK_PERIOD = 1.0  # … which here means this: nobody waits ten seconds for a process on the same machine
EAGER_PERIOD = 0.25  # between the first looks, until something is ready for the first time
KINDS = ("httpGet", "tcpSocket", "exec")

Answer = tuple[bool, str]  # passed, and why not
Execute = Callable[[list[str]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container, its numbers settled and its port known."""

    purpose: Literal["startup", "liveness", "readiness"]
    action: Mapping[str, Any]
    delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, container: Mapping[str, Any], purpose: Literal["startup", "liveness", "readiness"]) -> Self | None:
        """The container's probe for this purpose, if it has one. Raises `UnsupportedError`."""
        given = container.get(f"{purpose}Probe")
        if not given:
            return None
        kind = next((kind for kind in KINDS if kind in given), None)
        if kind is None:
            raise UnsupportedError(f"{purpose}Probe: the local cluster does {', '.join(KINDS)}, not {', '.join(given)}")
        period, failures = float(given.get("periodSeconds") or UNSET_PERIOD), int(given.get("failureThreshold") or 3)
        if purpose == "startup":  # the patience stays as long as it was given; only looking gets quicker
            period, failures = QUICK_PERIOD, max(1, round(failures * period / QUICK_PERIOD))
        elif purpose == "readiness" and period == UNSET_PERIOD:
            period = QUICK_PERIOD
        return cls(
            purpose=purpose,
            action={"kind": kind, **given[kind], "port": _port(container, given[kind].get("port"))},
            delay=float(given.get("initialDelaySeconds") or 0),
            period=period,
            timeout=float(given.get("timeoutSeconds") or 1),
            successes=int(given.get("successThreshold") or 1),
            failures=failures,
        )

    async def verdicts(self, ask: Callable[[Probe], Awaitable[Answer]]) -> AsyncGenerator[Answer]:
        """Ask for ever; the first verdict and each later change of it, as the thresholds decide."""
        await asyncio.sleep(self.delay)
        verdict: bool | None = None
        streak, before, eager = 0, None, self.purpose == "readiness"
        while True:
            passed, why = await ask(self)
            streak = streak + 1 if passed == before else 1
            before, eager = passed, eager and not passed
            if streak >= (self.successes if passed else self.failures) and passed != verdict:
                verdict = passed
                yield passed, why
            await asyncio.sleep(min(EAGER_PERIOD, self.period) if eager else self.period)


async def ask(probe: Probe, address: str, session: aiohttp.ClientSession, execute: Execute) -> Answer:
    """Ask once; whatever goes wrong is an answer."""
    action = probe.action
    host = action.get("host") or address
    try:
        async with asyncio.timeout(probe.timeout):
            match action["kind"]:
                case "exec":
                    return await execute(list(action.get("command") or ()))
                case "tcpSocket":
                    return await _connect(host, action["port"])
                case _:
                    return await _get(session, host, action)
    except TimeoutError:
        return False, f"{probe.purpose} probe failed: no answer within {probe.timeout:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return False, f"{probe.purpose} probe failed: {error}"


async def _connect(host: str, port: int) -> Answer:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True, ""


async def _get(session: aiohttp.ClientSession, host: str, action: Mapping[str, Any]) -> Answer:
    scheme, path = (action.get("scheme") or "HTTP").lower(), (action.get("path") or "/").lstrip("/")
    url = f"{scheme}://{host}:{action['port']}/{path}"
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
    async with session.get(url, headers=headers, allow_redirects=False, ssl=False) as reply:
        return 200 <= reply.status < 400, f"HTTP probe failed with statuscode: {reply.status}"


def _port(container: Mapping[str, Any], port: int | str | None) -> int:
    """A port by number or by the name that the container gave it; 0 for a probe without one."""
    if port is None:
        return 0
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise UnsupportedError(f"a probe names port {port!r}, which container {container['name']} does not declare")
