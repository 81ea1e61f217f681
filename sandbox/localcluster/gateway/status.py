"""The status that Gateways, classes and routes should have. Pure.

A status comes back only when it differs from what is there, so steady state writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from localcluster.gateway.attach import (
    CONTROLLER,
    GROUP,
    Attachment,
    Finding,
    Listener,
    attach,
    attachments,
    listeners,
    our_classes,
    our_parents,
    rival,
)
from localcluster.gateway.backends import Backends, Object
from localcluster.gateway.doors import Addresses, Door
from localcluster.gateway.filters import resolve
from localcluster.gateway.kinds import kind_of
from localcluster.gateway.rules import invalid, references, rules
from localcluster.gateway.translate import World

Condition = dict[str, Any]


def statuses(
    world: World, known: Backends, addresses: Addresses, refusal: str | None, now: datetime
) -> Iterator[tuple[Object, dict[str, Any]]]:
    """Every object whose status should read otherwise, with that status; `refusal` is what Envoy would not take."""
    gateways = world.ours
    let_in = attachments(world.routes, gateways)
    counts = Counter(attachment.listener for attachment in let_in)
    for item in our_classes(world.classes):
        yield from _changed(item, _class_status(item, now))
    for item in gateways:
        yield from _changed(item, _gateway_status(item, counts, addresses, refusal, now))
    for item in world.routes:
        status = _route_status(item, gateways, let_in, known, now)
        if not (refusal and _accepts_anew(item, status)):  # Envoy may go on by the route as it was
            yield from _changed(item, status)


def _changed(item: Object, status: dict[str, Any]) -> Iterator[tuple[Object, dict[str, Any]]]:
    if status != (item.get("status") or {}):
        yield item, status


def _accepts_anew(route: Object, status: dict[str, Any]) -> bool:
    """Whether this is the first word of acceptance of the route as it is now."""
    return not _accepted_in(status) <= _accepted_in(route.get("status") or {})


def _accepted_in(status: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    return {
        (*_identity(entry["parentRef"]), condition.get("observedGeneration"))
        for entry in status.get("parents") or ()
        for condition in entry.get("conditions") or ()
        if (condition["type"], condition["status"]) == ("Accepted", "True")
    }


def _class_status(item: Object, now: datetime) -> dict[str, Any]:
    said = (item.get("status") or {}).get("conditions") or ()
    accepted = _true("Accepted", "Accepted", "Served by the local cluster's Envoy.")
    return {**(item.get("status") or {}), "conditions": _conditions([accepted], said, item, now)}


def _gateway_status(
    item: Object, counts: Mapping[Listener, int], addresses: Addresses, refusal: str | None, now: datetime
) -> dict[str, Any]:
    before = item.get("status") or {}
    told = {entry["name"]: entry.get("conditions") or () for entry in before.get("listeners") or ()}
    known = listeners(item)
    urls = sorted({url for listener in known if (url := _url(listener, addresses))})
    entries = [
        {
            "name": li.name,
            "attachedRoutes": counts.get(li, 0),
            "supportedKinds": [] if li.finding else [{"group": GROUP, "kind": kind} for kind in li.kinds],
            "conditions": _conditions(_listener_conditions(li, refusal), told.get(li.name, ()), item, now),
        }
        for li in known
    ]
    conditions = [_gateway_accepted(known), _programmed(refusal, f"Listens at {', '.join(urls)}.", bool(urls))]
    return {
        "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}] if urls else [],
        "conditions": _conditions(conditions, before.get("conditions") or (), item, now),
        "listeners": entries,
    }


def _route_status(
    item: Object, gateways: Sequence[Object], let_in: Sequence[Attachment], known: Backends, now: datetime
) -> dict[str, Any]:
    before = (item.get("status") or {}).get("parents") or []
    told = {_identity(entry["parentRef"]): entry["conditions"] for entry in before if _is_ours(entry)}
    ours = [
        {
            "parentRef": dict(ref),
            "controllerName": CONTROLLER,
            "conditions": _conditions(
                [*_accepted(item, ref, gateway, let_in), _resolved(item, known)],
                told.get(_identity(ref), ()),
                item,
                now,
            ),
        }
        for ref, gateway in our_parents(item, gateways)
    ]
    others = [entry for entry in before if not _is_ours(entry)]
    return {"parents": others + ours} if others or ours or before else dict(item.get("status") or {})


def _accepted(route: Object, ref: Object, gateway: Object, let_in: Sequence[Attachment]) -> list[Condition]:
    outcome = attach(route, ref, gateway)
    if isinstance(outcome, Finding):
        return [_false("Accepted", outcome)]
    rivals = [other for attachment in outcome if (other := rival(attachment, let_in))]
    if len(rivals) == len(outcome):
        return [_false("Accepted", _beaten_by(rivals[0]))]
    kind = kind_of(route)
    wrong = [f"Rule {n} asks for {why}" for n, rule in enumerate(rules(route)) if (why := invalid(kind, rule))]
    if not wrong:
        return [_true("Accepted", "Accepted", "Served by the local cluster's Envoy.")]
    answer = f"which the local cluster does not do; it answers {kind.nowhere[0]}."
    finding = Finding("UnsupportedValue", f"{'; '.join(wrong)}, {answer}")
    if len(wrong) == len(rules(route)):
        return [_false("Accepted", finding)]
    partly = {"type": "PartiallyInvalid", "status": "True", "reason": finding.reason, "message": finding.message}
    return [_true("Accepted", "Accepted", "Served in part by the local cluster's Envoy."), partly]


def _beaten_by(other: Attachment) -> Finding:
    metadata, kind = other.route["metadata"], kind_of(other.route).name
    return Finding(
        "HostnameConflict",
        f"{kind} '{metadata['namespace']}/{metadata['name']}' has a hostname of this route at listener "
        f"'{other.listener.name}' and is older; a hostname is for one kind of route.",
    )


def _resolved(route: Object, known: Backends) -> Condition:
    namespace = route["metadata"]["namespace"]
    outcomes = [resolve(ref, namespace, known) for rule in rules(route) for ref in references(rule)]
    findings = [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    if findings:
        return _false("ResolvedRefs", Finding(findings[0].reason, " ".join(dict.fromkeys(f.message for f in findings))))
    return _true("ResolvedRefs", "ResolvedRefs", "Every backend exists.")


def _gateway_accepted(known: Sequence[Listener]) -> Condition:
    wrong = [f"Listener '{li.name}': {li.finding.message}" for li in known if li.finding]
    if not wrong:
        return _true("Accepted", "Accepted", "Every listener is served.")
    status = "False" if len(wrong) == len(known) else "True"
    return {"type": "Accepted", "status": status, "reason": "ListenersNotValid", "message": " ".join(wrong)}


def _listener_conditions(listener: Listener, refusal: str | None) -> list[Condition]:
    finding = listener.finding
    if finding is None:
        return [
            _true("Accepted", "Accepted", "Served."),
            _programmed(refusal, "Routes of this listener are at work.", True),
            _true("ResolvedRefs", "ResolvedRefs", "Nothing is referred to."),
        ]
    not_programmed = _false("Programmed", Finding("Invalid", finding.message))
    if finding.reason == "InvalidRouteKinds":
        return [_true("Accepted", "Accepted", "Accepted."), not_programmed, _false("ResolvedRefs", finding)]
    return [_false("Accepted", finding), not_programmed]


def _programmed(refusal: str | None, message: str, is_open: bool) -> Condition:
    if refusal:
        return _false("Programmed", Finding("Invalid", refusal))
    if not is_open:
        return _false("Programmed", Finding("Invalid", "No listener can be served."))
    return _true("Programmed", "Programmed", message)


def _conditions(
    wanted: Iterable[Condition], before: Iterable[Condition], item: Object, now: datetime
) -> list[Condition]:
    """Completed with generation and time; the time moves only with the status."""
    told = {condition["type"]: condition for condition in before}
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    generation = item["metadata"].get("generation", 0)
    return [
        {
            **condition,
            "observedGeneration": generation,
            "lastTransitionTime": old["lastTransitionTime"]
            if (old := told.get(condition["type"])) and old["status"] == condition["status"]
            else stamp,
        }
        for condition in wanted
    ]


def _url(listener: Listener, addresses: Addresses) -> str | None:
    address = addresses.get(Door("gateway", listener.namespace, listener.gateway, listener.port))
    return f"http://{address[0]}:{address[1]}" if address and listener.finding is None else None


def _identity(ref: Object) -> tuple[Any, ...]:
    return tuple(ref.get(field) for field in ("group", "kind", "namespace", "name", "sectionName", "port"))


def _is_ours(entry: Object) -> bool:
    return bool(entry["controllerName"] == CONTROLLER)


def _true(kind: str, reason: str, message: str) -> Condition:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def _false(kind: str, finding: Finding) -> Condition:
    return {"type": kind, "status": "False", "reason": finding.reason, "message": finding.message}
