from broker.boundary.canonical import Action, Rule, Verdict
from broker.boundary.exported import Export, Hook, LoadedChain, LoadedRule, Place


def a_chain(name: str, *calls: str, hook: str | None = None) -> LoadedChain:
    rules = tuple(LoadedRule(Rule(Action(Verdict.CALL, text=call)), call) for call in calls)
    return LoadedChain(Place("ip", "t", name), None if hook is None else Hook("filter", hook, 0, "accept"), rules)


def test_chains_are_reached_by_jumps_also_in_circles_and_unknown_ones_are_passed_over() -> None:
    chains = [a_chain("f", "a", "nowhere", hook="forward"), a_chain("a", "b"), a_chain("b", "a"), a_chain("c", "a")]
    export = Export({chain.place: chain for chain in chains})
    assert [chain.place.chain for chain in export.reachable_from(frozenset({"forward"}))] == ["f", "a", "b"]
    assert export.reachable_from(frozenset({"input"})) == []


def test_a_place_is_named_as_nft_names_it() -> None:
    assert str(Place("inet", "filter", "forward")) == "inet filter forward"
