"""How we speak HTTP to the providers: one transport with limits, redaction and classification under each client."""
