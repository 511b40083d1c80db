"""Proof for people: certificates, the coverage map and charts, as markdown, HTML, CSV and JSON."""
