"""The commands on the pages of the documentation, and which of them no test runs, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.site.pages import DOCS, PAGES, name_of

TUTORIAL = DOCS / "tutorial.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)

NEEDS_A_RELEASE_OF_HELM = "needs a cluster with the chart in it; what it installs is rendered in tests/chart"
NEEDS_A_GATEWAY = "needs a gateway of yours with a host name; tests/integration asks the sandbox's in the same way"
NEEDS_THE_GATEWAY_API = "needs the kinds of the Gateway API, which the server of these tests has not"
NEVER_ENDS = "does not end by itself; the same without --watch is run"
NOT_RUN = {
    "helm test modelrollout --namespace modelrollout": NEEDS_A_RELEASE_OF_HELM,
    "helm uninstall modelrollout --namespace modelrollout": NEEDS_A_RELEASE_OF_HELM,
    "helm get values modelrollout --namespace modelrollout --output yaml > values.yaml": "needs the same; "
    "tests/chart/test_chart_upgrade.py asks Helm in the same way",
    "kubectl delete modelrollouts --all --all-namespaces": "would take rollouts from other tests; one is deleted in "
    "the tutorial",
    "kubectl delete crd modelrollouts.modelrollout.dev metrictemplates.modelrollout.dev "
    "clustermetrictemplates.modelrollout.dev": "would take the definitions from under other tests",
    "kubectl logs --namespace modelrollout deployment/modelrollout": "needs pods, which a bare API server has not",
    "kubectl get modelrollout fraud --watch": NEVER_ENDS,
    "kubectl get gatewayclass -o custom-columns='NAME:.metadata.name,FEATURES:.status.supportedFeatures[*].name'": (
        NEEDS_THE_GATEWAY_API
    ),
    "kubectl describe httproute fraud": NEEDS_THE_GATEWAY_API,
    """curl -s -H 'X-Preview: 1' https://fraud.example.com/predict -d '{"image": "cat-17"}'""": NEEDS_A_GATEWAY,
    "curl -si https://fraud.example.com/ -o /dev/null -D - | grep -i '^set-cookie: fraud-arm='": NEEDS_A_GATEWAY,
    """python -c 'import mlflow; mlflow.MlflowClient().set_registered_model_alias("fraud", "champion", "13")'""": (
        "needs MLflow and a registry"
    ),
}
"""The commands that no test runs, and why. Whatever else is on a page is run, or read by the program that it is for."""


def commands(page: Path) -> Iterator[str]:
    """Each in one line, in order."""
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = block.replace("\\\n", " ").splitlines()
        told = (re.sub(r"(^|\s)#\s.*", "", line) for line in lines)
        yield from (" ".join(line.split()) for line in told if line.strip())


EVERY = [(name_of(page), command) for page in PAGES if page != TUTORIAL for command in commands(page)]


def of_program(program: str) -> list[str]:
    """Those that a test has to run or read, each once."""
    found = dict.fromkeys(command for _, command in EVERY if command not in NOT_RUN)
    return [command for command in found if command.startswith(f"{program} ")]
