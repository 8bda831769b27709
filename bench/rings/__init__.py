"""Rings between real processes, measured: what ``bench.swap`` starts and drives."""
