"""Notes I hold: choose, reserve, lock, take, redeem, and keep their secrets repeatable from the phrase."""
