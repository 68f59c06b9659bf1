"""Past nights by the clock: `replay.py` plans and reports, `work.py` does, `night.py` is one night of one ticker."""
