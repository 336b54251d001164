"""s3-throttle: how well a bandwidth cap holds on `aws s3 sync`, by each way that there is to set one."""
