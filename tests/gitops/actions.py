"""Argo CD's resource actions: a script for each verb, and what it makes of a ModelRollout."""

from __future__ import annotations

from modelrollout.objects.manifests import Manifest
from modelrollout.plan.actions import VERBS
from tests.gitops import scenes
from tests.gitops.sandboxed_lua import Sandbox

FOLDER = scenes.TESTDATA.parent / "actions"
DISCOVERY = FOLDER / "discovery.lua"
ASKED_OF = {
    "abort": "progressing",
    "approve": "awaiting-approval",
    "pause": "progressing",
    "promote": "progressing",
    "promote-full": "candidate-starts",
    "resume": "paused",
    "retry": "rolled-back",
    "skip": "baking",
    "undo": "promoted",
}
"""For each verb a scene in which it makes sense."""
DISCOVERED = ("unseen", "healthy", "rolling-back", "back-in-git", "invalid", *dict.fromkeys(ASKED_OF.values()))
"""Scenes of which Argo CD's test is told what may be asked for."""
OF_A_CANDIDATE = ("abort", "approve", "pause", "promote", "promote-full", "skip")
"""These name the revision that they mean, and are refused where it is gone by then."""

_SCRIPT = """\
-- Asks the operator for {verb} by an annotation, and touches nothing else. Made by `python -m tests.gitops`.
-- The token is another one with each version of the object, so it can be asked for again.
local metadata = obj.metadata
if type(metadata.annotations) ~= "table" then metadata.annotations = {{}} end
local asked = "{verb}"
{revision}metadata.annotations["modelrollout.dev/action"] = asked .. "/argocd-" .. (metadata.resourceVersion or "0")
return obj
"""
_REVISION = """\
local candidate = type(obj.status) == "table" and obj.status.candidate
if type(candidate) == "table" and type(candidate.revision) == "string" then
  asked = asked .. "/" .. candidate.revision
end
"""


def script(verb: str) -> str:
    return _SCRIPT.format(verb=verb, revision=_REVISION if verb in OF_A_CANDIDATE else "")


def done(verb: str, manifest: Manifest) -> Manifest:
    """What is to become of a ModelRollout: one more annotation."""
    after = Sandbox(script(verb)).object(manifest)
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": after["metadata"]["annotations"]}}


def scripts() -> dict[str, str]:
    """By their paths in the folder of actions."""
    return {f"{verb}/action.lua": script(verb) for verb in VERBS}
