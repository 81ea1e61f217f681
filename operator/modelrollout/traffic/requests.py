"""Which requests a rule of its own is for: those that are copied, and those that ask for the candidate. Pure.

Each match is made from one of the route's own and narrower than it, so whatever meets it met the route before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from modelrollout.api.findings import Finding
from modelrollout.api.matches import MOST_MATCHES
from modelrollout.objects.manifests import Manifest
from modelrollout.traffic.exposure import BY_SERVICE, Exposure, Match
from modelrollout.traffic.router import ALL_REQUESTS, Copied

EVERY_PATH: Manifest = {"type": "PathPrefix", "value": "/"}
MOST_IN_ALL = 128
MOST_RULES = 16
"""Of one route, as the Gateway API has it; of one rule it is MOST_MATCHES."""


def fault(where: str, matches: Sequence[Manifest], exposure: Exposure, of: Copied) -> Finding | None:
    """Why the requests cannot be told from the others. `where`: the router's field, in which the matches stand."""
    found = next(_faults(where, matches, exposure, of), None)
    return Finding("RouterCannot", found) if found else None


def faults_of_asking(where: str, exposure: Exposure, can_ask: Callable[[Match], object]) -> Iterator[str]:
    """Why nobody could ask for the candidate as the exposure says. `can_ask`: whether any request of the route does."""
    if BY_SERVICE in exposure.asked:
        yield (
            f"{where} looks into requests, and a stage asks for {exposure}: use a header for its preview, such as "
            'preview: {header: {name: x-preview, value: "1"}}.'
        )
    for asked in sorted(exposure.asked):
        if not can_ask(asked):
            yield (
                f"all of {where}.matches ask for another value of the header {asked.header}, so nobody could ask for "
                f"the candidate by '{asked}': choose another header."
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
    in_one, of_asking = len(some), len(asking([*some, *(matches or [{}])], exposure.asked))
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
    each = (_asking(match, one) for match in matches or [{}] for one in sorted(asked))
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


def _asking(match: Manifest, asked: Match) -> Manifest | None:
    """A match of the user's, by those of its requests that ask; None where they have another value in that header.

    Of two entries for one header, however its letters are written, a gateway looks at the first alone: the second
    would let everybody through.
    """
    mine = {"type": "Exact", "name": asked.header, "value": asked.value}
    headers = list(match.get("headers") or ())
    same = [{**header, "name": header["name"].lower()} for header in headers if header["name"].lower() == asked.header]
    if not same:
        return {**match, "headers": [*headers, mine]}
    return match if same == [mine] else None


def _once(matches: Iterable[Manifest]) -> list[Manifest]:
    found: list[Manifest] = []
    for match in matches:
        if match not in found:
            found.append(match)
    return found
