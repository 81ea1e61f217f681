"""The policy that is replayed: a ModelRollout from files, with its presets and templates filled in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from modelrollout.api.analysis import Analysis
from modelrollout.api.base import KIND as ROLLOUT_KIND
from modelrollout.api.errors import name_error
from modelrollout.api.findings import Finding
from modelrollout.api.metric_templates import CLUSTER_KIND
from modelrollout.api.metric_templates import KIND as TEMPLATE_KIND
from modelrollout.cli.backtest.trouble import MisuseError
from modelrollout.objects.manifests import Manifest
from modelrollout.rollout.expansion import TemplateKey
from modelrollout.rollout.rollout import Wish, read_wish

STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose it is, and what it wishes; all metrics are in `analysis.metrics`.

    `is_placed`: the file says which namespace it is.
    """

    namespace: str
    name: str
    wish: Wish
    is_placed: bool = True

    @property
    def analysis(self) -> Analysis:
        return self.wish.spec.analysis

    def without(self, names: Sequence[str]) -> Policy:
        """The same, with fewer metrics. Raises MisuseError for one that it does not have, and when none is left."""
        metrics = self.analysis.metrics
        if unknown := sorted(set(names) - {metric.name for metric in metrics}):
            known = ", ".join(metric.name for metric in metrics)
            raise MisuseError(f"--without is {unknown[0]!r}, which is no metric of {self.name}; it has: {known}.")
        left = tuple(metric for metric in metrics if metric.name not in names)
        if not left:
            raise MisuseError("--without leaves no metric to replay.")
        analysis = self.analysis.model_copy(update={"metrics": left})
        return replace(self, wish=replace(self.wish, spec=self.wish.spec.model_copy(update={"analysis": analysis})))


def read_policy(files: Sequence[Path], name: str | None = None) -> Policy:
    """The one ModelRollout in the files, or that of the name; templates may stand beside it. Raises MisuseError."""
    found = [(path, manifest) for path in files for manifest in _documents(path)]
    rollouts = [(path, manifest) for path, manifest in found if manifest.get("kind") == ROLLOUT_KIND]
    named = [one for one in rollouts if name is None or _metadata(one[1]).get("name") == name]
    if len(named) != 1:
        raise MisuseError(_which(files, [str(_metadata(one).get("name")) for _, one in rollouts], name))
    path, manifest = named[0]
    metadata = _metadata(manifest)
    called, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "default")
    if wrong := name_error(called):
        raise MisuseError(f"-f {path}: {wrong}.")
    templates = {
        TemplateKey(str(one["kind"]), str(_metadata(one).get("name"))): one
        for _, one in found
        if one.get("kind") == CLUSTER_KIND
        or (one.get("kind") == TEMPLATE_KIND and _metadata(one).get("namespace", namespace) == namespace)
    }
    spec = manifest.get("spec")
    wish = read_wish(_without_requests(spec) if isinstance(spec, dict) else {}, templates)
    if isinstance(wish, Finding):
        more = " Give its file with a further -f." if wish.reason == "TemplateNotFound" else ""
        raise MisuseError(f"-f {path}: {wish.message.replace('; traffic stays as it is', '')}{more}")
    if not wish.spec.analysis.metrics:
        raise MisuseError(f"-f {path}: spec.analysis has readinessOnly: there is nothing to replay; give it metrics.")
    return Policy(namespace, called, wish, is_placed="namespace" in metadata)


_NOT_REPLAYED = ("compare", "smoke", "smokeDeadline")


def _without_requests(spec: Manifest) -> Manifest:
    """Nobody compared answers in the past, or put requests of their own; the stages are replayed without that."""
    stages = spec.get("stages")
    if not isinstance(stages, list):
        return spec
    return {**spec, "stages": [_as_replayed(stage) for stage in stages]}


def _as_replayed(stage: Any) -> Any:
    if not isinstance(stage, dict):
        return stage
    kinds = ((name, fields) for name, fields in stage.items() if isinstance(fields, dict))
    return stage | {
        name: {field: value for field, value in fields.items() if field not in _NOT_REPLAYED} for name, fields in kinds
    }


def _which(files: Sequence[Path], names: Sequence[str], wished: str | None) -> str:
    where = ", ".join(str(path) for path in files)
    if not names:
        return f"-f {where}: there is no {ROLLOUT_KIND} in it."
    if wished is not None and wished not in names:
        return f"--name is {wished!r}, but -f {where} has: {', '.join(names)}."
    return f"-f {where}: there are {len(names)} {ROLLOUT_KIND}s ({', '.join(names)}); say which with --name."


def _documents(path: Path) -> Iterator[Manifest]:
    try:
        text = sys.stdin.read() if path == STDIN else path.read_text()
        documents = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
        raise MisuseError(f"-f {path}: it cannot be read: {why}.") from None
    except yaml.YAMLError as error:
        raise MisuseError(f"-f {path}: it is no YAML: {' '.join(str(error).split())}.") from None
    for document in documents:
        if isinstance(document, dict):
            items = document.get("items")
            whole = items if document.get("kind") == "List" and isinstance(items, list) else [document]
            yield from (one for one in whole if isinstance(one, dict))
        elif document is not None:
            raise MisuseError(f"-f {path}: a document in it is no object with kind and spec.")


def _metadata(manifest: Manifest) -> Manifest:
    metadata = manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
