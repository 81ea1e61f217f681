"""Every page of docs/ is in the menu of the site, every link leads somewhere, and the site can be made."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.site.pages import DOCS, PAGES, leads, links, name_of, nav, site


def test_the_menu_has_every_page_once_and_no_other() -> None:
    there = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    menu = list(nav())
    assert len(menu) == len(set(menu))
    assert set(menu) == there


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not leads(page, link)] == []


def test_a_link_to_a_heading_that_is_not_there_leads_nowhere() -> None:
    page = DOCS / "verdicts.md"
    assert leads(page, "#five-verdicts")
    assert not leads(page, "#six-verdicts")
    assert not leads(page, "nothing.md")


def test_the_site_loads_nothing_from_other_hosts() -> None:
    theme = site()["theme"]
    assert theme["font"] is False
    assert not {"extra_javascript", "extra_css", "extra"} & site().keys()


def test_the_site_is_made_without_a_warning_and_asks_no_other_host(tmp_path: Path) -> None:
    if importlib.util.find_spec("material") is None:
        pytest.skip("no mkdocs-material here: `make docs-site` has it in an environment of its own")
    built = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(built)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert made.returncode == 0, made.stderr
    loaded = re.compile(r"<(?:script|img|iframe|link(?! rel=\"canonical\"))[^>]+(?:src|href)=\"?(https?:[^\" >]+)")
    found = {host for page in built.rglob("*.html") for host in loaded.findall(page.read_text(encoding="utf-8"))}
    assert found == set()
