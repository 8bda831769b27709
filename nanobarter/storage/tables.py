"""All tables of this package."""

from typing import Final

from nanobarter.storage.catalog_tables import CATALOG_MIGRATIONS

MIGRATIONS: Final = (*CATALOG_MIGRATIONS,)
