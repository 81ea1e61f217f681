"""Ready-made metrics, by the name under which a rollout asks for them. Pure.

Names of metrics and labels are other projects' and change with them: each preset says where they were checked. What
could not be checked is not here.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.api.presets import http, language_models, proxies, servers
from modelrollout.api.presets.preset import Preset

PRESETS: Mapping[str, Preset] = {
    preset.name: preset for preset in (*http.ALL, *proxies.ALL, *servers.ALL, *language_models.ALL)
}
