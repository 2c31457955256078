"""The library that clients of the field's "distributed queue with sharding" import, over Carousel's HTTP interface.

    from client.compat.myqueue import MyConsumer, MyProducer, readProduceLog, writeComsumeLog

or, with `client/compat` on PYTHONPATH, `from myqueue import …` as their scripts have it. What the calls do and say is
specs/queue-http-api.md. The names, arguments and spellings here are our reading of the field's public programs, two
generations of them: topics are `["T1", "P1"]` pairs, `"T1:P1"` texts or bare names; `host` is `HOST` or `HOST:PORT`.
Where theirs harm their user ours differ, and say so: messages keep their order, none is given up in silence, `stop`
doesn't kill the process.
"""

from client.compat.myqueue.api import ApiHandler, Message
from client.compat.myqueue.consumer import MyConsumer, writeComsumeLog
from client.compat.myqueue.producer import MyProducer, readProduceLog

__all__ = ["ApiHandler", "Message", "MyConsumer", "MyProducer", "readProduceLog", "writeComsumeLog"]
