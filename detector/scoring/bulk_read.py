"""bulk_read: more records, customers, listed or exported volume than usual on such a day?

Records, distinct customers, records listed or exported, each as the day's largest 10 min,
largest hour, and the day; customers not seen for 30 days; those of them without a business
reason; records taken away. Volumes and exports have heavier tails than customers, so they
are calibrated on channels of their own; the worst of the three is the surprise.
"""

from __future__ import annotations

from detector.state.layout import EXPORT_CHANNEL, EXPORTED, NEW, UNEXPLAINED, VOLUME_CHANNEL

COUNTED = {
    0: (3, 4, 5, NEW, UNEXPLAINED),
    VOLUME_CHANNEL: (0, 1, 2, 6, 7, 8),
    EXPORT_CHANNEL: (EXPORTED,),
}
