"""Spreading signed, expiring items to all nodes; it never looks inside a payload."""
