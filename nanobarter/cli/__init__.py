"""nbctl: the command line, a thin client of the daemon's local API."""
