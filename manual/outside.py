"""A hook of mkdocs: files beside docs/ that a page links to (an example, the chart's page) are part of the site.

Imported by mkdocs alone, in an environment that has nothing else of ours.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PLACE = "checkout"
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def on_files(files: Any, *, config: Any) -> Any:
    """Adds those that are linked to. As text: a page that mkdocs makes would need its own links mended."""
    from mkdocs.structure.files import File

    for page in files.documentation_pages():
        for target in filter(None, (_outside(page.src_uri, link[1]) for link in _LINK.findall(page.content_string))):
            if (ROOT / target).is_file() and files.get_file_from_path(_place(target)) is None:
                files.append(File.generated(config, _place(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Leads the links to them."""

    def led(match: re.Match[str]) -> str:
        target = _outside(page.file.src_uri, match[2])
        if target is None:
            return match[0]
        here = posixpath.dirname(page.file.src_uri)
        return f"{match[1]}{posixpath.relpath(_place(target), here)}{match[4]}"

    return _LINK.sub(led, markdown)


def _outside(page: str, link: str) -> str | None:
    """The path from the root of a link that leaves docs/; None for one that does not."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return None if path.startswith("docs/") or path == "docs" else path


def _place(target: str) -> str:
    return f"{PLACE}/{target}.txt"
