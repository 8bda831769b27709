"""Folder to packs to shares on leases and back: snapshot, erasure code, vault, audit, repair, restore."""
