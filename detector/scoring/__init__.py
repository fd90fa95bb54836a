"""The statistics: features of the past → surprise. One small file per detector."""
