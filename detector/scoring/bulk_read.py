"""bulk_read: more records, customers, listed or exported volume than usual on such a day?

Records, distinct customers, records listed or exported, each as the day's largest 10 min,
largest hour, and the day; customers not seen for 30 days; those of them without a business
reason; records taken away. Their tails differ, so they are calibrated on five channels; the
worst of them is the surprise.
"""

from __future__ import annotations

from detector.state.layout import (
    BURST_CHANNEL,
    CUSTOMERS_1D,
    EXPORT_CHANNEL,
    EXPORTED,
    NEW,
    NOVELTY_CHANNEL,
    UNEXPLAINED,
    VOLUME_CHANNEL,
)

COUNTED = {
    0: (CUSTOMERS_1D,),
    BURST_CHANNEL: (3, 4),
    NOVELTY_CHANNEL: (NEW, UNEXPLAINED),
    VOLUME_CHANNEL: (0, 1, 2, 6, 7, 8),
    EXPORT_CHANNEL: (EXPORTED,),
}
