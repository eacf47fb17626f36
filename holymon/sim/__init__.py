"""A local API server with known truth: models, faults and timings that a test can count on.

`python -m holymon.sim` runs it. It imports nothing else of holymon, so that an error of ours can't
hide in both; whoever measures starts it as a process.
"""
