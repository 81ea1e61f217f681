"""Which requests a rule of its own is for: those that are copied, and those that ask for the candidate. Pure.

Each match is made from one of the route's own and narrower than it, so whatever meets it met the route before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from modelrollout.api.findings import Finding
from modelrollout.api.matches import MOST_MATCHES
from modelrollout.objects.manifests import Manifest
from modelrollout.traffic.drawing import MOST_PARTS, header_of
from modelrollout.traffic.exposure import BY_SERVICE, COOKIE, Exposure, Match
from modelrollout.traffic.router import ALL_REQUESTS, Copied

EVERY_PATH: Manifest = {"type": "PathPrefix", "value": "/"}
MOST_IN_ALL = 128
MOST_RULES = 16
"""Of one route, as the Gateway API has it; of one rule it is MOST_MATCHES."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a route has room for: the rules that are there besides, and whether each match needs a rule of its own."""

    beside: int = 0
    is_a_rule_each: bool = False


def fault(
    where: str, matches: Sequence[Manifest], exposure: Exposure, of: Copied, room: Room = Room()
) -> Finding | None:
    """Why the requests cannot be told from the others. `where`: the router's field, in which the matches stand."""
    found = next(chain(_faults(where, matches, exposure, of), _faults_of_keeping(where, matches, exposure, room)), None)
    return Finding("RouterCannot", found) if found else None


def faults_of_asking(where: str, exposure: Exposure, can_ask: Callable[[Match], object]) -> Iterator[str]:
    """Why nobody could ask for the candidate as the exposure says. `can_ask`: whether any request of the route does."""
    if BY_SERVICE in exposure.asked:
        yield (
            f"{where} looks into requests, and a stage asks for {exposure}: use a header for its preview, such as "
            'preview: {header: {name: x-preview, value: "1"}}.'
        )
    for asked in sorted(exposure.asking):
        if not can_ask(asked):
            yield (
                f"all of {where}.matches ask for another value of the header {asked.header}, so nobody could ask for "
                f"the candidate by '{asked}': choose another header."
            )


def _faults_of_keeping(where: str, matches: Sequence[Manifest], exposure: Exposure, room: Room) -> Iterator[str]:
    if not exposure.is_kept:
        return
    if asks_for_a_cookie(matches):
        yield keeps_nobody(where)
    count = len(matches or [{}])
    rules = room.beside + MOST_PARTS * (count if room.is_a_rule_each else 1)
    if rules > MOST_RULES or MOST_PARTS * count > MOST_IN_ALL:
        yield (
            f"a sticky cookie makes {MOST_PARTS} rules of each, and {where} would have {rules} rules with "
            f"{MOST_PARTS * count} matches; a route takes {MOST_RULES} and {MOST_IN_ALL}: leave some matches out, or "
            "keep users by sticky.bucketHeader."
        )


def asks_for_a_cookie(matches: Sequence[Manifest]) -> bool:
    """Whether a match of the Gateway API is for some cookies already: no second header of that name is looked at."""
    return any(one["name"].lower() == COOKIE for match in matches for one in match.get("headers") or ())


def keeps_nobody(where: str) -> str:
    return (
        f"{where}.matches asks for a cookie by itself, so who comes by that match could not be kept by another: "
        "leave it out, or keep users by sticky.bucketHeader."
    )


def _faults(where: str, matches: Sequence[Manifest], exposure: Exposure, of: Copied) -> Iterator[str]:
    yield from faults_of_asking(where, exposure, lambda asked: asking(matches, [asked]))
    some = copied(matches, of) if exposure.mirror and of != ALL_REQUESTS else []
    if of.paths and any((match.get("path") or EVERY_PATH)["type"] == "RegularExpression" for match in matches):
        yield f"{where}.matches has a path of type RegularExpression, of which no part can be copied: leave paths out."
    if exposure.mirror and of != ALL_REQUESTS and not some:
        yield (
            f"none of {where}.matches is for the requests that are to be copied ({_in_words(of)}): name the methods "
            "that it is for, if these may be carried out twice, and paths that are among its own."
        )
    in_one, of_asking = len(some), len(asking([*some, *(matches or [{}])], exposure.asking))
    if max(in_one, of_asking) > MOST_MATCHES or in_one + of_asking + len(matches) > MOST_IN_ALL:
        yield (
            f"{where} has {len(matches)} matches, which makes {in_one} of requests that are copied and {of_asking} of "
            f"those that ask for the candidate; a rule takes {MOST_MATCHES} and a route {MOST_IN_ALL}: name fewer "
            "methods and paths, or all methods, or leave some matches out."
        )


def _in_words(of: Copied) -> str:
    return " ".join(filter(None, ["/".join(of.methods), " or ".join(of.paths)]))


def copied(matches: Sequence[Manifest], of: Copied) -> list[Manifest]:
    """The matches of those requests that are to be copied."""
    within = (found for match in matches or [{}] for found in _within(match, of.paths))
    return _once(found for match in within for found in _by_method(match, of.methods))


def asking(matches: Sequence[Manifest], asked: Iterable[Match]) -> list[Manifest]:
    """The matches of those requests that ask for the candidate."""
    return having(matches, [header_of(one) for one in sorted(asked)])


def having(matches: Sequence[Manifest], headers: Iterable[Manifest]) -> list[Manifest]:
    """The matches of those requests that have one of these headers."""
    each = (_having(match, one) for match in matches or [{}] for one in headers)
    return _once(match for match in each if match is not None)


def is_under(path: str, prefix: str) -> bool:
    """As gateways compare a path with a prefix: by whole parts between slashes."""
    return f"{path.rstrip('/')}/".startswith(f"{prefix.rstrip('/')}/")


def _within(match: Manifest, prefixes: Sequence[str]) -> Iterator[Manifest]:
    path = match.get("path") or EVERY_PATH
    if not prefixes or any(is_under(path["value"], prefix) for prefix in prefixes):
        yield match
    elif path["type"] == "PathPrefix":
        inside = (prefix for prefix in prefixes if is_under(prefix, path["value"]))
        yield from ({**match, "path": {"type": "PathPrefix", "value": prefix}} for prefix in inside)


def _by_method(match: Manifest, methods: Sequence[str]) -> Iterator[Manifest]:
    if not methods or match.get("method") in methods:
        yield match
    elif "method" not in match:
        yield from ({**match, "method": method} for method in methods)


def _having(match: Manifest, mine: Manifest) -> Manifest | None:
    """A match of the user's, by those of its requests that have a header; None where they have another value in it.

    Of two entries for one header, however its letters are written, a gateway looks at the first alone: the second
    would let everybody through.
    """
    headers = list(match.get("headers") or ())
    same = [{**one, "name": one["name"].lower()} for one in headers if one["name"].lower() == mine["name"]]
    if not same:
        return {**match, "headers": [*headers, mine]}
    return match if same == [mine] else None


def _once(matches: Iterable[Manifest]) -> list[Manifest]:
    found: list[Manifest] = []
    for match in matches:
        if match not in found:
            found.append(match)
    return found
