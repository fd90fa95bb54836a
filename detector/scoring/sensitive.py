"""sensitive: more looks at VIPs, employees, secret or own records than this job needs?

Distinct sensitive customers of the day, customers whose records classed C3
are opened, and events on the actor's own or household's record, each against what is usual
for the actor and the peers.
"""

from __future__ import annotations

from detector.state.layout import OWN, SECRET, SECRET_CHANNEL, SENSITIVE

SENSITIVE_LOOKS = 7  # position in ``DETECTORS``
COUNTED = {SENSITIVE_LOOKS: (SENSITIVE, OWN), SECRET_CHANNEL: (SECRET,)}
