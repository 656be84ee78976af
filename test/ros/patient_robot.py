"""A mock robot that goes on beside other publishers of joint states, as a real driver does."""

from __future__ import annotations

from nextscale_ros.mock.mock_robot import MockRobot
from nextscale_ros.spin import serve


class PatientRobot(MockRobot):
    def __init__(self) -> None:
        super().__init__()
        self._others.absent = lambda: True  # type: ignore[method-assign]
        self._others.check = lambda: None  # type: ignore[method-assign]


if __name__ == "__main__":
    serve({"mock_robot": PatientRobot}, threads=1)
