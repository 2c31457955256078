"""Asyncio's test cases on uvloop, as the product's processes are: its transports differ in when they write and how they
close."""

import asyncio
import unittest

import uvloop


class OnUvloop(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # pyright: ignore[reportDeprecated]

    @classmethod
    def tearDownClass(cls) -> None:
        asyncio.set_event_loop_policy(None)  # pyright: ignore[reportDeprecated]
