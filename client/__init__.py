"""What users import and run: the producer, the consumer and what is built on them. It comes with the queue."""
