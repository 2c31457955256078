"""`server.append_errors`: every error of a log becomes one that a group's member understands."""

import unittest

from server.append_errors import to_committer, to_member
from wire.errors import ErrorCode


class AppendErrorsTest(unittest.TestCase):
    def test_elsewhere_now_not_or_never(self) -> None:
        for translate in (to_member, to_committer):
            self.assertIs(translate(ErrorCode.NONE), ErrorCode.NONE)
            self.assertIs(translate(ErrorCode.NOT_LEADER_OR_FOLLOWER), ErrorCode.NOT_COORDINATOR)
            self.assertIs(translate(ErrorCode.KAFKA_STORAGE_ERROR), ErrorCode.NOT_COORDINATOR)
            for code in (ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode.REQUEST_TIMED_OUT):
                self.assertIs(translate(code), ErrorCode.COORDINATOR_NOT_AVAILABLE)

    def test_too_large_is_the_committers_fault_and_nobody_elses(self) -> None:
        self.assertIs(to_committer(ErrorCode.MESSAGE_TOO_LARGE), ErrorCode.INVALID_COMMIT_OFFSET_SIZE)
        self.assertIs(to_member(ErrorCode.MESSAGE_TOO_LARGE), ErrorCode.UNKNOWN_SERVER_ERROR)
