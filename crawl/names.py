"""What a name may be that becomes part of paths, columns and commands."""

NAME = "[A-Za-z][A-Za-z0-9_-]{0,63}"
