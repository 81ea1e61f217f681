"""`python -m modelrollout.delivery.sender` sends one message by Apprise: from stdin as JSON; to stdout why it failed.

Where the author of a ModelRollout chose the address, services are allowed that people are told by, and of their options
those that neither read files nor change how connections are made. Nothing is written but that sentence, which has
nothing of the address.
"""

from __future__ import annotations

import json
import re
import resource
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from modelrollout.delivery.addresses import Forbidden, is_forbidden

SERVICES = (
    *("slack", "workflow", "workflows", "discord", "gchat", "webex", "wxteams", "tgram", "mmost", "mmosts"),
    *("rocket", "rockets", "ntfy", "ntfys", "gotify", "gotifys"),  # chat; `workflows` is Microsoft Teams
    *("pagerduty", "opsgenie", "splunk", "victorops"),  # pagers
    *("mailto", "mailtos"),
)
"""What an address in a rollout's Secret may begin with."""
OPTIONS = frozenset(
    [
        *("to", "from", "name", "cc", "bcc", "reply", "smtp", "user", "pass", "mode"),  # e-mail
        *("region", "severity", "priority", "group", "class", "click", "dedup", "entity", "alias", "tags"),  # pagers
        *("token", "thread", "topic", "channel", "bot", "key", "workspace", "silent", "preview"),  # chat
        *("apikey", "route", "routeid", "sig", "sv", "sp", "ver", "id", "pa", "powerautomate", "api-version"),
    ]
)
_SECONDS = 20
_MEMORY = 96 << 20
"""Bytes; an answer has no other limit. Sending takes 47 MB, also by TLS and e-mail. All of this counts for the limit of
the operator's container."""
_KINDS = {"Promoted": "success", "Started": "info", "WaitingForPerson": "warning", "TrafficShareMismatch": "warning"}
"""How Apprise colours a topic, and how urgent pagers take it; all others are failures."""


def main() -> None:
    message = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    if not message["is_trusted"]:
        refuse_forbidden_addresses()
    sys.stdout.write(_sent(message))


def refuse_forbidden_addresses() -> None:
    """Of this whole process: every connection of the standard library asks this function for its address."""
    resolve: Callable[..., Any] = socket.getaddrinfo

    def guarded(*args: Any, **options: Any) -> Any:
        found = resolve(*args, **options)
        if any(is_forbidden(str(one[4][0])) for one in found):
            raise Forbidden
        return found

    socket.getaddrinfo = guarded


def _sent(message: Mapping[str, Any]) -> str:
    """Why it was not sent; empty when it was."""
    scheme = message["url"].partition("://")[0].lower()
    if not message["is_trusted"] and scheme not in (*SERVICES, "https"):
        return f"its address begins with none of these: {', '.join(('https', *SERVICES))}"
    import apprise

    address = apprise.plugins.url_to_dict(message["url"])  # type: ignore[no-untyped-call]
    if address is None:
        return "its address is not one that Apprise understands"
    if not message["is_trusted"] and (refusal := _refusal(address)):
        return refusal
    asset = apprise.AppriseAsset(
        storage_mode="memory", allow_templates=False, http_redirects=False, pgp_autogen=False, pem_autogen=False
    )
    if (service := apprise.Apprise.instantiate(address, asset=asset)) is None:
        return "its address is not one that Apprise understands"
    return _notified(service, message)


def _refusal(address: Mapping[str, Any]) -> str:
    """Why an address, as Apprise itself reads it, is not used."""
    if address["schema"] not in SERVICES:
        return f"its address begins with none of these: {', '.join(SERVICES)}"
    if wrong := {name.lower() for name in address.get("qsd") or ()} - OPTIONS:
        named = sorted(
            name if re.fullmatch("[a-z]{1,12}", name) else "…" for name in wrong
        )  # it may be part of a token
        return f"its address has an option that is not allowed here: {', '.join(named)}"
    return ""


def _notified(service: Any, message: Mapping[str, Any]) -> str:
    import apprise

    said: list[str] = []
    sender = apprise.Apprise()
    sender.add(service)
    is_sent = sender.notify(
        message["text"],
        message["title"],
        _KINDS.get(message["topic"], "failure"),
        body_format="text",
        timeout=_SECONDS,
        log_callback=lambda entry, _: said.append(entry.message),
    )
    if is_sent:
        return ""
    if any("raised an exception" in line for line in said):
        return "the answer of the service is too large, or makes no sense"
    code = next((found[1] for line in said if (found := re.search(r"error=(\d{3})\b", line))), None)
    return f"the service answered {code}" if code else "the service did not take it, or cannot be reached"


if __name__ == "__main__":
    main()
