"""The base of the sections of config.toml."""

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of the sections: keyword only, unknown keys refused."""
