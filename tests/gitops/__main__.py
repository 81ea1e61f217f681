"""`python -m tests.gitops` writes what is made of scenes and of the script in integrations/; tests compare."""

from __future__ import annotations

import logging
import textwrap

import yaml

from modelrollout.objects.manifests import Manifest
from modelrollout.plan.actions import VERBS
from tests.gitops import actions, scenes
from tests.gitops.sandboxed_lua import Sandbox

FOLDER = scenes.TESTDATA.parent
SCRIPT = FOLDER / "health.lua"
CONFIG_MAP = FOLDER.parents[2] / "argocd-cm.yaml"
KEY = "resource.customizations.health.modelrollout.dev_ModelRollout"
ACTIONS_KEY = "resource.customizations.actions.modelrollout.dev_ModelRollout"
HEAD = f"""\
# For Argo CD as long as it brings neither the health check nor the actions itself. Made by `python -m tests.gitops`.
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
    return {**made, **_of_actions(shown), CONFIG_MAP.name: HEAD + textwrap.indent(script, "    ") + _actions_key()}


def _of_actions(shown: dict[str, Manifest]) -> dict[str, str]:
    """A script for each verb, what each makes of its scene, and Argo CD's test of both and of the discovery."""
    folder = str(actions.FOLDER.relative_to(CONFIG_MAP.parent))
    found, discovery = dict(actions.scripts()), Sandbox(actions.DISCOVERY.read_text())
    discovered, made = [], []
    for name in actions.DISCOVERED:
        may = discovery.object(shown[f"testdata/{name}.yaml"])
        result = [{"name": verb, "disabled": may[verb]["disabled"]} for verb in sorted(may)]
        discovered.append({"inputPath": f"../testdata/{name}.yaml", "result": result})
    for verb, name in actions.ASKED_OF.items():
        paths = {"inputPath": f"../testdata/{name}.yaml", "expectedOutputPath": f"testdata/{verb}.yaml"}
        made.append({"action": verb, **paths})
        found[f"testdata/{verb}.yaml"] = _yaml(actions.done(verb, shown[f"testdata/{name}.yaml"]))
    found["action_test.yaml"] = _yaml({"discoveryTests": discovered, "actionTests": made})
    return {f"{folder}/{path}": text for path, text in found.items()}


def _actions_key() -> str:
    """The same scripts as argocd-cm takes them."""
    definitions = "".join(
        f"    - name: {verb}\n      action.lua: |\n{textwrap.indent(actions.script(verb), ' ' * 8)}" for verb in VERBS
    )
    discovery = textwrap.indent(actions.DISCOVERY.read_text(), " " * 6)
    return f"  {ACTIONS_KEY}: |\n    discovery.lua: |\n{discovery}    definitions:\n{definitions}"


def _yaml(value: Manifest) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    logging.disable()
    for folder in (scenes.TESTDATA, actions.FOLDER / "testdata"):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
    for path, contents in files().items():
        (CONFIG_MAP.parent / path).parent.mkdir(exist_ok=True)
        (CONFIG_MAP.parent / path).write_text(contents)
