"""What the operator shows to its own Prometheus, from the files of a mounted Secret. No other server is shown it."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

TOKEN, USERNAME, PASSWORD, HEADERS, AUTHORITY = "token", "username", "password", "headers", "ca.crt"
"""The names of the files: a bearer token; a user with a password; headers, one `Name: value` a line; authorities."""


class CredentialsError(ValueError):
    """The files cannot be used; the message names the folder and has nothing of their content."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What goes with every request. Not to be printed."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    verify: bool | str = True
    authority: str = field(default="", repr=False)  # of the file: other content asks for another connection


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
        names = (TOKEN, USERNAME, PASSWORD, HEADERS, AUTHORITY)
        try:
            found = {name: (self._folder / name).read_text().strip() for name in names if self._has(name)}
        except (OSError, UnicodeDecodeError) as error:
            raise self._mistake(getattr(error, "strerror", None) or "they are not text") from None
        if why := _fault(found):
            raise self._mistake(why)
        verify = str(self._folder / AUTHORITY) if AUTHORITY in found else True
        return Shown(tuple(_headers(found)), verify, found.get(AUTHORITY, ""))

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
    for number, line in enumerate(found.get(HEADERS, "").splitlines(), start=1):
        name, colon, _ = line.partition(":")
        if line.strip() and not (colon and name.strip() and name.isascii() and " " not in name.strip()):
            return f"line {number} of {HEADERS} is not like X-Scope-OrgID: tenant"
    return None


def _headers(found: dict[str, str]) -> Iterator[tuple[str, str]]:
    if TOKEN in found:
        yield "Authorization", f"Bearer {found[TOKEN]}"
    elif USERNAME in found:
        pair = f"{found[USERNAME]}:{found[PASSWORD]}".encode()
        yield "Authorization", f"Basic {base64.b64encode(pair).decode()}"
    for line in filter(str.strip, found.get(HEADERS, "").splitlines()):
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()
