"""`python -m tests.gitops` writes what is made of scenes and of the script in integrations/; tests compare."""

from __future__ import annotations

import logging
import textwrap

import yaml

from modelrollout.objects.manifests import Manifest
from tests.gitops import scenes
from tests.gitops.sandboxed_lua import Sandbox

FOLDER = scenes.TESTDATA.parent
SCRIPT = FOLDER / "health.lua"
CONFIG_MAP = FOLDER.parents[2] / "argocd-cm.yaml"
KEY = "resource.customizations.health.modelrollout.dev_ModelRollout"
HEAD = f"""\
# For Argo CD as long as it does not bring the health check itself. Made by `python -m tests.gitops`.
# kubectl patch configmap argocd-cm --namespace argocd --patch-file integrations/argo-cd/argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata: {{name: argocd-cm}}
data:
  {KEY}: |
"""


def files() -> dict[str, str]:
    """What is generated, by its path in the folder of Argo CD."""
    script = SCRIPT.read_text()
    shown = {f"testdata/{name}.yaml": scenes.shown(name) for name in scenes.FILES}
    sandbox = Sandbox(script)
    tests = [{"healthStatus": sandbox.health(one), "inputPath": path} for path, one in shown.items()]
    made = {str((FOLDER / path).relative_to(CONFIG_MAP.parent)): _yaml(one) for path, one in shown.items()}
    made[str((FOLDER / "health_test.yaml").relative_to(CONFIG_MAP.parent))] = _yaml({"tests": tests})
    return {**made, CONFIG_MAP.name: HEAD + textwrap.indent(script, "    ")}


def _yaml(value: Manifest) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    logging.disable()
    scenes.TESTDATA.mkdir(parents=True, exist_ok=True)
    for old in scenes.TESTDATA.glob("*.yaml"):
        old.unlink()
    for path, contents in files().items():
        (CONFIG_MAP.parent / path).write_text(contents)
