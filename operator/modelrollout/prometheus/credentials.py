"""What a Prometheus is shown: the operator's own, from the files of a mounted Secret, which no other server is shown;
and one that a rollout names, from a Secret of the rollout's namespace."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

logger = logging.getLogger(__name__)

TOKEN, USERNAME, PASSWORD, HEADERS, AUTHORITY = "token", "username", "password", "headers", "ca.crt"
"""The names of the files: a bearer token; a user with a password; headers, one `Name: value` a line; authorities."""
NAMES = (TOKEN, USERNAME, PASSWORD, HEADERS, AUTHORITY)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~`-]+")
_OF_THE_REQUEST = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
"""Headers by which a request would be another one, or two."""


class CredentialsError(ValueError):
    """The files cannot be used; the message names the folder and has nothing of their content."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What goes with every request, and the authorities (PEM) that sign the server's certificate. Not to be printed."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    authority: str = field(default="", repr=False)  # empty: the usual ones

    @classmethod
    def of(cls, found: Mapping[str, str]) -> Self:
        """From texts by those names. Raises ValueError with what is wrong, and with nothing of the texts."""
        known = {name: found[name].strip() for name in NAMES if name in found}
        if why := _fault(known):
            raise ValueError(why)
        return cls(tuple(_headers(known)), known.get(AUTHORITY, ""))


class Credentials:
    """Files of a folder, read again and again: tokens are rotated while we run."""

    def __init__(self, folder: Path) -> None:
        """Raises CredentialsError."""
        self._folder = folder
        self._shown = self._read()
        self._complaint = ""

    def shown(self) -> Shown:
        """As the files are now; while they cannot be used, as they were."""
        try:
            self._shown, self._complaint = self._read(), ""
        except CredentialsError as error:  # in the middle of being replaced, perhaps
            if str(error) != self._complaint:
                logger.warning("%s Those from before are still used.", error)
            self._complaint = str(error)
        return self._shown

    def _read(self) -> Shown:
        try:
            return Shown.of({name: (self._folder / name).read_text() for name in NAMES if self._has(name)})
        except UnicodeDecodeError:
            raise self._mistake("they are not text") from None
        except (OSError, ValueError) as error:
            raise self._mistake(getattr(error, "strerror", None) or str(error)) from None

    def _has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def _mistake(self, why: str) -> CredentialsError:
        return CredentialsError(f"The files in {self._folder} (--prometheus-credentials) cannot be used: {why}.")


def _fault(found: dict[str, str]) -> str | None:
    if not found:
        return f"there is none of {TOKEN}, {USERNAME}, {PASSWORD}, {HEADERS} and {AUTHORITY}"
    if (USERNAME in found) != (PASSWORD in found):
        return f"{USERNAME} and {PASSWORD} go together"
    if TOKEN in found and USERNAME in found:
        return f"there are both {TOKEN} and {USERNAME}"
    if "\n" in found.get(TOKEN, ""):
        return f"{TOKEN} has more than one line"
    if not _is_sendable(found.get(TOKEN, "")):
        return f"{TOKEN} has letters that no header may have"
    if not found.get(AUTHORITY, "").isascii():
        return f"{AUTHORITY} is not in PEM"
    return next(_faults_of_headers(found.get(HEADERS, "")), None)


def _faults_of_headers(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if line.strip() and not (colon and _HEADER_NAME.fullmatch(name) and _is_sendable(value)):
            yield f"line {number} of {HEADERS} is not like X-Scope-OrgID: tenant"
        if name.lower() in _OF_THE_REQUEST:
            yield f"line {number} of {HEADERS} is about the request itself: leave it out"


def _is_sendable(value: str) -> bool:
    """Whether a header may have it. Who sends another one is told so in words that repeat it."""
    return value.isascii() and value.isprintable()


def _headers(found: dict[str, str]) -> Iterator[tuple[str, str]]:
    if TOKEN in found:
        yield "Authorization", f"Bearer {found[TOKEN]}"
    elif USERNAME in found:
        pair = f"{found[USERNAME]}:{found[PASSWORD]}".encode()
        yield "Authorization", f"Basic {base64.b64encode(pair).decode()}"
    for line in filter(str.strip, found.get(HEADERS, "").splitlines()):
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()
