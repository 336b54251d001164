"""s3-throttle: how well a bandwidth cap holds on `aws s3 sync`, for each way to set one."""
