"""`python -m nextscale_ros.demo`."""

from nextscale_ros.demo.run import main

main()
