"""HTML and SVG as a tree, so that whatever stands in it is escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Node = Element | str


def element(tag: str, attributes: dict[str, str] | None = None, *children: Node | Iterable[Node]) -> Element:
    """An element with children; a child may be a text, an element, or several of them."""
    made = Element(tag, attributes or {})
    for child in children:
        _put(made, child)
    return made


def html(root: Element) -> str:
    """The whole document."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _put(parent: Element, child: Node | Iterable[Node]) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif not isinstance(child, str):
        for each in child:
            _put(parent, each)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + child
    else:
        parent.text = (parent.text or "") + child
