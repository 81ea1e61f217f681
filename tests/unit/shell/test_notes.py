"""What kopf writes down on a ModelRollout: nothing, and the notes of earlier versions go."""

from __future__ import annotations

import kopf

from modelrollout.shell.finalizer import FINALIZER
from modelrollout.shell.handlers import configure

OLD = {"kopf.modelrollout.dev/last-handled-configuration": "{}", "kopf.modelrollout.dev/kopf-managed": "yes"}
BODY = {"metadata": {"annotations": {**OLD, "note": "of somebody else"}}, "spec": {"model": {"version": "1"}}}


def test_kopf_keeps_no_copy_and_no_count() -> None:
    settings, patch = kopf.OperatorSettings(), kopf.Patch()
    configure(settings)
    body, kept = kopf.Body({"metadata": {}, "spec": BODY["spec"]}), settings.persistence
    kept.diffbase_storage.store(body=body, patch=patch, essence=kept.diffbase_storage.build(body=body))
    kept.progress_storage.store(key=kopf.HandlerId("finalise"), record=kopf.ProgressRecord(), body=body, patch=patch)
    kept.progress_storage.touch(body=body, patch=patch, value="now")
    kept.progress_storage.purge(key=kopf.HandlerId("finalise"), body=body, patch=patch)
    assert not patch
    assert kept.diffbase_storage.fetch(body=body) is None
    assert kept.finalizer == FINALIZER


def test_notes_of_earlier_versions_are_taken_off_and_no_others() -> None:
    settings, patch = kopf.OperatorSettings(), kopf.Patch()
    configure(settings)
    settings.persistence.diffbase_storage.store(body=kopf.Body(BODY), patch=patch, essence=kopf.BodyEssence())
    assert patch == {"metadata": {"annotations": dict.fromkeys(OLD)}}
