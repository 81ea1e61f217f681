"""What a Service of ours selects, and the port that it sends to: how it is told from what others made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.objects.manifests import Manifest, is_applied
from modelrollout.traffic.edits import Edit


def ours_among(wanted: Manifest, found: Manifest) -> list[Manifest]:
    """The entry of the Service's ports that stands for the one that is wanted."""
    (port,) = wanted["spec"]["ports"]
    key = (port["port"], port["protocol"])
    return [one for one in found["spec"].get("ports") or () if (one.get("port"), one.get("protocol", "TCP")) == key]


def selects_the_same(wanted: Manifest, found: Manifest) -> bool:
    """Whether nobody narrowed the selector: a label that we did not write turns pods away."""
    return bool((found["spec"].get("selector") or {}) == wanted["spec"]["selector"])


def edits_of_service(wanted: Manifest, found: Manifest) -> Iterator[Edit]:
    if not selects_the_same(wanted, found):
        yield Edit("spec.selector", found["spec"].get("selector"), "to select otherwise, make a Service of your own")
    if not is_applied(wanted["spec"]["ports"], ours_among(wanted, found)):
        mend = "the port of the pods is spec.traffic.port; for other ports make a Service of your own"
        yield Edit("spec.ports", found["spec"].get("ports"), mend)
