"""The backtest command: reads flags, runs, sets exit codes, and prints one sentence for each error.

Exit codes: 0 it ran, whatever it found; 1 Prometheus did not answer; 2 a flag, a file or a field is wrong; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from modelrollout.cli.backtest import alarms, comparison, document, page, table
from modelrollout.cli.backtest.arms import (
    EVERYBODY,
    NAMES,
    Selected,
    checked_matchers,
    narrowed,
    opposite,
    past_arm,
)
from modelrollout.cli.backtest.fetch import Asks, Fetcher
from modelrollout.cli.backtest.flags import URL
from modelrollout.cli.backtest.moments import length, moment
from modelrollout.cli.backtest.policy import Policy, read_policy
from modelrollout.cli.backtest.progress import Progress
from modelrollout.cli.backtest.replay import Arms
from modelrollout.cli.backtest.trouble import BacktestError, MisuseError
from modelrollout.cli.ending import INTERRUPTED
from modelrollout.prometheus import Prometheus

ANSWER_TIMEOUT = timedelta(seconds=60)
"""For one answer: pieces of history are larger than what a look asks for."""


@dataclass(frozen=True, slots=True)
class Options:
    """The flags, read and checked."""

    policy: Policy
    start: datetime
    end: datetime
    onset: datetime | None
    candidate: Selected | None
    stable: Selected
    is_held: bool
    pods: int
    pod_label: str | None
    output: str
    html: Path | None


def run(
    flags: argparse.Namespace, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), asks: Asks | None = None
) -> int:
    """The whole command. `asks`: instead of a Prometheus at --prometheus."""
    log = logging.getLogger("modelrollout")
    level = log.level
    log.setLevel(logging.ERROR)  # one sentence for each trouble is enough
    try:
        options = read_options(flags, now())
        text = asyncio.run(_run(options, flags, asks))
    except KeyboardInterrupt:
        return _failed("interrupted.", INTERRUPTED)
    except BacktestError as trouble:
        return _failed(str(trouble), trouble.exit_code)
    finally:
        log.setLevel(level)
    return _print(text)


def _print(text: str) -> int:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def read_options(flags: argparse.Namespace, now: datetime) -> Options:
    """The flags, checked. Raises MisuseError."""
    policy = read_policy(flags.filename, flags.name).without(flags.without)
    start, end, onset = _times(flags, now)
    if flags.pods < 1:
        raise MisuseError(f"--pods is {flags.pods}; it has to be 1 or more.")
    candidate, stable = _arms(flags, policy)
    if candidate is None and (onset is not None or flags.hold):
        which = "--onset" if onset is not None else "--hold"
        raise MisuseError(f"{which} speaks of a candidate; say which with --candidate-pods or --candidate-selector.")
    return Options(
        policy, start, end, onset, candidate, stable, flags.hold, flags.pods, flags.pod_label, flags.output, flags.html
    )


def _times(flags: argparse.Namespace, now: datetime) -> tuple[datetime, datetime, datetime | None]:
    try:
        start, end = moment(flags.start, now, "--start"), moment(flags.end, now, "--end")
        onset = moment(flags.onset, now, "--onset") if flags.onset is not None else None
    except ValueError as wrong:
        raise MisuseError(f"{wrong}.") from None
    if end > now + timedelta(seconds=1):
        raise MisuseError(f"--end is {length(end - now)} in the future; only what was can be replayed.")
    if start >= end:
        raise MisuseError("--start has to be before --end.")
    if onset is not None and not start <= onset <= end:
        raise MisuseError("--onset has to lie between --start and --end.")
    return start, end, onset


def _arms(flags: argparse.Namespace, policy: Policy) -> tuple[Selected | None, Selected]:
    mine = checked_matchers(flags.candidate_selector or "", "--candidate-selector")
    theirs = checked_matchers(flags.stable_selector or "", "--stable-selector")
    names = {arm: _names(getattr(flags, f"{arm}_name"), f"--{arm}-name") for arm in ("candidate", "stable")}
    is_tried = bool(mine or flags.candidate_pods or names["candidate"])
    if is_tried and not (theirs or flags.stable_pods or names["stable"]):
        if (other := opposite(mine)) is None:
            raise MisuseError(
                "say who was stable, with --stable-pods or --stable-selector: it would not be told apart."
            )
        theirs = other
    # Labels alone tell versions apart where the pods of both are called alike.
    default = EVERYBODY if is_tried or theirs else f"{policy.name}-.+"
    stable = Selected("stable", flags.stable_pods or default, theirs, names["stable"])
    if not is_tried:
        return None, stable
    return Selected("candidate", flags.candidate_pods or EVERYBODY, mine, names["candidate"]), stable


def _names(given: Sequence[str], flag: str) -> dict[str, str]:
    known = (*NAMES, "namespace", "rollout")
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in known or not equals or not value:
            raise MisuseError(f"{flag} is {text!r}; write NAME=VALUE, with one of {', '.join(known)}.")
        found[name] = value
    return found


async def _run(options: Options, flags: argparse.Namespace, asks: Asks | None) -> str:
    if options.html is not None:
        _require_writable(options.html)
    if asks is not None:
        return await _replay(options, asks, is_quiet=flags.quiet)
    own = options.policy.analysis.prometheus
    url = flags.prometheus or (own.url if own else None)
    if url is None:
        raise MisuseError(f"--prometheus is missing: give the address of a Prometheus, or set ${URL}.")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise MisuseError(f"--prometheus is {url!r}; it has to look like http://prometheus:9090.")
    async with Prometheus(url, timeout=ANSWER_TIMEOUT, headers=_headers(flags.header)) as prometheus:
        return await _replay(options, prometheus, is_quiet=flags.quiet)


def _headers(given: Sequence[str]) -> Mapping[str, str]:
    headers = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise MisuseError("--header has to look like NAME=VALUE.")  # its value may be a secret: it is not repeated
        headers[name.strip()] = value.strip()
    return headers


async def _replay(options: Options, asks: Asks, *, is_quiet: bool) -> str:
    progress = Progress("replaying", is_quiet=is_quiet)
    fetcher = Fetcher(asks, progress.fetched)
    try:
        text, html = await _replay_and_render(options, fetcher, progress)
    finally:
        progress.done()
    if options.html is not None and html is not None:
        try:
            options.html.write_text(html)
        except OSError as error:
            raise MisuseError(f"--html {options.html}: it cannot be written: {error.strerror}.") from None
    return text


async def _replay_and_render(options: Options, fetcher: Fetcher, progress: Progress) -> tuple[str, str | None]:
    policy, is_json = options.policy, options.output == "json"
    if options.candidate is None:
        counted = await alarms.count_alarms(
            policy,
            options.stable,
            fetcher,
            progress,
            start=options.start,
            end=options.end,
            most_pods=options.pods,
            label=options.pod_label,
        )
        text = _json(document.alarms_document(counted)) if is_json else table.alarms_text(counted)
        return text, page.alarms_page(counted) if options.html else None
    sides = (options.candidate, options.stable)
    candidate, stable = (past_arm(side, policy) for side in sides)
    arms = Arms(candidate, stable, *(narrowed(policy.analysis, side) for side in sides))
    tried = await comparison.replay_candidate(
        policy,
        sides,
        arms,
        fetcher,
        progress,
        start=options.start,
        end=options.end,
        onset=options.onset,
        is_held=options.is_held,
        with_curves=options.html is not None,
    )
    text = _json(document.comparison_document(tried)) if is_json else table.comparison_text(tried)
    return text, page.comparison_page(tried) if options.html else None


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _require_writable(path: Path) -> None:
    """Before hours of work, not after."""
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise MisuseError(f"--html {path}: there is no folder to write this file in.")


def _failed(why: str, code: int) -> int:
    sys.stderr.write(f"modelrollout backtest: {why}\n")
    return code
