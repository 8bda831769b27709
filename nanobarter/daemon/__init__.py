"""One node: every service under one nursery, behind a local API. It routes and decides nothing."""
