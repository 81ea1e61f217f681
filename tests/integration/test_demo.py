"""`make demo` as CI sees it: without a terminal, the whole story once; and broken off, without a trace.

The first test is the most expensive of the suite, about two minutes: `-m 'not demo'` leaves it out.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.command import ROOT
from localcluster import gateway, metrics
from localcluster.gateway.envoy import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError

COMMAND = [sys.executable, "-m", "demo"]
KEYS = {
    "name",
    "outcome",
    "maxWeight",
    "usersHarmed",
    "requestsFailedBySwitch",
    "secondsToDetect",
    "secondsToRestore",
}
INTERRUPTED = "Interrupted"


@pytest.fixture(autouse=True)
def parts() -> None:
    """Skip where the demo could not start."""
    try:
        gateway.binary()
        metrics.binary()
    except (EnvoyMissingError, PrometheusMissingError) as missing:
        pytest.skip(str(missing))


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs in a session of its own, which all its children share, whatever their group."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    def says(self, text: str, *, within: float) -> None:
        """Wait for it to say something."""
        self._until(lambda: text in self.said or self.process.poll() is not None, within)
        assert text in self.said, f"the demo did not say {text!r}:\n{self.said}"

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ends(self, *, within: float = 30) -> int:
        """Its exit code. Its children have a moment to go after it: the kernel ends them one by one."""
        code = self.process.wait(within)
        self._until(lambda: not self.family(), 5)
        return code

    def family(self) -> list[str]:
        """Everything that runs in its session: `12345 (envoy)`."""
        return [told for session, told in _running() if session == self.process.pid]

    def _until(self, is_so: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.05)


@contextmanager
def demo(folder: Path, **environment: str) -> Iterator[Demo]:
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*COMMAND, "--directory", str(folder / "demo")],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Demo(process, output)
    finally:
        process.kill()
        process.wait()


def _running() -> Iterator[tuple[int, str]]:
    """Session, and number and name, of every process that is not a zombie."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().rpartition(") ")
            except OSError:  # it has just ended
                continue
            state, _, _, session = rest.split()[:4]
            if state not in "ZX":
                yield int(session), f"{name})"


@pytest.mark.demo
@pytest.mark.timeout(420)
def test_the_story_goes_as_told_and_not_one_request_fails_by_the_switch(tmp_path: Path) -> None:
    with demo(tmp_path) as told:
        code = told.ends(within=400)
        assert code == 0, told.said
        assert told.family() == []
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    releases = {release["name"]: release for release in report["releases"]}
    assert [set(release) for release in report["releases"]] == [KEYS] * 4
    assert {name: release["outcome"] for name, release in releases.items()} == {
        "v1": "Installed",
        "v2": "Promoted",
        "v3": "RolledBack",
        "v4": "RolledBack",
    }
    assert {name: release["requestsFailedBySwitch"] for name, release in releases.items()} == dict.fromkeys(releases, 0)
    assert releases["v2"]["maxWeight"] == 100
    assert releases["v3"]["maxWeight"] < 50
    assert releases["v4"]["maxWeight"] == first_step()
    for name in ("v3", "v4"):
        assert releases[name]["usersHarmed"] > 0
        assert 0 <= releases[name]["secondsToDetect"] <= releases[name]["secondsToRestore"]
    assert report["asTold"] is True
    assert "kubectl apply -f examples/digits.yaml" in told.said or report["commandsBy"] == "client"
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count('class="line v2"') == len(example()["spec"]["analysis"]["metrics"])


def example() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())
    return manifest


def first_step() -> int:
    weight: int = example()["spec"]["stages"][0]["canary"]["weights"][0]
    return weight


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("moment", "family", "presses"),
    [
        ("Starting an API server", 1, 1),  # nothing of it answers yet
        ("Prometheus  http", 5, 2),  # all parts run, the operator starts
        ("Users come", 8, 1),  # two model servers beside it, and the load generator at work
    ],
)
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, moment: str, family: int, presses: int) -> None:
    with demo(tmp_path) as told:
        told.says(moment, within=180)
        assert len(told.family()) >= family
        for _ in range(presses):
            told.interrupt()
        assert told.ends() == 128 + signal.SIGINT
        assert told.family() == []
        assert told.said.count(INTERRUPTED) <= 1
        if presses == 1:  # a second press at once leaves no time for words
            assert INTERRUPTED in told.said.splitlines()[-1]
        assert "Traceback" not in told.said


def test_a_missing_prometheus_is_one_sentence_that_says_what_to_install(tmp_path: Path) -> None:
    without = tmp_path / "bin"
    without.mkdir()
    for program in ("env", "sh"):
        (without / program).symlink_to(shutil.which(program) or "/bin/sh")
    with demo(tmp_path, PATH=str(without)) as told:
        assert told.ends(within=100) == 1
        assert told.family() == []
        last = told.said.splitlines()[-1]
        assert "apt-get install prometheus" in last
        assert "Traceback" not in told.said


def test_two_demos_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    with demo(tmp_path) as first:
        first.says("Starting an API server", within=60)
        again = subprocess.run(  # noqa: S603 - ourselves
            [*COMMAND, "--directory", str(tmp_path / "demo")], capture_output=True, text=True, check=False
        )
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr == f"A demo runs in {tmp_path / 'demo'} already; --directory names another place.\n"
        first.interrupt()
        first.ends()
