"""What is done on the hosts of a deployment: connections, results, and a package for each experiment."""
