"""Argo CD's way with a health check: Lua 5.1, an object as a global, and no library that reaches anywhere."""

from __future__ import annotations

from typing import Any

from lupa.lua51 import LuaRuntime, lua_type

from modelrollout.objects.manifests import Manifest

LEFT = {
    "_G",
    "_VERSION",
    "assert",
    "error",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "select",
    "tonumber",
    "tostring",
    "type",
}
"""Of the globals of Lua. Argo CD opens its base and table libraries and a part of os, so this is less than it gives."""


class Sandbox:
    """A Lua state with nothing in it that Argo CD's might lack, and one script."""

    def __init__(self, script: str) -> None:
        self._script, self._lua = script, LuaRuntime(register_eval=False, register_builtins=False)
        for name in self.names - LEFT:
            del self._lua.globals()[name]

    @property
    def names(self) -> set[str]:
        """The globals that a script sees."""
        return set(self._lua.globals())

    def health(self, manifest: Manifest) -> dict[str, Any]:
        """The table that the script returns."""
        self._lua.globals()["obj"] = self._decoded(manifest)
        found = self._lua.execute(self._script)
        assert lua_type(found) == "table", f"the script returned {found!r}"
        return dict(found)

    def object(self, manifest: Manifest) -> Any:
        """What the script returns, with tables as dictionaries; lists are told by their keys."""
        self._lua.globals()["obj"] = self._decoded(manifest)
        return self._encoded(self._lua.execute(self._script))

    def _encoded(self, value: Any) -> Any:
        if lua_type(value) != "table":
            return int(value) if isinstance(value, float) and value.is_integer() else value
        if len(value):
            return [self._encoded(item) for item in value.values()]
        return {key: self._encoded(item) for key, item in value.items()}

    def _decoded(self, value: Any) -> Any:
        """As Argo CD decodes an object: integers are numbers, null is nil, lists count from 1."""
        if isinstance(value, dict):
            return self._lua.table_from({key: self._decoded(item) for key, item in value.items() if item is not None})
        if isinstance(value, list):
            return self._lua.table_from([self._decoded(item) for item in value if item is not None])
        return float(value) if type(value) is int else value
