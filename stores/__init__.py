"""Where orders land: one ``Store`` protocol, one adapter a file."""
