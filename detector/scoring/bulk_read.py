"""bulk_read: more records, customers, listed or exported volume than usual on such a day?

Records, distinct customers, records listed or exported, each as the day's largest 10 min,
largest hour, and the day; customers not seen for 30 days; those of them without a business
reason; records taken away. The worst of the twelve counts is the score.
"""

from __future__ import annotations

from detector.state.layout import EXPORTED, NEW, UNEXPLAINED

COUNTED = (*range(9), NEW, UNEXPLAINED, EXPORTED)
