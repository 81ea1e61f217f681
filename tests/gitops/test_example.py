"""examples/gitops as a repository of its own: its workflow is run, step by step, on pull requests to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.docs import document, documents
from tests.gitops.test_waits import EXPRESSIONS
from tests.places import ROOT

EXAMPLE = ROOT / "examples/gitops"
(JOB,) = document(EXAMPLE / ".github/workflows/rollouts.yaml")["jobs"].values()
STEPS: dict[str, str] = {step["name"]: step["run"] for step in JOB["steps"] if "run" in step}
BUMP = ('version: "11"', 'version: "12"')
BLUNDER = ("[5, 25, 50, 100]", "[5, 50, 25, 100]")
FILE = "models/production/fraud.yaml"


class Repository:
    """A clone of the example on a branch, and a machine on which `modelrollout` and `pip` are found."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.clone = folder, folder / "work/clone"
        shutil.copytree(EXAMPLE, folder / "origin")
        self._git(folder / "origin", "init", "--quiet", "--initial-branch", "main")
        self._commit(folder / "origin")
        self._git(folder, "clone", "--quiet", "origin", str(self.clone))
        self._put("modelrollout", f'exec "{sys.executable}" -m modelrollout "$@"')
        self._put("pip", f'echo "$@" >> "{folder}/installed"')

    def propose(self, old: str, new: str) -> None:
        """A pull request that changes one line."""
        text = (self.clone / FILE).read_text()
        assert old in text
        (self.clone / FILE).write_text(text.replace(old, new))
        self._commit(self.clone)

    def run(self, step: str) -> subprocess.CompletedProcess[str]:
        """A step as GitHub runs it."""
        command, environment = ["bash", "-e", "-c", STEPS[step]], self._environment()
        return subprocess.run(  # noqa: S603
            command, cwd=self.clone, env=environment, capture_output=True, text=True, check=False
        )

    @property
    def summary(self) -> str:
        return (self._folder / "summary").read_text()

    @property
    def installed(self) -> str:
        return (self._folder / "installed").read_text().strip()

    def _environment(self) -> Mapping[str, str]:
        path = f"{self._folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        github = {"GITHUB_BASE_REF": "main", "GITHUB_STEP_SUMMARY": str(self._folder / "summary")}
        return {**os.environ, "PATH": path, "MODELROLLOUT": "the-tool", **github}

    def _commit(self, where: Path) -> None:
        who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        self._git(where, "add", "--all")
        self._git(where, *who, "commit", "--quiet", "--message", "change")

    def _git(self, where: Path, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=where, check=True, capture_output=True)  # noqa: S603, S607

    def _put(self, name: str, script: str) -> None:
        file = self._folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_pull_request_with_a_new_version_shows_what_comes_of_it(repository: Repository) -> None:
    repository.propose(*BUMP)
    for step in STEPS:
        ran = repository.run(step)
        assert ran.returncode == 0, f"{step}: {ran.stdout}{ran.stderr}"
    assert repository.installed == "install the-tool"
    changed = [line[1:].strip() for line in repository.summary.splitlines() if line[:2] in ("- ", "+ ")]
    images = [line for line in changed if "image:" in line]
    assert images == ["image: registry.example/fraud:11", "image: registry.example/fraud:12"]


def test_a_pull_request_with_a_blunder_is_stopped_on_its_line(repository: Repository) -> None:
    repository.propose(*BLUNDER)
    ran = repository.run("Lint")
    assert ran.returncode == 1
    assert ran.stdout.startswith(f"{FILE}:28: error: ModelRollout 'fraud': InvalidSpec: spec.stages[0].canary.weights")


def test_flux_is_given_the_expressions_that_are_tested() -> None:
    *_, models = documents((EXAMPLE / "flux/models.yaml").read_text())
    assert models["spec"]["healthCheckExprs"] == [EXPRESSIONS]
