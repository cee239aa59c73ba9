"""Finding cameras: where to look, the paced scan, mDNS, and the search that runs them side by side."""
