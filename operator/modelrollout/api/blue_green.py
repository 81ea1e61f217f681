"""One switch from the old version to the new one: stages of the kind ``blueGreen``. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.names import ExactHostname, HeaderName
from modelrollout.api.rules import Rule
from modelrollout.api.scalars import Duration
from modelrollout.api.shadow import Copies
from modelrollout.api.smoke import Smoked

HeaderValue = Annotated[
    str,
    Field(min_length=1, max_length=256, description="Value that the header must have."),
    Rule.matching(
        r"^[!-~]([ -~]*[!-~])?$",
        "the value of a header is made of ASCII characters, and neither begins nor ends with a space",
    ),
]


class PreviewHeader(Model):
    """The header by which a request asks for the candidate."""

    name: Annotated[HeaderName, Field(description="Name of the header; upper and lower case are the same.")]
    value: HeaderValue


class Preview(Model):
    """How people and tests reach the candidate before users do."""

    header: Annotated[
        PreviewHeader | None,
        Field(
            description="The header that asks for it, for routers that look into requests. Plain Services do not: "
            "there it is a Service of its own, <rollout>-preview."
        ),
    ] = None
    host: Annotated[
        ExactHostname | None,
        Field(
            description="A host name by which the candidate alone answers (gatewayAPI and grpc): a route of its own, "
            "<rollout>-preview, with the same parents, matches and filters."
        ),
    ] = None


class BlueGreen(Smoked):
    """The candidate starts at full size and is looked at beside the stable version; then it gets everybody at once."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda one: not one.approval or one.preview is not None or one.mirror is not None,
            "approval of a switch needs something to look at before it: give preview or mirror, or set approval on the "
            "stage before",
            "!has(self.approval) || !self.approval || has(self.preview) || has(self.mirror)",
        ),
    )

    preview: Annotated[Preview | None, Field(description="A way to the candidate before the switch.")] = None
    mirror: Annotated[
        Copies | None,
        Field(description="Copies of users' requests before the switch, by which the candidate is judged there."),
    ] = None
    preview_hold: Annotated[Duration, Field(description="Shortest time before the switch.")] = Duration("5m")
    approval: Annotated[
        bool, Field(description="Whether a person approves the switch, after the preview or the copies before it.")
    ] = False
    hold: Annotated[Duration, Field(description="Shortest time with all users, judged, before the bake.")] = Duration(
        "10m"
    )

    @property
    def copies(self) -> Copies | None:
        return self.mirror

    @property
    def holds(self) -> tuple[Duration, ...]:
        return (self.preview_hold, self.hold)
