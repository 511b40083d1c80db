"""The ``crossdock`` command and what it starts: the local Prefect server, the deployments, the demo."""
