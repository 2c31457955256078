import unittest

import confluent_kafka

from client.client_configs import admin_config, bootstrap_of, consumer_config, overrides_of, producer_config
from client.errors import ConfigError

AT = "127.0.0.1:9092"


class BootstrapTest(unittest.TestCase):
    def test_forms(self) -> None:
        self.assertEqual(bootstrap_of("a:1"), "a:1")
        self.assertEqual(bootstrap_of(" a:1 , b:2,"), "a:1,b:2")
        self.assertEqual(bootstrap_of(["a:1", "[::1]:2"]), "a:1,[::1]:2")

    def test_what_is_no_address(self) -> None:
        for wrong in ("", ",", "a", "a:", ":1", "a:b", []):
            with self.subTest(wrong), self.assertRaisesRegex(ConfigError, "host:port"):
                bootstrap_of(wrong)


class OverridesTest(unittest.TestCase):
    def test_snake_case_is_librdkafkas_dots(self) -> None:
        given = {"compression_type": "zstd", "ssl_ca": "PEM", "oauth_cb": print, "ssl_ca_location": "x", "linger.ms": 1}
        self.assertEqual(
            overrides_of(given),
            {"compression.type": "zstd", "ssl_ca": "PEM", "oauth_cb": print, "ssl.ca.location": "x", "linger.ms": 1},
        )

    def test_what_has_a_better_way_in(self) -> None:
        for name in ("group_id", "bootstrap_servers", "auto_offset_reset", "error_cb", "on_delivery", "logger"):
            with self.subTest(name), self.assertRaisesRegex(ConfigError, "use "):
                overrides_of({name: "x"})


class ProducerConfigTest(unittest.TestCase):
    def test_safe_by_itself(self) -> None:
        config = producer_config(AT, {})
        for name, value in {
            "bootstrap.servers": AT,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "delivery.timeout.ms": 120_000,
        }.items():
            self.assertEqual(config[name], value)

    def test_fewer_acks_give_up_idempotence_unless_it_is_named(self) -> None:
        self.assertFalse(producer_config(AT, {"acks": 1})["enable.idempotence"])
        self.assertFalse(producer_config(AT, {"acks": "0"})["enable.idempotence"])
        self.assertFalse(producer_config(AT, {"request_required_acks": 1})["enable.idempotence"])
        self.assertTrue(producer_config(AT, {"acks": -1})["enable.idempotence"])
        self.assertTrue(producer_config(AT, {"acks": 1, "enable_idempotence": True})["enable.idempotence"])

    def test_a_second_name_takes_the_place_of_ours(self) -> None:
        config = producer_config(AT, {"message_timeout_ms": 5, "queue_buffering_max_ms": 1})
        self.assertNotIn("delivery.timeout.ms", config)
        self.assertNotIn("linger.ms", config)


class ConsumerConfigTest(unittest.TestCase):
    def test_a_group_commits_what_is_stored(self) -> None:
        config = consumer_config(AT, "g", "latest", {})
        self.assertEqual(config["group.id"], "g")
        self.assertEqual(config["auto.offset.reset"], "latest")
        self.assertFalse(config["enable.auto.offset.store"])
        self.assertNotIn("enable.auto.commit", config)
        self.assertEqual(config["fetch.queue.backoff.ms"], 10)

    def test_without_a_group_nothing_is_committed(self) -> None:
        self.assertIs(consumer_config(AT, None, "earliest", {})["enable.auto.commit"], False)
        with self.assertRaisesRegex(ConfigError, "needs a group"):
            consumer_config(AT, None, "earliest", {"enable_auto_commit": True})
        self.assertIs(consumer_config(AT, "g", "earliest", {"enable_auto_commit": False})["enable.auto.commit"], False)

    def test_a_numbered_start_has_no_other_place(self) -> None:
        self.assertEqual(consumer_config(AT, None, 7, {})["auto.offset.reset"], "error")

    def test_an_empty_group(self) -> None:
        with self.assertRaisesRegex(ConfigError, "name is empty"):
            consumer_config(AT, "", "earliest", {})


class LibrdkafkaTakesThemTest(unittest.TestCase):
    """A property that librdkafka doesn't know is an error there, so none of ours is misspelt."""

    def test_all_of_them(self) -> None:
        confluent_kafka.Producer(producer_config(AT, {})).close()
        confluent_kafka.Consumer(consumer_config(AT, None, "earliest", {})).close()
        confluent_kafka.Consumer(consumer_config(AT, "g", 0, {})).close()
        confluent_kafka.Producer(admin_config(AT, {"linger_ms": 1})).close()
