"""A network of nodes over months of virtual time, to see whether a market finds out who can be relied on.

What a node decides is the daemon's code: reliability and its windows (``translator.reliability``), vetting, the plan
and its orders, prices, the keeper's choice, the dealers' quotes and last look, and the matcher. What there is to see
is drawn here: who answers, who keeps data, who leaves. It is not a model of the network or of locks: bids are heard
at once, and a ring that is found is settled. Read ``world`` first, then docs/market-simulation.md for its limits.
"""
