"""TLS connections between pinned peers, RPC over them, and how peers find each other."""
