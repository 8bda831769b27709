"""Keys for the tests of the mint."""

import pytest

from tests.mint.purse import stored_keys


@pytest.fixture(scope="session")
def keys() -> list[bytes]:
    """Stored RSA-2048 keys (PKCS#8 DER)."""
    return list(stored_keys())
