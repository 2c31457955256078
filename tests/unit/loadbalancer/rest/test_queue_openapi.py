import unittest

from loadbalancer.rest.openapi import document
from loadbalancer.rest.queue_openapi import queue_paths, queue_schemas
from wire.http_queue import FAILURE, SUCCESS


class Queue(unittest.TestCase):
    def test_it_is_in_the_document_where_there_is_one(self) -> None:
        without, whole = document(backends=False), document(backends=False, queue=True)
        self.assertEqual({*whole["paths"]} - {*without["paths"]}, {*queue_paths()})
        schemas = whole["components"]["schemas"]
        self.assertEqual({*schemas} - {*without["components"]["schemas"]}, {*queue_schemas()})

    def test_every_answer_says_how_it_went(self) -> None:
        schemas = queue_schemas()
        for path, item in queue_paths().items():
            for operation in item.values():
                with self.subTest(path):
                    named = {
                        code: operation["responses"][code]["content"]["application/json"]["schema"]["$ref"]
                        for code in ("200", "400")
                    }
                    good, bad = (schemas[named[code].rpartition("/")[2]]["properties"] for code in ("200", "400"))
                    self.assertEqual((good["status"], bad["status"]), ({"const": SUCCESS}, {"const": FAILURE}))

    def test_the_operator_s_calls_may_need_the_token(self) -> None:
        paths = queue_paths()
        locked = [path for path, item in paths.items() if "security" in next(iter(item.values()))]
        self.assertEqual(locked, ["/brokers/add", "/brokers/rm", "/brokers/test"])


if __name__ == "__main__":
    unittest.main()
