"""The pages of the documentation, as files: their links, and the places in them that can be linked to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.places import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), ROOT / "charts/modelrollout/README.md"]
_FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[str]:
    """All of them, outside of code."""
    return _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))


def leads(page: Path, link: str) -> bool:
    """Whether it leads to a file, and to a heading that is in it. Links to the outside are not followed."""
    if "://" in link:
        return True
    path, _, place = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not place or place in places(target))


def places(page: Path) -> set[str]:
    """Headings, as GitHub and the site name them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class _Loader(yaml.SafeLoader):
    """Reads what only mkdocs can carry out as nothing."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def site() -> dict[str, Any]:
    """mkdocs.yml."""
    settings: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)  # noqa: S506 - a safe one
    return settings


def nav(entries: list[Any] | None = None) -> Iterator[str]:
    """The pages that the site's menu has, in order."""
    for entry in site()["nav"] if entries is None else entries:
        (value,) = entry.values()
        if isinstance(value, str):
            yield value
        else:
            yield from nav(value)
