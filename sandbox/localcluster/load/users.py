"""Users who come again and again, each with a name and the headers that something before the gateway sends. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from localcluster.load.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class User:
    """Somebody. `headers` come with each of their requests; cookies that they were given do, too."""

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)


STRANGERS = (User(""),)
"""Nothing is known of them: an answer is nobody's, and no cookie is kept."""


def named_users(count: int, header: str | None = None, buckets: Sequence[str] = ()) -> tuple[User, ...]:
    """So many; with a header, each is in the bucket that a hash of their name says, as a login service would do it."""
    names = [f"user-{number}" for number in range(count)]
    return tuple(User(name, {header: buckets[_hash(name) % len(buckets)]} if header else {}) for name in names)


def versions_met(outcomes: Iterable[Outcome]) -> dict[str, tuple[str, ...]]:
    """By user, the versions that answered, in the order of asking: `(v1, v2)` is somebody who moved once, for good."""
    met = dict[str, list[str]]()
    for one in sorted(outcomes, key=lambda one: one.at):
        if one.user is None or one.version is None:
            continue
        versions = met.setdefault(one.user, [])
        if versions[-1:] != [one.version]:
            versions.append(one.version)
    return {user: tuple(versions) for user, versions in met.items()}


def _hash(name: str) -> int:
    return zlib.crc32(name.encode())
