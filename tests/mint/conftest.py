"""Keys for the tests of the mint: made once, kept in tests/vectors, since making them is slow."""

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def keys() -> list[bytes]:
    """Stored RSA-2048 keys (PKCS#8 DER). They guard nothing: they are published with the tests."""
    path = Path(__file__).parent.parent / "vectors" / "mint-test-keys.json"
    return [bytes.fromhex(text) for text in json.loads(path.read_text())]
