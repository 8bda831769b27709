"""The commented config.toml that ``nbctl init`` writes: every key is there, so that the file explains itself."""

import json
from typing import Final

from nanobarter.daemon.config import Config
from nanobarter.daemon.config_keys import section_keys

_COMMENTS: Final[dict[str, str]] = {
    "backup": "What to keep safe.",
    "backup.folders": "Absolute paths of the folders to back up.",
    "backup.exclude": "Patterns of what to leave out, as in .gitignore.",
    "backup.durability": 'How safe: "normal", or "high" (more shares of each pack may be lost; costs more space).',
    "backup.schedule": '"off" (only by hand) or "every 6h".',
    "backup.patience": "How long a backup waits for others' space before it does with less or gives up.",
    "backup.keep": 'Which snapshots to keep after a scheduled backup: "all", or "daily 7, weekly 4, monthly 12".',
    "backup.hours": 'When scheduled backups may start: "always", or hours of the day like "22:00-06:00".',
    "backup.drill": 'How often a sample is really restored and compared: "30d", or "off".',
    "offer": "What this disk lends to others. It pays for the space that others lend to you.",
    "offer.kinds": 'For how long a lease runs: "7d", "30d", "90d" or "365d"; "7d 2GB" gives a kind its own size.',
    "market": "On which terms to barter.",
    "market.mode": 'How to price: "ticket", "par" (one for one) or "discount" (by reliability).',
    "market.price": 'The most to give for one received, like "3/2"; "auto": ten for one with "discount", else par.',
    "market.prefer": "Ids of nodes to ask first.",
    "market.refuse": "Ids of nodes whose notes are never wanted.",
    "market.approve": '"auto": agreements within the policy are approved by themselves; "manual": you are asked.',
    "market.approve_above": "With manual: how much of yours an agreement may take without asking you.",
    "market.reserve": 'Space of others to keep in hand beyond what the folders need; "auto": half of what is offered.',
    "market.wants": "Ids of the only nodes whose notes are wanted; empty: anyone's.",
    "market.bid_span": "How long a bid stands before it is renewed.",
    "market.budget": 'How much of your space the bots may give away in a month, in your own currency; "off": no bound.',
    "market.back_up": 'A bargain: "50GB for 40GB" backs up 50GB of folders for at most 40GB lent, or waits; "off".',
    "pet": "Your own currency, in which the ledger is told. It never leaves this machine.",
    "network": "Where this node listens, and whom it asks first.",
    "network.advertise": "What others should dial, like a router's forwarded port; empty: found out by itself.",
    "network.peers": '"open": anyone; "only": the friends below and those who took an invitation (nbctl invite).',
    "network.friends": 'Ids of the nodes that may connect when peers = "only".',
    "network.upload": 'How much of the line shares may take on their way out: "unlimited", or like "2MiB/s".',
    "network.download": "The same for shares on their way in.",
    "network.limit_hours": 'When these two hold: "always", or hours of the day like "07:00-23:00".',
    "network.lan": "Find nodes on the local network, and be found there; false: neither.",
    "network.dht": "Be a part of the hash table, by which nodes and lost backups are found; false: no UDP at all.",
    "network.map_port": "Ask the home router to forward the port (PCP, NAT-PMP).",
    "network.proxy": 'Dial through a SOCKS5 proxy, like "socks5://127.0.0.1:9050" (Tor); empty: directly.',
    "network.relay": 'Carry bytes between peers that cannot dial each other: "off", for "friends", or "open" to all.',
    "network.same_host_ok": "Count nodes on this same machine as different ones: only for demos and tests.",
    "swap": "The clock of an agreement; partners must run the same delta.",
    "bots": 'What acts by itself; "off" turns one off.',
    "bots.trader": "Buys notes of reliable peers and sells those of unreliable ones, at what this node saw of them.",
    "bots.arbitrageur": "Takes what others quote above its value.",
    "bots.dry_run": "true: keeper, trader and arbitrageur order nothing and only tell what they would (nbctl bots).",
    "bots.per_issuer": "What trader and arbitrageur hold of one issuer at most, of what you offer (and 20 GB at most).",
    "bots.loss_day": "What they may lose in a day, of what you offer; and in a month:",
    "bots.keeper": "Keeps the plan: orders space, renews leases, replaces what failed.",
    "bots.pinger": "Asks peers four times an hour whether they are there; reliability is learned from it.",
    "bots.auditor": "Has peers prove what they store. Off: nothing counts as proven after a while.",
    "audit": "How often peers must prove what they store, and how long they may be away.",
}


def write_config(config: Config) -> str:
    """Return the commented text of a config: every key is there, so that the file explains itself."""
    lines = ["# nanobarter: what this node does for you. Each key is explained in docs/config.md.", ""]
    for section, keys in section_keys().items():
        lines += [f"# {_COMMENTS[section]}", f"[{section}]"]
        for key in keys:
            value = getattr(getattr(config, section), key)
            if comment := _COMMENTS.get(f"{section}.{key}"):
                lines.append(f"# {comment}")
            lines.append(f"{key} = {_toml(value)}")
        lines.append("")
    for order in config.order:
        said = {key: getattr(order, key) for key in order.__struct_fields__}
        lines += ["[[order]]", *(f"{key} = {_toml(value)}" for key, value in said.items() if value), ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    # JSON's strings, booleans and lists are TOML's too, as long as DEL is escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
