"""The plain HTTP interface from the client's side (specs/queue-http-api.md)."""
