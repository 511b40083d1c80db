"""Crossdock beside a bare loop and the naive Prefect way, as ratios from one run on one machine."""
