"""All tables of a node, in the order in which its packages stand."""

from typing import Final

from nanobarter.bots.tables import MIGRATIONS as BOT_TABLES
from nanobarter.core.store import Migration
from nanobarter.court.tables import MIGRATIONS as COURT_TABLES
from nanobarter.daemon.chronicle import MIGRATIONS as CHRONICLE_TABLES
from nanobarter.daemon.drills import MIGRATIONS as DRILL_TABLES
from nanobarter.daemon.rebuild_state import MIGRATIONS as REBUILD_TABLES
from nanobarter.daemon.restores import MIGRATIONS as RESTORE_TABLES
from nanobarter.gossip.tables import MIGRATIONS as GOSSIP_TABLES
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.net.tables import MIGRATIONS as NET_TABLES
from nanobarter.storage.tables import MIGRATIONS as STORAGE_TABLES
from nanobarter.swap.tables import MIGRATIONS as SWAP_TABLES
from nanobarter.translator.once import MIGRATIONS as ONCE_TABLES
from nanobarter.translator.tables import MIGRATIONS as LEDGER_TABLES
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES

ALL_TABLES: Final[tuple[Migration, ...]] = (
    *NET_TABLES,
    *GOSSIP_TABLES,
    *MINT_TABLES,
    *WALLET_TABLES,
    *SWAP_TABLES,
    *STORAGE_TABLES,
    *LEDGER_TABLES,
    *ONCE_TABLES,
    *CHRONICLE_TABLES,
    *COURT_TABLES,
    *DRILL_TABLES,
    *BOT_TABLES,
    *REBUILD_TABLES,
    *RESTORE_TABLES,
)
