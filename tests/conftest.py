"""How property tests run: examples are drawn as usual, none is hurried."""

from __future__ import annotations

from hypothesis import settings

# A first example pays for imports, a busy machine for its neighbours: time says nothing here.
settings.register_profile("echolot", deadline=None)
settings.load_profile("echolot")
