# Ends the session with a target and forgets the target; keeps the tunnel. Argument: IQN
forget_sessions "$1"
finish
# end of script
