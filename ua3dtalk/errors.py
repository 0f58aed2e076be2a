"""Errors that end as one line for the user."""

LONGEST = 1200  # signs of a line


class UserError(Exception):
    """A mistake in the user's data, settings or machine.

    ``str(error)`` is one line: what is wrong, where, and what to do about it.
    Adapters print that line and keep the traceback for the job's log. Names of files and words of the user's stand in
    it: whatever could move a terminal's cursor is written as Python writes it, and endless ones are cut.
    """

    def __str__(self) -> str:
        return "\n".join(_shown(line) for line in super().__str__().split("\n"))


def _shown(line: str) -> str:
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


class ConfigError(UserError):
    """A setting is unknown, has the wrong type or contradicts another one."""


class InputError(UserError):
    """A clip, an audio file or a table cannot be used as it is."""


class AssetError(UserError):
    """A pretrained weight is missing, cannot be fetched or is not what it should be."""


class DataError(UserError):
    """A file of an actor's bundle is missing, truncated or does not fit its neighbours."""
