"""The findings as text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from modelrollout.api.status import UsualMetric, Verdict
from modelrollout.cli.backtest.alarms import CONFIDENCE, Alarms
from modelrollout.cli.backtest.comparison import CandidateReplay, MetricHistory
from modelrollout.cli.backtest.history import noise_of
from modelrollout.cli.backtest.moments import in_utc, length
from modelrollout.cli.backtest.replay import PROMOTED, ROLLED_BACK

MOST_ALARMS = 10
NO_VALUE = "–"


def comparison_text(comparison: CandidateReplay) -> str:
    """The comparison of a candidate with stable."""
    return "\n".join(
        [
            f"{comparison.policy.namespace}/{comparison.policy.name}: candidate against stable, "
            f"{in_utc(comparison.start)} to {in_utc(comparison.end)} UTC",
            "",
            ending(comparison),
            "",
            *rows(("step", "began (UTC)", "after"), _turns(comparison)),
            "",
            *rows(
                ("metric", "first Pass", "first Fail", "at the end", "evidence", "ruled out", "candidate", "stable"),
                [_history_row(comparison, history) for history in comparison.histories],
            ),
            "",
            *_messages(comparison),
            *_preflight(comparison),
        ]
    )


def ending(comparison: CandidateReplay) -> str:
    """The sentence that answers the question."""
    turn = comparison.end_turn
    if turn is None:
        where = f"{comparison.turns[-1].stage} {comparison.turns[-1].weight} %" if comparison.turns else "the start"
        said = f"It would not have been taken back; when the data ended it was at {where}."
        if comparison.is_held:
            said = "It would not have been taken back; it was held at the last step that compares, as you asked."
        return said + _missed(comparison, None)
    after = length(turn.at - comparison.start)
    if turn.stage == PROMOTED:
        said = f"It would have been promoted at {in_utc(turn.at)} UTC, after {after}."
        return said + _missed(comparison, turn.at)
    said = f"It would have been taken back at {in_utc(turn.at)} UTC, after {after}, from {turn.weight} %"
    if comparison.onset is None:
        return f"{said}."
    if turn.at < comparison.onset:
        return f"{said}: {length(comparison.onset - turn.at)} before the onset, so for something else."
    return f"{said}: {length(turn.at - comparison.onset)} after the onset."


def _missed(comparison: CandidateReplay, promoted: datetime | None) -> str:
    if comparison.onset is None or comparison.onset >= comparison.end:
        return ""
    compared = next((turn.at for turn in comparison.turns if turn.weight >= 100), None)
    if compared is not None and compared <= comparison.onset:
        return (
            f" The onset came {length(comparison.onset - compared)} after it had got 100 %, "
            "where only min and max count; with --hold it stays at the last step that compares."
        )
    until = min(promoted or comparison.end, comparison.end)
    return f" What began at the onset was not found in the {length(until - comparison.onset)} after it."


def _turns(comparison: CandidateReplay) -> Iterator[tuple[str, ...]]:
    for turn in comparison.turns:
        is_end = turn.stage in (PROMOTED, ROLLED_BACK)
        name = f"→ {turn.stage}" if is_end else f"{turn.stage} {turn.weight} %"
        yield name, in_utc(turn.at), length(turn.at - comparison.start)


def _history_row(comparison: CandidateReplay, history: MetricHistory) -> tuple[str, ...]:
    def since(at: datetime | None) -> str:
        return f"+{length(at - comparison.start)}" if at else NO_VALUE

    last = history.last
    if last is None:
        return history.metric, NO_VALUE, NO_VALUE, "not looked at", *[NO_VALUE] * 4
    shown = (last.evidence, last.ruled_out, last.candidate, last.stable)
    return (
        history.metric,
        since(history.first_pass),
        since(history.first_fail),
        last.verdict.value,
        *(one or NO_VALUE for one in shown),
    )


def _messages(comparison: CandidateReplay) -> Iterator[str]:
    """The last message of each metric that did not pass."""
    for history in comparison.histories:
        if history.last is not None and history.last.verdict is not Verdict.PASS:
            yield f"  {history.last.message}"
    lasts = (one.last for one in comparison.histories)
    if comparison.last is not None and any(last and last.verdict is not Verdict.PASS for last in lasts):
        yield ""


def _preflight(comparison: CandidateReplay) -> Iterator[str]:
    yield "Before the start its past would have said:"
    for one in comparison.usual:
        yield f"  {one.metric}: {'; '.join(text.removeprefix(f'{one.metric}: ') for text in known(one))}"


def known(one: UsualMetric) -> list[str]:
    """The history of a metric: how its noise is allowed for, and what the plan can see."""
    return [f"noise {noise_of(one)}", *filter(None, (one.sees, one.note))]


def alarms_text(found: Alarms) -> str:
    """The result of stable against stable."""
    per_week, low, high = found.per_week
    limit = found.policy.analysis.false_rollback_rate
    return "\n".join(
        [
            f"{found.policy.namespace}/{found.policy.name}: stable against stable, "
            f"{in_utc(found.start)} to {in_utc(found.end)} UTC",
            "",
            f"{found.rollouts:,} rollouts of {length(found.window)} by {len(found.pods)} pods, "
            f"{found.exposure / timedelta(days=7):.3g} weeks of rollouts in all:",
            f"  {len(found.alarms)} false alarm{'' if len(found.alarms) == 1 else 's'}, "
            f"{per_week:.3g} per week of uninterrupted rollouts "
            f"({100 * CONFIDENCE:g} %: {low:.2g} to {high:.2g}); "
            f"{len(found.alarms) / found.rollouts:.2%} of rollouts, where falseRollbackRate allows {limit}",
            f"  {found.promoted:,} went through in the planned time; {sum(found.left.values()):,} were still waiting "
            "for evidence",
            *_skipped(found),
            "",
            *rows(
                ("metric", "alarms", "waited for", "no data", "noise"),
                [_metric(found, m.name) for m in found.policy.analysis.metrics],
            ),
            "",
            *_alarms(found),
            *_sees(found),
            *advice(found),
        ]
    )


def _skipped(found: Alarms) -> list[str]:
    if not found.skipped:
        return []
    return [f"  {found.skipped} times there were not two pods that stayed for the whole time: left out"]


def _metric(found: Alarms, name: str) -> tuple[str, ...]:
    waited = sum(count for left, count in found.left.items() if name in left.metrics)
    modes = found.modes.get(name)
    total = sum(modes.values()) if modes else 0
    shown = ", ".join(f"{mode} {count / total:.0%}" for mode, count in modes.most_common()) if modes else NO_VALUE
    alarms = sum(name in alarm.metrics for alarm in found.alarms)
    return name, f"{alarms}", f"{waited:,}", f"{found.without_data[name]:,}", shown


def _alarms(found: Alarms) -> Iterator[str]:
    if not found.alarms:
        return
    shown = found.alarms[:MOST_ALARMS]
    yield from rows(
        ("false alarm (UTC)", "after", "weight", "pod", "metric"),
        [
            (in_utc(one.at), length(one.at - one.began), f"{one.weight} %", one.pod, ", ".join(one.metrics))
            for one in shown
        ],
    )
    if len(found.alarms) > len(shown):
        yield f"  and {len(found.alarms) - len(shown)} more; --output json has them all"
    yield ""
    yield f"  {shown[0].message}"
    yield ""


def _sees(found: Alarms) -> Iterator[str]:
    if found.sees:
        yield "What the plan can see, at the last time that its past was read:"
        yield from (f"  {text}" for text in found.sees.values())
        yield ""


def advice(found: Alarms) -> list[str]:
    """Advice, where something should be done."""
    told = []
    _, low, _ = found.per_week
    weeks = max(found.exposure / timedelta(days=7), 1e-12)
    allowed = found.policy.analysis.false_rollback_rate.value * found.rollouts / weeks
    if low > allowed:
        told.append(
            "That is more than was promised: pods differ by themselves. Widen the tolerance of the metrics above, or "
            "set spec.analysis.noise to strict."
        )
    worst = [metric for metric, count in found.without_data.items() if count > found.rollouts / 2]
    if worst:
        told.append(f"Most rollouts ended without data of {', '.join(sorted(worst))}: look at the selectors.")
    if found.left and sum(found.left.values()) > found.rollouts / 2:
        told.append(
            "Most rollouts were waiting for evidence at the end of the plan: one pod has little traffic. A larger "
            "exclude, longer holds or fewer metrics let a step end sooner."
        )
    return told


def rows(head: Sequence[str], body: Sequence[Sequence[str]] | Iterator[Sequence[str]]) -> list[str]:
    """Columns as wide as what stands in them."""
    table = [tuple(head), *map(tuple, body)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
