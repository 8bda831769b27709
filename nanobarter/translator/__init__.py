"""A person's policy into orders, and what happened into a ledger told in the pet currency."""
