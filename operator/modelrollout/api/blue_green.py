"""One switch from the old version to the new one: stages of the kind ``blueGreen``. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.names import HeaderName
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


class BlueGreen(Smoked):
    """The candidate starts at full size and is looked at beside the stable version; then it gets everybody at once."""

    preview: Annotated[Preview | None, Field(description="A way to the candidate before the switch.")] = None
    mirror: Annotated[
        Copies | None,
        Field(description="Copies of users' requests before the switch, by which the candidate is judged there."),
    ] = None
    preview_hold: Annotated[Duration, Field(description="Shortest time before the switch.")] = Duration("5m")
    hold: Annotated[Duration, Field(description="Shortest time with all users, judged, before the bake.")] = Duration(
        "10m"
    )

    @property
    def copies(self) -> Copies | None:
        return self.mirror

    @property
    def holds(self) -> tuple[Duration, ...]:
        return (self.preview_hold, self.hold)
