"""T6: margins, moving on, several metrics, gauges, business metrics, shadow answers, labelled pairs, fairness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from numpy.random import Generator

from benchmarks.analysis import limits, rules, streams
from benchmarks.analysis.measure import Bench, Result, Rule, World, ours, ours_advancing, ours_together, run
from benchmarks.analysis.report import NONE, Table, against_limit, false_rate, median_time, number
from benchmarks.analysis.trials import Counts, Margin, Plan, Trial
from benchmarks.analysis.worlds import TICK, TICKS, Effect, Service, clean, weights, with_margins

PLAN = Plan(TICKS)
OURS = "**ours**"
MARGINS = (Margin(0.25), Margin(0.5), Margin(0.0, 0.002), Margin(0.1, 0.005))
MARGIN_SERVICES = (Service(0.001, 50.0), Service(0.001, 500.0), Service(0.01, 50.0), Service(0.01, 500.0))


def t6(bench: Bench) -> list[Table]:
    """All of them."""
    return [
        part(bench) for part in (margins, moving_on, several, gauges, conversions, revenue, shadow, pairs, fairness)
    ]


def _run(
    bench: Bench,
    name: str,
    draw: Callable[[Generator, int], World],
    rule: Mapping[str, Rule[World]],
    runs: int,
    plan: Plan = PLAN,
) -> dict[str, Result]:
    return run(bench, f"T6 {name}", draw, rule, runs, ticks=plan.ticks, tick=plan.tick_seconds)


def _found(result: Result | None, rate: float, alpha: float = PLAN.false_rollback_rate, unit: float = 1.0) -> str:
    """Median (% found) / mean time to limit, in multiples of `unit` seconds; rate is per unit."""
    if result is None:
        return NONE
    scaled = Result(result.decided, result.ticks, result.tick / unit, result.harm)
    return f"{median_time(scaled)} / {against_limit(scaled, rate, alpha)}"


def margins(bench: Bench) -> Table:
    """On the boundary of what is tolerated nothing may be taken back; beyond it, it should cost little."""
    rows = []
    gross = (("×5", Effect(ratio=5.0)), ("+5pp", Effect(plus=0.05)))
    for service in MARGIN_SERVICES:
        for margin in MARGINS:

            def draw(
                effect: Effect, margin: Margin = margin, service: Service = service
            ) -> Callable[[Generator, int], Counts]:
                return partial(clean, service=service, effect=effect, tolerance=margin)

            rule = {OURS: ours(bench.engine, PLAN)}
            what = f"{service}, ρ={margin.ratio:g} δ={100 * margin.absolute:g}pp"
            edge = Effect(ratio=margin.ratio, plus=margin.absolute)
            fine = [_run(bench, f"{what} {case}", draw(case), rule, bench.size.fine) for case in (edge, Effect())]
            found = []
            for name, effect in gross:
                truth = (effect.ratio * service.baseline + effect.plus, service.baseline)
                rate = limits.counts((0.05 * service.rps, 0.95 * service.rps), truth, margin)
                result = _run(bench, f"{what} {name}", draw(effect), rule, bench.size.bad)
                found.append(_found(result.get(OURS), rate))
            rows.append((what, *(false_rate(seen.get(OURS)) for seen in fine), *found))
    return Table(
        f"T6 (3.6) margins: false %, then median s (% found) / mean time to limit; "
        f"{bench.size.fine} and {bench.size.bad} runs",
        ("case", "on the boundary, false %", "equal, false %", *(name for name, _ in gross)),
        tuple(rows),
    )


def moving_on(bench: Bench) -> Table:
    """When a release that is as good as stable may move on, and how often one at the unacceptable bound does."""
    rows = []
    cases = [(Service(0.001, 500.0), w, m) for w in (0.05, 0.5) for m in (Margin(1.0), Margin(0.5), Margin(0.0, 0.005))]
    cases += [(Service(0.01, 50.0), 0.05, m) for m in (Margin(1.0), Margin(0.0, 0.01))]
    rule: dict[str, Rule[Trial]] = {OURS: ours_advancing(bench.engine, PLAN)}
    for service, share, bound in cases:
        # Half of it is tolerated, so that the two hypotheses leave room between them.
        tolerated = Margin(bound.relative / 2, bound.absolute / 2)

        def draw(rng: Generator, some: int, effect: Effect = Effect()) -> Counts:  # noqa: B008 - frozen
            counts = clean(rng, some, service, effect, weights(share))  # noqa: B023 - used at once
            return with_margins(counts, tolerated, bound)  # noqa: B023 - used at once

        def at_the_bound(rng: Generator, some: int) -> Counts:
            return draw(rng, some, Effect(ratio=bound.ratio, plus=bound.absolute))  # noqa: B023 - used at once

        n = (share * service.rps, (1 - share) * service.rps)
        rate = limits.counts(n, (service.baseline, service.baseline), bound)
        what = f"{service}, {100 * share:g} %, rule out ρ={bound.ratio:g} δ={100 * bound.absolute:g}pp"
        equal = _run(bench, f"{what} equal", draw, rule, bench.size.bad)
        wrong = _run(bench, f"{what} at the bound", at_the_bound, rule, bench.size.fine)
        limit = number(limits.seconds(rate, PLAN.false_promotion_rate))
        found = _found(equal.get(OURS), rate, PLAN.false_promotion_rate)
        rows.append((what, limit, found, false_rate(wrong.get(OURS))))
    return Table(
        f"T6 (3.6) moving on (β=5 %): median s (% in 1 h) / mean time to limit; "
        f"{bench.size.bad} and {bench.size.fine} runs",
        ("case", "limit, s", "equal", "at the bound, false %"),
        tuple(rows),
    )


METRICS = 6
METRIC_SERVICE = Service(0.01, 500.0)


def several(bench: Bench) -> Table:
    """Six error metrics with one budget."""
    rule = {OURS: ours_together(bench.engine, PLAN)}
    rows = []
    for what, effects in (
        ("all six fine, false %", ()),
        ("one ×2", (2.0,)),
        ("three ×1.5", (1.5, 1.5, 1.5)),
    ):

        def draw(rng: Generator, some: int, effects: tuple[float, ...] = effects) -> tuple[Counts, ...]:
            ratios = [*effects, *(1.0 for _ in range(METRICS - len(effects)))]
            return tuple(clean(rng, some, METRIC_SERVICE, Effect(ratio=ratio)) for ratio in ratios)

        seen = _run(bench, f"six {what}", draw, rule, bench.size.bad if effects else bench.size.fine)
        rows.append((what, (median_time if effects else false_rate)(seen.get(OURS))))
    return Table(
        f"T6 (3.6) six metrics at {METRIC_SERVICE}, one budget: median s; {bench.size.fine} and {bench.size.bad} runs",
        ("case", OURS),
        tuple(rows),
    )


def gauges(bench: Bench) -> Table:
    """A gauge that wanders, 24 h of history."""
    rows = []
    rule = {OURS: ours(bench.engine, PLAN), **rules.for_gauges()}
    runs = bench.size.noisy or bench.size.fine
    for correlation in (0.0, 0.8, 0.95):
        cells = []
        variance = 2 * streams.GAUGE_SPREAD**2 * (1 + correlation) / (1 - correlation)
        for drop in (0.0, 0.01, 0.02, 0.05):
            seen = _run(
                bench,
                f"gauge {correlation} {drop}",
                partial(streams.gauges, drop=drop, correlation=correlation),
                rule,
                runs if drop == 0 else bench.size.bad,
            )
            if drop == 0:
                cells += [false_rate(seen.get(name)) for name in rule]
            else:
                rate = limits.gauge(drop, variance, TICK)
                cells += [number(limits.seconds(rate)), _found(seen.get(OURS), rate)]
        rows.append((f"AR(1) φ={correlation:g}", *cells))
    found = tuple(name for drop in (0.01, 0.02, 0.05) for name in ("limit, s", f"drop {drop:g}"))
    return Table(
        f"T6 (3.6) gauges: false %, then median s (% found) / mean time to limit; {runs} and {bench.size.bad} runs",
        ("case", "ours, false %", "Argo-like, false %", *found),
        tuple(rows),
    )


USERS = Plan(streams.TWO_WEEKS, tick_seconds=streams.HOUR)


def conversions(bench: Bench) -> Table:
    """Users who convert, hour by hour, two weeks at most."""
    rows = []
    rule = {OURS: ours(bench.engine, USERS)}
    for share in (0.5, 0.1):
        for loss in (0.0, 0.05, 0.1, 0.2):
            seen = _run(
                bench,
                f"conversion {share} {loss}",
                partial(streams.conversions, loss=loss, share=share),
                rule,
                bench.size.bad if loss else bench.size.fine,
                USERS,
            )
            n = (share * streams.USERS_PER_HOUR, (1 - share) * streams.USERS_PER_HOUR)
            rate = limits.proportions(n, (streams.CONVERSION * (1 - loss), streams.CONVERSION))
            rows.append(_hours(f"{100 * share:g} %, conversion −{100 * loss:g} %", loss, rate, seen.get(OURS)))
    return Table(
        f"T6 (3.6) conversion, hours: median (% in 14 d) / mean time to limit; "
        f"{bench.size.fine} and {bench.size.bad} runs",
        ("case", "limit, h", OURS),
        tuple(rows),
    )


def _hours(what: str, loss: float, rate: float, result: Result | None) -> tuple[str, ...]:
    if not loss:
        return what, NONE, f"{false_rate(result)} false %"
    return what, number(limits.seconds(rate)), _found(result, rate, unit=streams.HOUR)


def revenue(bench: Bench) -> Table:
    """The mean amount per user; the limit is that of a normal mean."""
    rows = []
    rule = {OURS: ours(bench.engine, USERS)}
    runs = bench.size.noisy or bench.size.fine
    for loss in (0.0, 0.1, 0.2):
        seen = _run(
            bench,
            f"revenue {loss}",
            partial(streams.revenue, loss=loss),
            rule,
            bench.size.bad if loss else runs,
            USERS,
        )
        # Per hour, of the difference of two means of half the users each; smaller amounts also vary less.
        variance = streams.revenue_variance_ratio() * (1 + (1 - loss) ** 2) * 2 / streams.USERS_PER_HOUR
        rows.append(_hours(f"50 %, amount −{100 * loss:g} %", loss, loss**2 / (2 * variance), seen.get(OURS)))
    return Table(
        f"T6 (3.6) revenue per user, hours: median (% in 14 d) / mean time to limit; {runs} and {bench.size.bad} runs",
        ("case", "limit, h", OURS),
        tuple(rows),
    )


SHADOW_LIMIT = 0.02


def shadow(bench: Bench) -> Table:
    """Answers that differ between candidate and stable, held against a limit."""
    rows = []
    rule = {OURS: ours(bench.engine, PLAN), **rules.for_shadow()}
    for rps in (2.5, 25.0):
        for share in (SHADOW_LIMIT, 0.03, 0.04, 0.10):
            fine = share <= SHADOW_LIMIT
            seen = _run(
                bench,
                f"shadow {rps} {share}",
                partial(streams.shadow, rps=rps, disagreement=share, limit=SHADOW_LIMIT),
                rule,
                bench.size.fine if fine else bench.size.bad,
            )
            rate = limits.one_sample(rps, share, SHADOW_LIMIT)
            cells = [f"{false_rate(seen.get(name))} false %" if fine else _found(seen.get(name), rate) for name in rule]
            rows.append((f"{rps:g} rps, differ {100 * share:g} %", number(limits.seconds(rate)), *cells))
    return Table(
        f"T6 (3.6) shadow, limit {100 * SHADOW_LIMIT:g} %: median s (% found) / mean time to limit; "
        f"{bench.size.fine} and {bench.size.bad} runs",
        ("case", "limit, s", *rule),
        tuple(rows),
    )


def pairs(bench: Bench) -> Table:
    """The same labelled requests answered by both arms, and, beside it, as many split between them."""
    rows = []
    rule = {OURS: ours(bench.engine, PLAN)}
    for only_candidate, only_stable in ((0.03, 0.03), (0.035, 0.025), (0.04, 0.02), (0.07, 0.02)):
        fine = only_candidate <= only_stable
        seen = _run(
            bench,
            f"pairs {only_candidate} {only_stable}",
            partial(streams.pairs, candidate_wrong=only_candidate, stable_wrong=only_stable),
            rule,
            bench.size.fine if fine else bench.size.bad,
        )
        rate = limits.paired(streams.PAIRS_PER_SECOND, only_candidate, only_stable)
        said = f"{false_rate(seen.get(OURS))} false %" if fine else _found(seen.get(OURS), rate)
        what = f"only candidate wrong {100 * only_candidate:g} %, only stable {100 * only_stable:g} %"
        rows.append((what, number(limits.seconds(rate)), said))
    return Table(
        f"T6 (3.6) {streams.PAIRS_PER_SECOND:g} labelled pairs/s: median s (% found) / mean time to limit; "
        f"{bench.size.fine} and {bench.size.bad} runs",
        ("case", "limit, s", OURS),
        tuple(rows),
    )


def fairness(bench: Bench) -> Table:
    """A fifth of the users get good outcomes less often from the candidate, beyond 3 points more than from stable."""
    rows = []
    rule = {OURS: ours(bench.engine, PLAN)}
    tolerance = streams.GROUP_TOLERANCE
    for rps, share, extra in (
        (50.0, 0.05, tolerance),
        (50.0, 0.05, 0.08),
        (50.0, 0.25, 0.08),
        (500.0, 0.05, tolerance),
        (500.0, 0.05, 0.05),
        (500.0, 0.05, 0.08),
    ):
        fine = extra <= tolerance
        seen = _run(
            bench,
            f"groups {rps} {share} {extra}",
            partial(streams.groups, rps=rps, share=share, extra=extra),
            rule,
            bench.size.noisy or bench.size.fine if fine else bench.size.bad,
        )
        good = streams.GOOD_OUTCOMES
        truth = (good - extra, good, good, good)
        rate = limits.linear(streams.group_rates(rps, share), truth, (-1, 1, 1, -1), tolerance)
        said = f"{false_rate(seen.get(OURS))} false %" if fine else _found(seen.get(OURS), rate)
        rows.append((f"R={rps:g}, {100 * share:g} %, extra {100 * extra:g} pp", number(limits.seconds(rate)), said))
    return Table(
        f"T6 (3.6) fairness, tolerance {100 * tolerance:g} pp: median s (% found) / mean time to limit; "
        f"{bench.size.fine} and {bench.size.bad} runs",
        ("case", "limit, s", OURS),
        tuple(rows),
    )
