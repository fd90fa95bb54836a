"""sensitive: more looks at VIPs, employees, secret or own records than this job needs?

Distinct sensitive customers of the day, distinct customers first seen through a record
classed C3, and events on the actor's own or household's record, each against what is usual
for the actor and the peers.
"""

from __future__ import annotations

from detector.state.layout import OWN, SECRET, SECRET_CHANNEL, SENSITIVE

COUNTED = {7: (SENSITIVE, OWN), SECRET_CHANNEL: (SECRET,)}
