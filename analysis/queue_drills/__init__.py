"""Drills of the queue: its servers killed, added, removed, crowded and stalled, and a judge of what was acked."""
