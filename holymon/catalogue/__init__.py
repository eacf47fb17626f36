"""All runs of a folder in one catalogue: listed, followed over time, asked by SQL, kept in bounds.

For faces, and for reports that say what has changed. The folders of runs are the truth; the
catalogue only spares opening them.
"""
