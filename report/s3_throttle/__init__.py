"""s3-throttle: how well each way of capping `aws s3 sync` holds its rate."""
