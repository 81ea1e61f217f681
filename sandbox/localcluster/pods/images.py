"""An image of the local cluster: a folder with a Dockerfile that gives the start command and the environment.

Nothing is built or isolated; the programs on this machine stand in for those of the base image.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any


class NoSuchImageError(Exception):
    """The local cluster has no folder for this image; the message says which it has."""


@dataclass(frozen=True, slots=True)
class Image:
    folder: Path  # stands for `workdir`
    workdir: str = "/app"
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Images:
    """Folders by image name. A name with a tag is looked for first, then the name alone: any tag will do."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)

    def find(self, reference: str) -> Image:
        """Raises `NoSuchImageError`."""
        folder = self._folders.get(reference) or self._folders.get(name_of(reference))
        if folder is None:
            known = ", ".join(sorted(self._folders)) or "none"
            raise NoSuchImageError(
                f'Failed to pull image "{reference}": the local cluster has no such image; it has {known}'
            )
        dockerfile = folder / "Dockerfile"
        return parse(folder, dockerfile.read_text() if dockerfile.is_file() else "")


def name_of(reference: str) -> str:
    """The reference without tag and digest; a colon before the last slash belongs to the registry's port."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def parse(folder: Path, dockerfile: str) -> Image:
    """The image that this Dockerfile describes, as far as starting it goes."""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    workdir = Image(folder).workdir
    for line in dockerfile.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        match instruction.upper():
            case "ENTRYPOINT":
                entrypoint, cmd = _command(rest), ()
            case "CMD":
                cmd = _command(rest)
            case "WORKDIR":
                workdir = rest.strip()
            case "ENV":
                environment |= _environment(rest)
    return Image(folder, workdir, entrypoint, cmd, environment)


def command_of(image: Image, container: Mapping[str, Any]) -> list[str]:
    """The command to run: as in Kubernetes, `command` replaces the entry point, and either one replaces CMD."""
    command, args = container.get("command") or (), container.get("args") or ()
    if command:
        return [*command, *args]
    return [*image.entrypoint, *(args or image.cmd)]


def folder_of(image: Image, working_dir: str | None) -> Path:
    """Where to run: the image's folder stands for its WORKDIR; any other path is meant as it is."""
    if not working_dir:
        return image.folder
    path = PurePosixPath(working_dir)
    return image.folder / path.relative_to(image.workdir) if path.is_relative_to(image.workdir) else Path(path)


def _command(rest: str) -> tuple[str, ...]:
    if rest.lstrip().startswith("["):
        return tuple(json.loads(rest))
    return ("/bin/sh", "-c", rest.strip())


def _environment(rest: str) -> dict[str, str]:
    if re.match(r"\w+\s", rest):  # the old form: ENV NAME value with spaces
        name, _, value = rest.partition(" ")
        return {name: value.strip()}
    return dict(pair.split("=", 1) for pair in shlex.split(rest))
