"""Bids, the book, the best cycle, its price and its integer quantities: pure, and usable on its own.

After openBarter (Chaussavoine). Not here: how bids travel (``gossip``), who proposes and how notes move
(``swap``), what to bid for (``translator``). Read ``bids`` first.
"""
