"""What is declared: Pulumi components, the typed stack configuration they take, and its validation.

Nothing here logs in to a host, and nothing is created inside `apply`.
"""
