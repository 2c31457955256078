"""The shells over librdkafka (confluent-kafka): each carries out what the pure modules of `client` decide."""
