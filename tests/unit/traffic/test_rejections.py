"""The note on a route about a candidate that was taken back."""

from __future__ import annotations

import pytest

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import REJECTED, Manifest, annotation
from modelrollout.traffic.rejections import note, noted

WHY = Finding("MetricFailed", "errors 20 % breaks the limit ≤ 5 %; 1 in 10⁹ by chance.")


def route(text: str | None) -> Manifest:
    return {"metadata": {"annotations": {} if text is None else {REJECTED: text}}}


def test_note_says_again_what_was_noted() -> None:
    assert noted(annotation(route(note("abc", WHY)), REJECTED), "abc") == WHY


def test_note_is_about_one_revision() -> None:
    assert noted(annotation(route(note("abc", WHY)), REJECTED), "def") is None


@pytest.mark.parametrize("found", [None, {"metadata": {}}, {"metadata": {"annotations": None}}, route(None)])
def test_no_note_is_about_nobody(found: Manifest | None) -> None:
    assert noted(annotation(found, REJECTED), "abc") is None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", '"abc"', "{}", '{"revision": "abc"}'])
def test_note_that_cannot_be_read_is_about_everybody_and_names_the_annotation(text: str) -> None:
    found = noted(annotation(route(text), REJECTED), "abc")
    assert found is not None
    assert found.reason == "Rejected"
    assert REJECTED in found.message
