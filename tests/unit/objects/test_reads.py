"""Writes that are conditional on what they were decided on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import Apply, Delete, Manifest, Owner, Patch, Ref, Write
from modelrollout.objects.reads import UNREADABLE, Objects, Reads, conditional
from modelrollout.objects.resources import HTTP_ROUTES

ROUTE = Ref(HTTP_ROUTES, "ml", "fraud")
APPLY = Apply(Owner("ml", "fraud", "uid-fraud").object(HTTP_ROUTES, "fraud", spec={}), "modelrollout-traffic")
BY_NAME, BY_LABEL = Reads(named=(ROUTE,)), Reads(labelled=(HTTP_ROUTES,))


def there(version: str) -> Objects:
    manifest: Manifest = {**APPLY.manifest, "metadata": {**APPLY.manifest["metadata"], "resourceVersion": version}}
    return {ROUTE: manifest}


@pytest.mark.parametrize("reads", [BY_NAME, BY_LABEL])
@pytest.mark.parametrize("write", [APPLY, Patch(ROUTE, {"spec": {"replicas": 3}}), Delete(ROUTE, "uid")])
def test_a_write_depends_on_the_version_that_was_read(reads: Reads, write: Write) -> None:
    assert conditional(write, reads, there("7")) == replace(write, seen="7")


def test_an_object_that_was_asked_for_by_name_and_is_not_there_has_to_be_missing_still() -> None:
    assert conditional(APPLY, BY_NAME, {}) == replace(APPLY, seen="")


def test_nothing_is_asked_where_nothing_is_known() -> None:
    unknown: Objects = {ROUTE: Finding(UNREADABLE, "forbidden")}
    assert conditional(APPLY, BY_LABEL, {}) == APPLY  # it may be there without its label
    assert conditional(APPLY, BY_NAME, unknown) == APPLY
