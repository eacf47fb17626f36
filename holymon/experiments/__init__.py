"""Several runs with one question: which is better, how much can it bear, how true is this client.

Uses `load.run` to measure and `figures` to compute.
"""
