"""All tables of this package."""

from typing import Final

from nanobarter.storage.catalog_tables import CATALOG_MIGRATIONS
from nanobarter.storage.leaving import LEAVING_MIGRATIONS
from nanobarter.storage.network_tables import NETWORK_MIGRATIONS

MIGRATIONS: Final = (*CATALOG_MIGRATIONS, *NETWORK_MIGRATIONS, *LEAVING_MIGRATIONS)
