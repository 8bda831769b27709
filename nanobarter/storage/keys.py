"""The keys of one vault: everything a person needs to read and renew what they stored, from one seed.

Each key has its own derivation label, so that none tells anything about another (core.keys.derive). A machine
that may only write needs the chunk keys and the HPKE *public* key; reading needs the private one.
"""

from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from nanobarter.core.ids import VaultId, sha256
from nanobarter.core.keys import SigningKey, derive


@dataclass(frozen=True)
class VaultKeys:
    """The secrets of a vault. Never printed.

    ``signing`` holds the leases and signs snapshots; ``head`` signs the root record that recovery looks for;
    ``chunk_id_key`` keys the chunk ids (32 bytes); ``chunker_seed`` moves the cut points (1 to
    2^63 - 1, what pyfastcdc takes); ``hpke_secret``
    is a raw X25519 private key that opens packs (RFC 9180).
    """

    signing: SigningKey = field(repr=False)
    head: SigningKey = field(repr=False)
    chunk_id_key: bytes = field(repr=False)
    chunker_seed: int = field(repr=False)
    hpke_secret: bytes = field(repr=False)
    seal_key: bytes = field(repr=False)
    """32 bytes for symmetric sealing of small records, such as the vault's head and exported catalogs."""

    @classmethod
    def from_seed(cls, seed: bytes) -> "VaultKeys":
        """Return the keys that grow out of a person's seed (core.phrase.seed_of)."""
        return cls(
            signing=SigningKey(derive(seed, "vault/signing")),
            head=SigningKey(derive(seed, "vault/head")),
            chunk_id_key=derive(seed, "vault/chunk-id"),
            chunker_seed=(int.from_bytes(derive(seed, "vault/chunker")[:8], "big") >> 1) or 1,
            hpke_secret=derive(seed, "vault/hpke"),
            seal_key=derive(seed, "vault/seal"),
        )

    @cached_property
    def vault_id(self) -> VaultId:
        """The name under which peers keep this vault's shares: the SHA-256 of the signing public key."""
        return VaultId(sha256(self.signing.public))

    @cached_property
    def hpke_private(self) -> X25519PrivateKey:
        """The key that opens packs."""
        return X25519PrivateKey.from_private_bytes(self.hpke_secret)

    @cached_property
    def hpke_public(self) -> X25519PublicKey:
        """The key that seals packs."""
        return self.hpke_private.public_key()
