"""Chat, pagers and e-mail, by Apprise. It knows how each service is asked; we say which may be, and for how long.

The author of a ModelRollout chooses the address. So of its many services those are allowed whose host is the service's
own, and e-mail; and of their options those that neither read files nor change how connections are made.
"""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from modelrollout.delivery.addresses import Forbidden, require_allowed
from modelrollout.delivery.deliverer import Undelivered

if TYPE_CHECKING:
    import apprise

SERVICES = (
    *("slack", "workflow", "workflows", "pagerduty", "opsgenie", "splunk", "victorops", "discord", "gchat", "tgram"),
    *("webex", "wxteams", "mailto", "mailtos"),
)
"""What an address in a rollout's Secret may begin with; `workflows` is Microsoft Teams."""
_HOSTS = {
    "workflow": (".logic.azure.com", ".api.powerplatform.com", ".logic.azure.us"),
    "workflows": (".logic.azure.com", ".api.powerplatform.com", ".logic.azure.us"),
}
"""The ends of hosts, where a service's address has one that is chosen from several of its own."""
_OPTIONS = frozenset(
    [
        *("to", "from", "name", "cc", "bcc", "reply", "smtp", "user", "pass", "mode"),  # e-mail
        *("region", "severity", "priority", "group", "class", "click", "dedup", "entity", "alias", "tags"),  # pagers
        *("token", "thread", "topic", "channel", "bot", "key", "workspace", "silent", "preview"),  # chat
        *("apikey", "route", "routeid", "sig", "ver", "id", "pa", "powerautomate"),
    ]
)
_SECONDS = 15
_AT_A_TIME = ThreadPoolExecutor(max_workers=16, thread_name_prefix="apprise")  # Apprise waits; the event loop does not
_KINDS = {"Promoted": "success", "Started": "info", "WaitingForPerson": "warning", "TrafficShareMismatch": "warning"}
"""How Apprise colours a topic, and how urgent pagers take it; all others are failures."""


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    text: str
    topic: str


async def send(url: str, message: Message, *, is_trusted: bool) -> None:
    """One attempt. Raises Undelivered."""
    if not is_trusted and (why := refusal(url)) is not None:
        raise Undelivered(why)
    loop = asyncio.get_running_loop()
    service = await loop.run_in_executor(_AT_A_TIME, _service, url)
    if service is None:
        raise Undelivered("its address is not one that Apprise understands")
    if not is_trusted and (host := getattr(service, "smtp_host", None)):
        try:
            await require_allowed(host)
        except Forbidden as why:
            raise Undelivered(f"{why}") from None
        except OSError:
            raise Undelivered("its mail server is not known") from None
    if (trouble := await loop.run_in_executor(_AT_A_TIME, _sent, service, message)) is not None:
        raise Undelivered(trouble)


def refusal(url: str) -> str | None:
    """Why an address of a user's choice is not used; None where it may be. Says nothing of what it holds."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in SERVICES:
        known = ", ".join(("https", *SERVICES))
        return f"its address begins with none of these: {known}"
    try:
        parts = urlsplit(f"//{rest}")
        host, options = parts.hostname or "", parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return "its address is not a URL"
    if (wrong := {name.lower() for name in options} - _OPTIONS) != set():
        return f"its address has an option that is not allowed here: {', '.join(sorted(_plain(wrong)))}"
    ends = _HOSTS.get(scheme.lower())
    return (
        None if ends is None or host.endswith(ends) else f"its host does not end with one of these: {', '.join(ends)}"
    )


def _plain(names: set[str]) -> set[str]:
    """Names as they may be shown: what is no plain word may be part of a secret."""
    return {name if re.fullmatch("[a-z]{1,12}", name) else "…" for name in names}


def _service(url: str) -> apprise.NotifyBase | None:
    """Reads no files, keeps none, follows no redirect, and logs nothing: its log would have the address."""
    import apprise  # it reads more than a hundred modules, which few operators need

    _silence()
    asset = apprise.AppriseAsset(
        storage_mode="memory", service_timeout=_SECONDS, allow_templates=False, http_redirects=False,
        pgp_autogen=False, pem_autogen=False,
    )  # fmt: skip
    return apprise.Apprise.instantiate(url, asset=asset)


def _sent(service: apprise.NotifyBase, message: Message) -> str | None:
    """None: it was sent. Otherwise why it was not."""
    import apprise

    said: list[str] = []
    sender = apprise.Apprise()
    sender.add(service)
    kind = _KINDS.get(message.topic, "failure")
    result = sender.notify(
        message.text, message.title, kind, body_format="text", timeout=_SECONDS,
        log_callback=lambda entry, _: said.append(entry.message),
    )  # fmt: skip
    if result:
        return None
    code = next((found[1] for line in said if (found := re.search(r"error=(\d{3})\b", line))), None)
    return f"the service answered {code}" if code else "the service did not take it, or cannot be reached"


def _silence() -> None:
    log = logging.getLogger("apprise")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
