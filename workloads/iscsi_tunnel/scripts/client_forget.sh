# Ends the session with a target and forgets the target; the tunnel stays. Arguments: IQN
forget_sessions "$1"
finish
# end of script
