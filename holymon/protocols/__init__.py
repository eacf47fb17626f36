"""Bytes of answers to marks, without I/O: server-sent events, one module a dialect, error bodies.

Used by `load.caller` and by watched clients alike, so that an answer means the same in both.
"""
