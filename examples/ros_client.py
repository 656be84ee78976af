"""Send a sentence to the generate node and print its report.

python -m nextscale_ros.bringup &    # or ros2 launch nextscale_ros generate.launch.py
python examples/ros_client.py "a person waves with the right hand"
"""

import sys

import rclpy
from std_msgs.msg import String

from nextscale_ros.msg import MotionReport
from nextscale_ros.qos import REPORTS

rclpy.init()
node = rclpy.create_node("ros_client")
reports: list[MotionReport] = []
# Reports wait for subscribers that the node discovers late, the last ones of earlier sentences too.
node.create_subscription(MotionReport, "motion_report", reports.append, REPORTS)
publisher = node.create_publisher(String, "text_command", 10)
while not publisher.get_subscription_count():
    rclpy.spin_once(node, timeout_sec=0.1)
reports.clear()
publisher.publish(String(data=sys.argv[1]))
while not any(report.text == sys.argv[1] for report in reports):
    rclpy.spin_once(node, timeout_sec=1.0)
print(reports[-1].message)
rclpy.shutdown()
