"""The operator's image: what it installs is what pyproject.toml asks for, each package by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from localcluster.pods.images import parse
from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "operator/requirements.lock").read_text()
DOCKERFILE = (ROOT / "operator/Dockerfile").read_text()
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", LOCK, re.MULTILINE))


def test_the_lock_has_a_version_that_will_do_for_every_dependency() -> None:
    asked_for = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["tracing"]]
    wanted = [Requirement(text) for text in asked_for]
    assert [one.name for one in wanted if not one.specifier.contains(PINS.get(one.name, "0"))] == [], "run `make lock`"


def test_every_package_of_the_lock_has_a_hash() -> None:
    packages = [part for part in re.split(r"\n(?=[a-z])", LOCK) if "==" in part]
    assert len(packages) == len(PINS) > len(PROJECT["dependencies"])
    assert all("--hash=sha256:" in package for package in packages)


def test_the_image_starts_the_operator_as_nobody() -> None:
    image = parse(Path("operator"), DOCKERFILE)
    assert (image.entrypoint, image.cmd) == (("python", "-m", "modelrollout"), ("run",))
    assert "USER 65532:65532" in DOCKERFILE


def test_base_lock_and_folder_are_of_one_python() -> None:
    (base,) = re.findall(r"^ARG BASE=docker.io/library/python:(\d+\.\d+)\.\d+-slim", DOCKERFILE, re.MULTILINE)
    (folder,) = re.findall(r"/usr/local/lib/python(\d+\.\d+)/", DOCKERFILE)
    (locked,) = re.findall(r"--python-version (\S+)", (ROOT / "Makefile").read_text())
    assert base == folder == locked


def test_chart_image_and_package_have_one_version() -> None:
    chart = yaml.safe_load((ROOT / "charts/modelrollout/Chart.yaml").read_text())
    (of_make,) = re.findall(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (of_image,) = re.findall(r"^ARG VERSION=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert {chart["appVersion"], of_make, of_image} == {PROJECT["version"]}
