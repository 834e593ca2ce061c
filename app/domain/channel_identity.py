"""Which records belong to a configured channel, decided from its name, its pair and its accounts (R35).

A name may change and so may the account behind it.  Records follow the account: a renamed channel that says so keeps
them, another account under a kept name never reads them, and nothing is decided in doubt: such a channel is set aside
with a sentence that says what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Pair = tuple[int, int]

RETAILOPS = "RetailOps"
"""Stands for the pair among the accounts of a channel: whose orders and answers these are on the other side."""


@dataclass(frozen=True)
class Configured:
    """A channel as it is configured.  `accounts` are by gateway; `former` are those the same account had before."""

    name: str
    pair: Pair
    accounts: Mapping[str, str]
    order_source: str = ""
    former_names: Sequence[str] = ()
    former_accounts: Sequence[str] = ()
    former: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """Records that are kept: their key, whose they are, every name that means them, and the one people see."""

    key: str
    name: str
    names: frozenset[str]
    pair: Pair | None
    accounts: Mapping[str, str]


@dataclass(frozen=True)
class Identity:
    """What records a configured channel has, or why it is set aside.

    `leaves`: the key of the records that stay with its former account, "" where it goes on with its own.
    `brings_goods`: whether what RetailOps stated of goods and stock comes along from there.  `renewed`: gateways whose
    account is another one than the one that was sent those goods.
    """

    name: str
    key: str
    faults: tuple[str, ...] = ()
    leaves: str = ""
    brings_goods: bool = False
    renewed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """One identity for each configured channel, in its order, and the records that no configured channel has."""

    identities: tuple[Identity, ...]
    unserved: tuple[Known, ...]


def decide(
    configured: Sequence[Configured],
    known: Sequence[Known],
    taken_keys: frozenset[str],
    *,
    is_open: Callable[[str], bool],
    is_used: Callable[[str], bool],
) -> Decision:
    """Whose records are whose.

    `taken_keys` are all keys there ever were.  `is_open` says of a key whether anything is unfinished under it,
    `is_used` whether RetailOps ever sent or got anything under it.
    """
    by_name = {name: item for item in known for name in item.names}
    found, faults = _by_own_name(configured, by_name), {channel.name: list[str]() for channel in configured}
    for channel in configured:
        _take_former_names(channel, by_name, found, faults[channel.name], is_open, is_used)
    served = {item.key for item in found.values()}
    free = [item for item in known if item.key not in served]
    keys = set(taken_keys)
    identities = []
    for channel in configured:
        mine = found.get(channel.name)
        if faults[channel.name]:
            identity = Identity(channel.name, mine.key if mine else channel.name, tuple(faults[channel.name]))
        elif mine is None:
            identity = _unknown(channel, free, keys, is_open)
        else:
            identity = _known(channel, mine, free, keys, is_used)
        keys.add(identity.key)
        free = [item for item in free if item.key != identity.key]
        identities.append(identity)
    return Decision(tuple(identities), tuple(free))


def _by_own_name(configured: Sequence[Configured], by_name: Mapping[str, Known]) -> dict[str, Known]:
    """A channel's present name wins over a former one, which means the same records as long as nobody else has them."""
    found: dict[str, Known] = {}
    for is_present in (True, False):
        for channel in configured:
            item = by_name.get(channel.name)
            if item is None or channel.name in found or (item.name == channel.name) is not is_present:
                continue
            if all(item is not other for other in found.values()):
                found[channel.name] = item
    return found


def _take_former_names(
    channel: Configured,
    by_name: Mapping[str, Known],
    found: dict[str, Known],
    faults: list[str],
    is_open: Callable[[str], bool],
    is_used: Callable[[str], bool],
) -> None:
    for former in channel.former_names:
        item, own = by_name.get(former), found.get(channel.name)
        if item is None or item is own:
            continue
        owner = next((name for name, other in found.items() if other is item), "")
        if owner:
            faults.append(f"former_name: the records of '{former}' went to channel '{owner}' already")
        elif own is not None and (is_used(own.key) or is_open(own.key)):
            faults.append(
                f"former_name: both '{former}' and '{channel.name}' have records, which cannot be joined: leave it "
                f"out, or say `channel forget {former} --yes --reason TEXT`"
            )
        else:
            found[channel.name] = item


def _unknown(channel: Configured, free: Sequence[Known], keys: set[str], is_open: Callable[[str], bool]) -> Identity:
    """A channel without records: it may be one that was renamed without a word."""
    related = [item for item in free if list(_in_common(channel, item))]
    waiting = [item for item in related if is_open(item.key)]
    faults = tuple(
        f"it has {' and '.join(_in_common(channel, item))} of '{item.name}', which is not configured any more and has "
        f'something open: set former_name = "{item.name}" to go on with its records, or say `channel forget '
        f"{item.name} --yes --reason TEXT`"
        for item in waiting
    )
    if faults:
        return Identity(channel.name, channel.name, faults)
    same = _same(channel, related)
    return Identity(channel.name, same.key if same else _new_key(channel.name, keys))


def _known(
    channel: Configured, mine: Known, free: Sequence[Known], keys: set[str], is_used: Callable[[str], bool]
) -> Identity:
    changed = {
        gateway: before
        for gateway, account in channel.accounts.items()
        if (before := mine.accounts.get(gateway, account)) != account and before not in channel.former.get(gateway, ())
    }
    is_pair_changed = mine.pair not in (None, channel.pair) and is_used(mine.key)
    said = {**changed, **({RETAILOPS: pair_text(mine.pair)} if mine.pair and is_pair_changed else {})}
    faults = tuple(
        f"the account of {gateway} is another one than before ({before}): mend it if that is a mistake; if another "
        f'account is meant, set former_account = "{before}", or say `channel forget {channel.name} --yes --reason TEXT`'
        for gateway, before in said.items()
        if before not in channel.former_accounts
    )
    if faults or not said:
        return Identity(channel.name, mine.key, faults)
    is_other_merchant = is_pair_changed and mine.pair is not None and mine.pair[0] != channel.pair[0]
    if channel.order_source not in changed and not is_other_merchant:
        return Identity(channel.name, mine.key, renewed=tuple(changed))
    same = _same(channel, free)
    if same is not None:
        return Identity(channel.name, same.key, leaves=mine.key)
    key = _new_key(channel.name, keys)
    return Identity(channel.name, key, (), mine.key, not is_pair_changed, tuple(changed))


def _in_common(channel: Configured, item: Known) -> Iterator[str]:
    if channel.pair == item.pair:
        yield f"the pair {pair_text(channel.pair)}"
    for gateway, account in channel.accounts.items():
        if item.accounts.get(gateway) in (account, *channel.former.get(gateway, ())):
            yield f"the {gateway} account"


def _same(channel: Configured, items: Sequence[Known]) -> Known | None:
    """Records of this very merchant: the pair and the account of every gateway are the same."""
    for item in items:
        accounts = [(account, item.accounts.get(gateway)) for gateway, account in channel.accounts.items()]
        if item.pair == channel.pair and all(before == account for account, before in accounts):
            return item
    return None


def _new_key(name: str, keys: set[str]) -> str:
    """The name, where no records ever had it as their key."""
    return name if name not in keys else next(key for key in numbered(name) if key not in keys)


def numbered(name: str) -> Iterator[str]:
    """Names made of a channel's that no channel can be given."""
    number = 2
    while True:
        mark = f"~{number}"
        yield name[: 63 - len(mark)] + mark
        number += 1


def pair_text(pair: Pair) -> str:
    """A pair as people write it: client_id/channel_id."""
    return f"{pair[0]}/{pair[1]}"
