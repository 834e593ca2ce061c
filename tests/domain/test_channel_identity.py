"""Whose records are whose, decided from names, pairs and accounts alone (R35)."""

from __future__ import annotations

from dataclasses import replace

from app.domain.channel_identity import Configured, Decision, Identity, Known, decide

PAIR, OTHER_PAIR = (1201, 31), (1201, 32)


def configured(name: str = "m1", account: str = "org-1", **more: object) -> Configured:
    made = Configured(name, PAIR, {"rally": account}, "rally")
    return replace(made, **more)  # type: ignore[arg-type]


def known(key: str = "m1", account: str = "org-1", **more: object) -> Known:
    made = Known(key, key, frozenset({key}), PAIR, {"rally": account})
    return replace(made, **more)  # type: ignore[arg-type]


def decided(
    channels: list[Configured], records: list[Known], *, is_open: bool = True, is_used: bool = True
) -> tuple[Identity, ...]:
    return _decision(channels, records, is_open, is_used).identities


def _decision(channels: list[Configured], records: list[Known], is_open: bool, is_used: bool) -> Decision:
    keys = frozenset(item.key for item in records)
    return decide(channels, records, keys, is_open=lambda key: is_open, is_used=lambda key: is_used)


def test_r35_a_new_channel_and_one_that_is_as_it_was_have_the_key_of_their_name() -> None:
    assert decided([configured()], []) == (Identity("m1", "m1"),)
    assert decided([configured()], [known()]) == (Identity("m1", "m1"),)


def test_r35_a_renamed_channel_without_a_word_is_set_aside_while_anything_is_open() -> None:
    for other in (configured("m2"), configured("m2", pair=OTHER_PAIR), configured("m2", "org-9")):
        [identity] = decided([other], [known()])
        assert 'former_name = "m1"' in identity.faults[0]
    assert decided([configured("m2", "org-9", pair=OTHER_PAIR)], [known()]) == (Identity("m2", "m2"),)


def test_r35_a_settled_channel_goes_silently_and_goes_on_where_only_its_name_is_another() -> None:
    assert decided([configured("m2")], [known()], is_open=False) == (Identity("m2", "m1"),)
    assert decided([configured("m2", pair=OTHER_PAIR)], [known()], is_open=False) == (Identity("m2", "m2"),)
    decision = _decision([], [known()], False, True)
    assert (decision.identities, [item.key for item in decision.unserved]) == ((), ["m1"])


def test_r35_a_former_name_takes_its_records_along_and_is_consumed_once() -> None:
    renamed = configured("m2", former_names=("m0", "m1"))
    assert decided([renamed], [known()]) == (Identity("m2", "m1"),)
    moved = known(name="m2", names=frozenset({"m1", "m2"}))
    assert decided([renamed], [moved]) == (Identity("m2", "m1"),)
    assert decided([configured()], [moved]) == (Identity("m1", "m1"),), "a process of before goes on"
    thief = configured("m3", "org-3", former_names=("m1",), pair=OTHER_PAIR)
    _, identity = decided([renamed, thief], [moved])
    assert "went to channel 'm2' already" in identity.faults[0]
    reused = configured("m1", "org-3", pair=OTHER_PAIR)
    assert decided([reused, configured("m2")], [moved]) == (Identity("m1", "m1~2"), Identity("m2", "m1"))


def test_r35_two_channels_with_records_of_their_own_are_never_joined() -> None:
    records = [known(), known("m2")]
    [identity] = decided([configured("m2", former_names=("m1",))], records)
    assert "cannot be joined" in identity.faults[0]
    [identity] = decided([configured("m2", former_names=("m1",))], records, is_open=False, is_used=False)
    assert identity == Identity("m2", "m1"), "a name under which nothing ever happened is no hindrance"


def test_r35_another_account_under_a_kept_name_is_set_aside_until_it_is_said() -> None:
    [identity] = decided([configured(account="org-2")], [known()])
    assert "rally is another one than before (org-1)" in identity.faults[0]
    said = configured(account="org-2", former_accounts=("org-1",))
    assert decided([said], [known()]) == (Identity("m1", "m1~2", (), "m1", True, ("rally",)),)
    # Goods stay with the one who stated them.
    other = replace(said, pair=(9, 1), former_accounts=("org-1", "1201/31"))
    [identity] = decided([other], [known()])
    assert (identity.key, identity.leaves, identity.brings_goods) == ("m1~2", "m1", False)


def test_r35_an_account_that_comes_back_has_its_own_records_again() -> None:
    records = [
        known(name="m1~2", names=frozenset({"m1~2"})),
        known("m1~2", "org-2", name="m1", names=frozenset({"m1"})),
    ]
    [identity] = decided([configured(former_accounts=("org-2",))], records)
    assert (identity.key, identity.leaves) == ("m1", "m1~2")


def test_r35_two_channels_that_exchange_their_accounts_are_both_set_aside() -> None:
    one, two = configured("m1", "org-2"), configured("m2", "org-1", pair=OTHER_PAIR)
    records = [known(), known("m2", "org-2", pair=OTHER_PAIR)]
    assert all(identity.faults for identity in decided([one, two], records))
    said = [replace(one, former_accounts=("org-1",)), replace(two, former_accounts=("org-2",))]
    assert [item.key for item in decided(said, records)] == ["m1~2", "m2~2"]


def test_r35_a_new_gateway_and_a_new_key_of_the_same_account_change_nothing() -> None:
    both = configured(accounts={"rally": "org-1", "retailrocket": "p-1"})
    assert decided([both], [known()]) == (Identity("m1", "m1"),)
    bare = configured(accounts={"pipe17": "key:new"}, former={"pipe17": ["key:old"]}, order_source="pipe17")
    assert decided([bare], [known(accounts={"pipe17": "key:old"})]) == (Identity("m1", "m1"),)


def test_r35_a_side_feed_with_another_account_is_sent_all_again_and_the_orders_stay() -> None:
    feed = configured(accounts={"rally": "org-1", "retailrocket": "p-2"}, former_accounts=("p-1",))
    records = [known(accounts={"rally": "org-1", "retailrocket": "p-1"})]
    assert decided([feed], records) == (Identity("m1", "m1", renewed=("retailrocket",)),)
    assert decided([replace(feed, former_accounts=())], records)[0].faults


def test_r35_another_pair_is_another_account_unless_retailops_never_used_the_one_before() -> None:
    moved = configured(pair=OTHER_PAIR)
    [identity] = decided([moved], [known()])
    assert "RetailOps is another one than before (1201/31)" in identity.faults[0]
    assert decided([moved], [known()], is_used=False) == (Identity("m1", "m1"),)
    assert decided([moved], [known(pair=None)]) == (Identity("m1", "m1"),)
    said = replace(moved, former_accounts=("1201/31",))
    assert decided([said], [known()]) == (Identity("m1", "m1"),), "the same merchant, whose channel has a new number"
    stranger = configured(pair=(9, 31), former_accounts=("1201/31",))
    [identity] = decided([stranger], [known()])
    assert (identity.key, identity.leaves, identity.brings_goods) == ("m1~2", "m1", False)


def test_r35_a_key_is_never_given_twice_and_never_too_long() -> None:
    name = "n" * 63
    keys = frozenset({name, f"{name[:61]}~2"})
    decision = decide([configured(name)], [], keys, is_open=lambda key: False, is_used=lambda key: False)
    assert decision.identities[0].key == f"{name[:61]}~3"
