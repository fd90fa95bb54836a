"""under_cap: many queries whose result stays just below a known limit?

Who knows that 100 rows raise a flag asks for 99, again and again. Counted are queries in
the last twelfth below one of the policy's ``query_caps``, against what chance brings to
this person and role.
"""

from __future__ import annotations

from detector.state.layout import NEAR_CAP

UNDER_CAP = 8  # position in ``DETECTORS``
COUNTED = {UNDER_CAP: (NEAR_CAP,)}
NEAR_SHARE = 1.0 / 12.0
