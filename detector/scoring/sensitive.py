"""sensitive: more looks at VIPs, employees, secret or own records than this job needs?

Distinct sensitive customers of the day, events on records classed C3, and events on the
actor's own or household's record, each against what is usual for the actor and the peers.
"""

from __future__ import annotations

from detector.state.layout import OWN, SECRET, SENSITIVE

COUNTED = (SENSITIVE, SECRET, OWN)
