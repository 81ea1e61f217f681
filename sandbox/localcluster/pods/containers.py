"""A container: a local process that is started, probed, and started again as the pod's policy says.

Knows its own state only; writing it to the API server is the pod's business.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import aiohttp

from localcluster.pods import probes
from localcluster.pods.environment import UnsupportedError, at_home, environment, expand
from localcluster.pods.images import Image, Images, NoSuchImageError, command_of, folder_of
from localcluster.pods.probes import Probe
from localcluster.pods.status import timestamp
from localcluster.processes.background import running
from localcluster.processes.children import CannotStartError, Guard, Process
from modelrollout.objects.manifests import Manifest

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds; a kubelet's 10 and 300 are too slow to watch
FORGIVEN_AFTER = 60.0  # seconds of running after which the pause starts small again

RestartPolicy = Literal["Always", "OnFailure", "Never"]


@dataclass(frozen=True, slots=True)
class Host:
    """The resources that the machine gives to containers; probes go through `session`."""

    images: Images
    logs: Path
    session: aiohttp.ClientSession
    guard: Guard


class Container:
    def __init__(
        self,
        pod: Manifest,
        spec: Manifest,
        *,
        host: Host,
        restarts: RestartPolicy,
        log: Path,
        changed: Callable[[], None],
    ) -> None:
        self._pod, self._spec, self._host, self._restarts = pod, spec, host, restarts
        self._log, self._changed = log, changed
        self._address: str = pod["status"]["podIP"]
        self._process: Process | None = None
        self._environment: dict[str, str] = {}
        self._folder = Path()
        self._stopping = asyncio.Event()
        self._state: Manifest = {"waiting": {"reason": "ContainerCreating"}}
        self._last: Manifest = {}
        self._started = self._ready = False
        self._restart_count = 0
        self._id = ""

    @property
    def status(self) -> Manifest:
        """The entry of `status.containerStatuses`; `containerID` tells the process."""
        return {
            "name": self._spec["name"],
            "image": self._spec["image"],
            "imageID": "",
            "containerID": self._id,
            "ready": self._ready,
            "started": self._started,
            "restartCount": self._restart_count,
            "state": self._state,
            "lastState": self._last,
        }

    async def run(self) -> bool:
        """Until it has ended for good; whether it ended well."""
        image = await self._image()
        pause = FIRST_PAUSE
        while image is not None:
            begun = asyncio.get_running_loop().time()
            code = await self._run_once(image)
            if self._stopping.is_set() or self._restarts == "Never" or (self._restarts == "OnFailure" and code == 0):
                return code == 0
            if asyncio.get_running_loop().time() - begun > FORGIVEN_AFTER:
                pause = FIRST_PAUSE
            await self._back_off(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return False

    async def stop(self, drain: float, grace: float) -> None:
        """End it for good: `drain` seconds for others to look away, then SIGTERM, after `grace` in all SIGKILL."""
        self._stopping.set()
        if (process := self._process) is None:
            return
        deadline = asyncio.get_running_loop().time() + grace
        try:
            async with asyncio.timeout(grace):
                await asyncio.gather(asyncio.sleep(drain), self._before_stop())
        except TimeoutError:
            pass
        await process.stop(max(0.0, deadline - asyncio.get_running_loop().time()))

    async def _image(self) -> Image | None:
        """None when it is to stop before there is one."""
        reference, pause = self._spec["image"], FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                return self._host.images.find(reference)
            except NoSuchImageError as error:
                self._wait("ErrImagePull", str(error))
                await self._pause(pause)
                self._wait("ImagePullBackOff", f'Back-off pulling image "{reference}": {error}')
                await self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        return None

    async def _run_once(self, image: Image) -> int:
        begun = datetime.now(UTC)
        try:
            watchers = self._prepare(image)
            command = self._command(image)
            self._process = await self._start(command)
        except UnsupportedError as error:
            self._wait("CreateContainerConfigError", str(error))
            await self._stopping.wait()
            return 128
        except CannotStartError as error:
            self._end(128, "StartError", begun, str(error))
            return 128
        self._id = f"process://{self._process.pid}"
        self._state = {"running": {"startedAt": timestamp(begun)}}
        self._changed()
        if self._stopping.is_set():  # it was asked for while the process was being started
            await self._process.stop(0)
        async with running(self._watch(*watchers)):
            code = await self._process.wait()
        self._process = None
        self._end(code, "Completed" if code == 0 else "Error", begun)
        return code

    def _prepare(self, image: Image) -> tuple[Probe | None, Probe | None, Probe | None]:
        """Settle environment and folder; the probes for startup, liveness and readiness. Raises `UnsupportedError`."""
        python = Path(sys.executable).parent
        base = {
            "PATH": f"{python}:{os.environ.get('PATH', os.defpath)}",  # `python` is this interpreter
            "HOME": os.environ.get("HOME", "/"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "PYTHONUNBUFFERED": "1",
            "HOSTNAME": self._pod["metadata"]["name"],
            **image.environment,
        }
        found = environment(self._pod, self._spec, base)
        self._environment = {name: at_home(value, self._address) for name, value in found.items()}
        self._folder = folder_of(image, self._spec.get("workingDir"))
        return Probe.of(self._spec, "startup"), Probe.of(self._spec, "liveness"), Probe.of(self._spec, "readiness")

    def _command(self, image: Image) -> list[str]:
        command = [at_home(expand(part, self._environment), self._address) for part in command_of(image, self._spec)]
        if not command:
            where = f"neither container {self._spec['name']} nor {image.folder}/Dockerfile"
            raise UnsupportedError(f"no command specified: {where} has one")
        if command[0] in ("python", "python3"):
            command[0] = sys.executable
        return command

    async def _start(self, command: list[str]) -> Process:
        return await Process.start(
            command, folder=self._folder, environment=self._environment, log=self._log, guard=self._host.guard
        )

    async def _watch(self, startup: Probe | None, liveness: Probe | None, readiness: Probe | None) -> None:
        if startup is not None and not await self._has_started(startup):
            return
        self._started, self._ready = True, readiness is None
        self._changed()
        watching: list[Coroutine[Any, Any, None]] = []
        if liveness is not None:
            watching.append(self._keep_alive(liveness))
        if readiness is not None:
            watching.append(self._keep_ready(readiness))
        async with asyncio.TaskGroup() as tasks:
            for each in watching:
                tasks.create_task(each)

    async def _has_started(self, startup: Probe) -> bool:
        async for passed, _ in startup.verdicts(self._ask):
            if not passed:
                await self._restart()
            return passed
        return False

    async def _keep_alive(self, liveness: Probe) -> None:
        async for passed, _ in liveness.verdicts(self._ask):
            if not passed:
                await self._restart()

    async def _keep_ready(self, readiness: Probe) -> None:
        async for passed, _ in readiness.verdicts(self._ask):
            self._ready = passed
            self._changed()

    async def _restart(self) -> None:
        """End the process and no more; starting it again is up to the policy."""
        if self._process is not None:
            await self._process.stop(float(self._pod["spec"].get("terminationGracePeriodSeconds", 30)))

    async def _before_stop(self) -> None:
        hook = (self._spec.get("lifecycle") or {}).get("preStop") or {}
        if "sleep" in hook:
            await asyncio.sleep(float(hook["sleep"]["seconds"]))
        elif "exec" in hook:
            await self._execute(list(hook["exec"]["command"]))

    async def _ask(self, probe: Probe) -> probes.Answer:
        return await probes.ask(probe, self._address, self._host.session, self._execute)

    async def _execute(self, command: list[str]) -> probes.Answer:
        """Run a command beside the container's own, with its environment."""
        try:
            process = await self._start(command)
        except CannotStartError as error:
            return False, str(error)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await process.stop(0)
            raise
        return code == 0, f"command ended with code {code}"

    async def _back_off(self, pause: float) -> None:
        self._last = self._state
        pod = self._pod["metadata"]
        who = f"container={self._spec['name']} pod={pod['name']}_{pod['namespace']}({pod['uid']})"
        self._wait("CrashLoopBackOff", f"back-off {pause:g}s restarting failed {who}")
        await self._pause(pause)
        self._restart_count += 1

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _wait(self, reason: str, message: str) -> None:
        self._state = {"waiting": {"reason": reason, "message": message}}
        self._changed()

    def _end(self, code: int, reason: str, begun: datetime, message: str = "") -> None:
        self._started = self._ready = False
        ended = {"exitCode": code, "reason": reason, "startedAt": timestamp(begun)}
        ended |= {"finishedAt": timestamp(datetime.now(UTC)), "containerID": self._id}
        self._state = {"terminated": {**ended, **({"message": message} if message else {})}}
        self._changed()
