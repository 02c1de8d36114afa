"""What the console script `vujax` can do: one file a command, imported when it is asked for.

Each has `add_arguments(parser)` and `run(arguments) -> int`, the exit status. What a user did wrong
or a machine lacks is a ValueError, OSError, KeyError, ImportError or RuntimeError of one sentence.
"""
