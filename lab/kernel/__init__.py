"""The User Mode Linux kernel of the region's hosts: which one it is, whether it runs here, and how it is started."""
