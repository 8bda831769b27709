"""Whatever is edited, backed up, forgotten, pruned, repaired, lost or killed, every kept snapshot must come back.

A longer run: ``python -m tests.storage.campaign --runs 200 --seed 1``.
"""

from tests.storage.campaign import StorageMachine, settings_of

TestStorage = StorageMachine.TestCase
TestStorage.settings = settings_of(runs=4, steps=14)
