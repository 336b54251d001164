"""What an account holds by this project's tags, and how it is deleted when it has expired.

Planning (tags.py, plan.py) is pure; finding and deleting (ec2.py, services.py, kinds.py) call AWS with boto3. Nothing
here needs more than boto3, since the scheduled reaper runs the same code in AWS Lambda (scheduled.py).
"""
