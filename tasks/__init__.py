"""The retried units of work, one file a step. Tasks are thin; what they do is plain async functions."""
