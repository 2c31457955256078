"""What runproduce and runconsume do: over the Kafka protocol where there is a bootstrap address, else over HTTP."""
