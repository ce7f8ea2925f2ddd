"""Property tests draw the same examples on every machine; `DUJIANG_TEST_SEARCH=1` draws new ones each time."""

import os

from hypothesis import settings

# A suite that says something else today than yesterday, for the same code, cannot stop a change. New examples are
# looked for on purpose, and what they find becomes an `@example`.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile("search" if os.environ.get("DUJIANG_TEST_SEARCH") else "same")
