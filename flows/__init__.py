"""The DAGs, one file a deployment family."""
