"""Faces that programs written for others' queues know."""
