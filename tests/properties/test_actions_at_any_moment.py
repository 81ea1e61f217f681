"""People act at any moment, twice, out of order, and for revisions that are gone. The promises hold; abort aborts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.api.status import Phase
from modelrollout.plan.actions import VERBS
from modelrollout.rollout.author import ACTION
from tests.fakes.cluster import merged
from tests.fakes.fate import BAD_METRICS, OUTAGES, PODS_SUFFER, RELEASES, WRONG_SPECS, Act, Life, histories
from tests.properties.test_plan_invariants import hostile

ASKS = st.tuples(
    st.just("ask"),
    st.sampled_from(VERBS),
    st.sampled_from(["", "", "", "the candidate", "one that is gone"]),
    st.sampled_from("123"),  # few, so that some come twice, and some after others
)


class Peopled(Life):
    """A life in which people ask for things."""

    def happen(self, act: Act) -> None:
        match act:
            case ("ask", verb, whose, token):
                self._ask(verb, whose, token)
            case _:
                super().happen(act)

    def _ask(self, verb: str, whose: str, token: str) -> None:
        candidate = self.status.candidate
        revision = candidate.revision if whose == "the candidate" and candidate else "0123456789" if whose else None
        action = "/".join(filter(None, (verb, revision, token)))
        self.cluster.put(merged(self.manifest, {"metadata": {"annotations": {ACTION: action}}}))
        self.witness.look()

    def settle(self) -> None:
        """A pause would last for ever otherwise."""
        self.heal()
        self._ask("resume", "", "the-end")
        self.run(minutes=1)
        super().settle()


@settings(hostile, max_examples=hostile.max_examples // 2)
@given(histories(ASKS, ASKS, ASKS, PODS_SUFFER, BAD_METRICS, OUTAGES, RELEASES, most=16))
def test_whatever_people_ask_for_no_promise_is_broken_and_it_comes_to_rest(history: list[Act]) -> None:
    life = Peopled().live(history)
    life.settle()
    assert life.phase in (Phase.HEALTHY, Phase.ROLLED_BACK)
    remembered = [one.action for one in (life.status.last_action, *life.status.earlier_actions) if one is not None]
    assert len(remembered) == len({*remembered})


@settings(hostile, max_examples=hostile.max_examples // 2)
@given(histories(ASKS, PODS_SUFFER, OUTAGES, WRONG_SPECS, BAD_METRICS, most=12))
def test_abort_leaves_nobody_with_the_candidate_whatever_state_all_is_in(history: list[Act]) -> None:
    life = Peopled().live(history)
    life.happen(("accept",))
    life._conflicts, life._kill_at, life._unreachable, life.metrics.meanwhile = 0, None, (0, 0), None
    life.cluster.broken.discard("1")
    life.run(minutes=2)
    if (candidate := life.status.candidate) is None or life.status.stable is None:
        return
    life.happen(("ask", "abort", "", "the-end"))
    life.pass_()
    assert all(shares.get(candidate.revision, 0) == 0 for shares in life.shares().values())
    life.happen(("metrics", "good"))
    life.run(minutes=3)
    assert all(shares.get(candidate.revision, 0) == 0 for shares in life.shares().values())
