"""How users reach the model server: ``spec.traffic``. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.rules import Rule

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOSTNAME = rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$"

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule.matching(_HOSTNAME, "this is not a host name such as fraud.example.com or *.example.com, in lower case"),
]


class ParentRef(Model):
    """The Gateway (or a section of it) that users come through."""

    group: Annotated[str, Field(max_length=253, description="API group of the parent.")] = "gateway.networking.k8s.io"
    kind: Annotated[str, Field(min_length=1, max_length=63, description="Kind of the parent.")] = "Gateway"
    namespace: Annotated[
        str | None, Field(min_length=1, max_length=63, description="The rollout's own namespace when left out.")
    ] = None
    name: Annotated[ObjectName, Field(description="Name of the Gateway.")]
    section_name: Annotated[
        ObjectName | None, Field(description="One listener of the Gateway; all of them when left out.")
    ] = None
    port: Annotated[Port | None, Field(description="Only the listeners on this port.")] = None


class GatewayAPI(Model):
    """Split traffic by weight in an HTTPRoute that the operator makes and owns, named after the rollout."""

    parent_refs: Annotated[
        tuple[ParentRef, ...],
        Field(min_length=1, max_length=32, description="The Gateways that the route belongs to."),
    ]
    hostnames: Annotated[
        tuple[Hostname, ...],
        Field(max_length=16, description="Host names that the route answers to; all of the Gateway's when left out."),
        Rule(
            lambda names: len(set(names)) == len(names),
            "each host name may stand here once: remove the second one",
            "self.all(h, self.exists_one(o, o == h))",
        ),
    ] = ()


class ServiceTraffic(Model):
    """Plain Services, no gateway: one Service named after the rollout. 0 and 100 % are exact; between them the share is
    that of ready pods, and the status says which share that is."""


class Traffic(Model):
    """How users reach the model server. Exactly one router."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda traffic: (traffic.gateway_api is None) != (traffic.service is None),
            "traffic needs exactly one router: set either traffic.gatewayAPI or traffic.service",
            "has(self.gatewayAPI) != has(self.service)",
        ),
    )

    port: Annotated[Port, Field(description="The port that the model server's container listens on.")]
    gateway_api: Annotated[GatewayAPI | None, Field(alias="gatewayAPI")] = None
    service: ServiceTraffic | None = None
