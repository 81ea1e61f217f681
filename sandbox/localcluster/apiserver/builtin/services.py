"""Services and what stands behind them: addresses given out, kept and refused. Allocation itself is in `Addresses`."""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from localcluster.apiserver.builtin.pods import one_of
from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.store import Object

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def with_service_defaults(service: Object) -> Object:
    spec = dict(service.get("spec") or {})
    spec["ports"] = [
        {**each, "targetPort": each.get("targetPort", each.get("port"))} for each in spec.get("ports") or ()
    ]
    if not spec["ports"]:
        del spec["ports"]
    if spec.get("type") != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    return {**service, "spec": spec}


class Addresses:
    """Gives out ClusterIPs from a range in which every address belongs to this machine."""

    def __init__(self, network: str, in_use: Callable[[], set[str]]) -> None:
        self._network = ipaddress.ip_network(network)
        self._in_use = in_use

    def created(self, service: Object) -> Object:
        """A new service with its address."""
        spec = dict(service["spec"])
        if spec.get("type") != "ExternalName":
            if not spec.get("clusterIP"):
                spec["clusterIP"] = (spec.get("clusterIPs") or [self._free()])[0]
            spec["clusterIPs"] = [spec["clusterIP"]]
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
        return {**service, "spec": spec, "status": {"loadBalancer": {}}}

    def _free(self) -> str:
        taken = self._in_use()
        while True:
            number = random.randrange(10, self._network.num_addresses - 1)  # noqa: S311 -- an address, not a secret
            address = str(self._network[number])
            if address not in taken:
                return address

    def errors(self, new: Object, old: Object | None) -> list[FieldError]:
        """The errors in a service."""
        spec = new.get("spec") or {}
        found = [*_port_errors(spec), *one_of(spec.get("type"), "spec.type", _TYPES), *_changed_address(new, old)]
        address = spec.get("clusterIP")
        if old is None and address not in (None, "", "None"):
            found += self._address_errors(address)
        return found

    def _address_errors(self, address: str) -> Iterator[FieldError]:
        where, shown = "spec.clusterIPs", json.dumps([address])
        if ipaddress.ip_address(address) not in self._network:
            why = f"failed to allocate IP {address}: the provided network does not match the current range"
            yield FieldError(where, "Invalid value", f"{shown}: {why}")
        elif address in self._in_use():
            why = f"failed to allocate IP {address}: provided IP is already allocated"
            yield FieldError(where, "Invalid value", f"{shown}: {why}")


def updated(new: Object, old: Object) -> Object:
    """An update that says nothing of the address keeps it."""
    spec, before = dict(new["spec"]), old["spec"]
    if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(key) and before.get(key):
                spec[key] = before[key]
    return {**new, "spec": spec}


def _changed_address(new: Object, old: Object | None) -> Iterator[FieldError]:
    if old is None or "ExternalName" in (new["spec"].get("type"), old["spec"].get("type")):
        return
    if new["spec"].get("clusterIP") != old["spec"].get("clusterIP"):
        shown = json.dumps([new["spec"].get("clusterIP")])
        yield FieldError("spec.clusterIPs[0]", "Invalid value", f"{shown}: may not change once set")


def _port_errors(spec: dict[str, Any]) -> Iterator[FieldError]:
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield FieldError("spec.ports", "Required value")
    names: set[str] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        number = port.get("port", 0)
        if not 0 < number < 65536:
            yield FieldError(f"{where}.port", "Invalid value", f"{number}: must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield FieldError(f"{where}.name", "Required value")
        if port.get("name") and port["name"] in names:
            yield FieldError(f"{where}.name", "Duplicate value", json.dumps(port["name"]))
        names.add(port.get("name", ""))
        yield from one_of(port.get("protocol"), f"{where}.protocol", ("SCTP", "TCP", "UDP"))


def slice_errors(new: Object, old: Object | None) -> list[FieldError]:
    """An EndpointSlice may not send traffic to the machine that reads it."""
    found: list[FieldError] = []
    for index, endpoint in enumerate(new.get("endpoints") or ()):
        for number, address in enumerate(endpoint.get("addresses") or ()):
            where = f"endpoints[{index}].addresses[{number}]"
            found += _endpoint_errors(address, where) if new.get("addressType") != "FQDN" else []
    if not new.get("addressType"):
        found.append(FieldError("addressType", "Required value"))
    return found


def endpoints_errors(new: Object, old: Object | None) -> list[FieldError]:
    """The same, of the older kind."""
    found: list[FieldError] = []
    for index, subset in enumerate(new.get("subsets") or ()):
        for key in ("addresses", "notReadyAddresses"):
            for number, each in enumerate(subset.get(key) or ()):
                found += _endpoint_errors(each.get("ip", ""), f"subsets[{index}].{key}[{number}].ip")
    return found


def _endpoint_errors(address: str, where: str) -> Iterator[FieldError]:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        yield FieldError(where, "Invalid value", f"{json.dumps(address)}: {detail}")
        return
    if parsed.is_loopback:
        detail = f"{json.dumps(address)}: may not be in the loopback range (127.0.0.0/8, ::1/128)"
        yield FieldError(where, "Invalid value", detail)
