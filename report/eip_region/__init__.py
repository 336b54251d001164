"""eip-region: an Elastic IP outside its region, and moved across the zones of it."""
