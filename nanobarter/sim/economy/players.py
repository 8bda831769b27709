"""Who plays for space: cheats of every kind, each beside the honest nodes of a run, from one day on.

They come on the first day, when all are strangers, or later, into a network whose nodes know each other, those of one
game after those of another. As many honest ones come with the first: what a cheat gains is to be measured against
those who came when it did.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from nanobarter.core.ids import NodeId
from nanobarter.sim.economy.nature import Nature, Shock, name_of

Game = Literal["drop", "mute", "leave", "through", "disk", "wash", "faces", "line"]
GAMES: Final[tuple[Game, ...]] = ("drop", "mute", "leave", "through", "disk", "wash", "faces", "line")
GAME_DAY: Final = 30  # on which players come, unless something else is asked for
GAP_DAYS: Final = 8  # between those of one game and of the next, so that they do not only meet each other
NAMES: Final = 5  # on one disk
LINES_FROM: Final = 1000  # numbers of the disks whose names are all seen on one line
FACE_DAYS: Final = 20  # for so long one name is used
STAYS: Final = 60  # days for which one is good who leaves then
KEPT: Final = 0.3  # of the data by one who drops
STEADY: Final = 0.99  # of the time players are on: who is not could not play long

DROPS: Final = "drops data"
MUTE: Final = "drops data, mute"
LEAVES: Final = "good, leaves after 60"
PASSES: Final = "passes on"
DISK: Final = "one disk"
LINE: Final = "one disk, one line"
WASHES: Final = "barters with itself"
FACES: Final = "new faces"
FAIR: Final = "honest, came with them"
_NOBODY: Final = NodeId(bytes(32))


def enlist(natures: list[Nature], shocks: Sequence[Shock], seed: int, days: int, since: int) -> list[Nature]:
    """Return all nodes of a run, with the players: of each game one for twenty nodes, for forty with many games."""
    games: list[Game] = [game for game in GAMES if game in shocks]
    if not games:
        return natures
    group = max(1, len(natures) // (20 if len(games) == 1 else 40))
    found = [Nature(_NOBODY, 0, STEADY, born=since, cheat=FAIR) for _ in range(group)]
    for place, game in enumerate(games):
        come = since + GAP_DAYS * place if since else 0
        for number in range(group + group % 2 if game == "wash" else group):
            found += _players(game, number, days, come)
    for player in found:
        player.number, player.plays = len(natures), True
        player.node = name_of(seed, player.number)
        natures.append(player)
    return natures


def _players(game: Game, number: int, days: int, since: int) -> list[Nature]:
    """Return the names of one player. ``number`` counts the players of a game."""

    def name(cheat: str, born: int = since, until: int | None = None) -> Nature:
        return Nature(_NOBODY, 0, STEADY, born=born, dead_on=until, cheat=cheat)

    match game:
        case "drop":
            return [replace(name(DROPS), keeps=KEPT)]
        case "mute":
            return [replace(name(MUTE), keeps=KEPT, mute=True)]
        case "leave":
            return [replace(name(LEAVES, until=since + STAYS), last_days={"leaves": since + STAYS})]
        case "through" | "wash":
            return [name(WASHES if game == "wash" else PASSES)]
        case "disk" | "line":
            one = name(DISK) if game == "disk" else replace(name(LINE), place=f"line {number}")
            disk = number if game == "disk" else LINES_FROM + number
            return [replace(one, mute=True, disk=disk) for _ in range(NAMES)]
        case "faces":
            faces = [name(FACES, born, born + FACE_DAYS) for born in range(since, days, FACE_DAYS)]
            return [replace(face, keeps=0.0, mute=True) for face in faces]
