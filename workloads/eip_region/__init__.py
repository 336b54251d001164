"""eip-region: an Elastic IP is refused outside its region, and moved between hosts in two zones of it."""
