"""Many whole nodes in one process under virtual time. Its place is here; it is not built yet."""
