"""`python -m nextscale_ros.bringup`."""

from nextscale_ros.bringup.run import main

main()
