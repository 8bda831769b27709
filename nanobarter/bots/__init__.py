"""Policies that act by themselves: the keeper of the plan, the auditor, the pinger."""
