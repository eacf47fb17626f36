"""The command `holymon`: options in, a sentence or a table out, and an exit code.

Nothing is computed here, and nothing imports this room.
"""
