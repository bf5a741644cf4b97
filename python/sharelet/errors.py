"""What goes wrong, in the sentences of the program."""


class Error(Exception):
    """Something went wrong: a connection, a peer, a disk."""


class InputError(Error, ValueError):
    """What was given cannot be used: an array, an option, a file."""
