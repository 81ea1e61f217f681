"""Which addresses of a Prometheus a ModelRollout may name, and which are never asked for it. Pure.

The operator asks, and reaches further than whoever wrote the spec: other namespaces, its node, the cloud's metadata.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

from modelrollout.api.findings import Finding
from modelrollout.api.placeholders import UnknownName, render_text

IPAddress = IPv4Address | IPv6Address

URL = r"^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#@\\]*)?$"
"""Readers of URLs differ in what they make of \\, @ and the like; here nothing can be read in two ways."""
NO_ADDRESS = "this is not an address such as http://prometheus.monitoring.svc:9090, without user, password or query"
OWN_ALONE = "none"
"""In place of a list: specs may name no address but the operator's own."""
IN_THE_CLUSTER = ("*.{{namespace}}.svc", "*.monitoring.svc")
"""Services of the rollout's own namespace, and of the one where most clusters have their Prometheus."""
_PATTERN = re.compile(r"((?P<scheme>https?)://)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9*{} .-]+?)(:(?P<port>[0-9]{1,5}))?")
_HOST = re.compile(r"(\*|[a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.(\*|[a-z0-9]([a-z0-9-]*[a-z0-9])?))*")
_NEVER = {
    "a link-local address": ("169.254.0.0/16", "fe80::/10"),
    "a loopback address": ("127.0.0.0/8", "::1/128"),
    "no address of another host": ("0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32"),
    # Of clouds whose metadata service is not link-local: Amazon (and its credentials of pods), Google and Oracle by
    # IPv6; Azure, Alibaba, Oracle.
    "the address of a cloud's metadata": (
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "fd00:c1::a9fe:a9fe/128",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
    ),
}
_NEVER_OF = {ip_network(network): words for words, networks in _NEVER.items() for network in networks}
_WITH_IPV4_AT_ITS_END = tuple(map(ip_network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96")))
_OF_A_LOCAL_TRANSLATOR = IPv6Network("64:ff9b:1::/48")
_PLACES = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
"""Bytes of such an address that may be those of an IPv4 address (RFC 6052, 2.2): only the translator knows which."""
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)


def why_never(address: IPAddress) -> str | None:
    """The words for an address that nobody's spec may lead to; None for all others."""
    for one in (address, *_inside(address)):
        for network, words in _NEVER_OF.items():
            if one.version == network.version and one in network:
                return words
    return None


def _inside(address: IPAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address may stand for."""
    if isinstance(address, IPv6Address):
        teredo = address.teredo or ()
        yield from (one for one in (address.sixtofour, *teredo) if one is not None)
        if any(address in network for network in _WITH_IPV4_AT_ITS_END):
            yield IPv4Address(address.packed[-4:])
        if address in _OF_A_LOCAL_TRANSLATOR:
            yield from (
                IPv4Address(bytes(address.packed[at] for at in four)) for four in _PLACES if address.packed[four[0]]
            )


def why_never_named(host: str) -> str | None:
    """The same for a host as it was written, without brackets. Names are judged once they are looked up; numbers such
    as `127.1` or `0x7f000001` are addresses to some libraries, which look nothing up."""
    if (ip := _ip(host)) is not None:
        return why_never(ip)
    return "an IP address in an unusual spelling" if _NUMBERS.fullmatch(unicodedata.normalize("NFKC", host)) else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Scheme, host and port of an address, as they are compared."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises ValueError."""
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        port = parts.port if parts.port is not None else {"https": 443}.get(scheme, 80)
        return cls(scheme, _plain(parts.hostname or ""), port)


def _ip(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _filled(text: str, namespace: str) -> str:
    """Raises UnknownName."""
    return render_text(text, {"namespace": namespace}, where=text)


def _may_be_a_host(pattern: str) -> bool:
    try:
        filled = _filled(pattern, "n")
    except UnknownName:
        return False
    return _ip(filled) is not None or _HOST.fullmatch(filled) is not None


def _plain(host: str) -> str:
    """One name of the several that a Service has, or that an IP address may be written as."""
    bare = host.lower().removesuffix(".")
    if (ip := _ip(bare)) is not None:
        return str(ip)
    return bare.removesuffix(".cluster.local") if bare.endswith(".svc.cluster.local") else bare


@dataclass(frozen=True, slots=True)
class AddressPattern:
    """`[scheme://]host[:port]`: a part that is left out may be any; `*` in the host is one label."""

    text: str
    scheme: str | None
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError with what is wrong."""
        found = _PATTERN.fullmatch(text.strip().lower())
        host = found["host"].strip("[]") if found else ""
        if found is None or not _may_be_a_host(host):
            raise ValueError(f"{text!r} is not like *.monitoring.svc or https://prometheus.example.com:9090")
        if (words := why_never_named(host)) is not None:
            raise ValueError(f"{text} is {words}, which no ModelRollout may name")
        return cls(text.strip(), found["scheme"], _plain(host), int(found["port"]) if found["port"] else None)

    def takes(self, place: _Place, namespace: str) -> bool:
        host = re.escape(_filled(self.host, namespace)).replace(r"\*", "[^.]+")
        return (
            self.scheme in (None, place.scheme)
            and self.port in (None, place.port)
            and re.fullmatch(host, place.host) is not None
        )


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """The addresses that an operator asks: its own, and those that specs may name beside it."""

    own: str | None = field(default=None, repr=False)  # it may have a password in it
    others: tuple[AddressPattern, ...] = tuple(map(AddressPattern.parse, IN_THE_CLUSTER))

    @classmethod
    def parse(cls, own: str | None, others: Iterable[str]) -> Self:
        """Raises ValueError with what is wrong."""
        texts = tuple(others)
        return cls(own, () if texts == (OWN_ALONE,) else tuple(map(AddressPattern.parse, texts)))

    def is_own(self, url: str) -> bool:
        """Whether it is the operator's own, which is trusted wherever it is."""
        return self.own is not None and _same(url) == _same(self.own)

    def refusal(self, url: str, namespace: str) -> Finding | None:
        """Why a spec of this namespace may not name the address."""
        if self.is_own(url):
            return None
        why = self._why_not(url, namespace)
        return Finding("AddressNotAllowed", f"spec.analysis.prometheus.url: {why}.") if why else None

    def _why_not(self, url: str, namespace: str) -> str | None:
        try:
            place = _Place.of(url) if re.fullmatch(URL, url) else None
        except ValueError:  # a port beyond all ports
            place = None
        if place is None:
            return NO_ADDRESS  # and not repeated: people write passwords into addresses
        if (words := why_never_named(place.host)) is not None:
            return f"{url} is not asked: it is {words}, which no ModelRollout may name"
        if any(one.takes(place, namespace) for one in self.others):
            return None
        known = ", ".join(_filled(one.text, namespace) for one in self.others) or "no address but its own"
        return (
            f"{url} is not asked. This operator asks {known}: name one of these, or have yours added to "
            f"prometheus.allowedAddresses in its chart's values{_hint(place)}"
        )


def _hint(place: _Place) -> str:
    """A name that leads into the cluster here may lead out of it elsewhere."""
    is_short = _ip(place.host) is None and place.host.count(".") < 2
    return ". A Service is named in full, as <service>.<namespace>.svc" if is_short else ""


def _same(url: str) -> tuple[str, ...]:
    """The same for two spellings of an address."""
    try:
        parts = urlsplit(url.rstrip("/"))
    except ValueError:
        return (url,)
    return parts.scheme.lower(), parts.netloc.lower(), parts.path, parts.query, parts.fragment
