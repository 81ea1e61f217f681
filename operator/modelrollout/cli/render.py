"""`modelrollout render FILE…`: the objects that ModelRollouts in files lead to. Asks no cluster.

As they are once the version in the file serves everybody: to be read, or compared with those of another commit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import yaml

from modelrollout.api.base import KIND
from modelrollout.cli.lint import NOT_READ, is_ours, lint, placed, surroundings
from modelrollout.cli.written import UnreadableError, Written, read
from modelrollout.plan import offline


def run(flags: argparse.Namespace) -> int:
    """The exit code: as of lint, whose words go to the standard error."""
    try:
        linted = lint([*read(flags.files)], flags.namespace)
    except UnreadableError as error:
        sys.stderr.write(f"modelrollout: {error}\n")
        return NOT_READ
    sys.stderr.write("".join(map(str, linted.lines)))
    if not linted.exit_code:
        sys.stdout.write("---\n".join(rendered(linted.written, flags.namespace)))
    return linted.exit_code


def rendered(written: Sequence[Written], namespace: str) -> Iterator[str]:
    """The objects in YAML, each after the file and the name of the ModelRollout that it belongs to."""
    others = surroundings(written, namespace)
    for one in written:
        if is_ours(one) and one.manifest["kind"] == KIND:
            for made in offline.objects(placed(one.manifest, namespace), others):
                text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
                yield f"# {one.name} in {one.file}\n{text}"
