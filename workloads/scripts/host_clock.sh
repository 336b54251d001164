# Prints this host's clock for each line of standard input, until that ends. No argument.
# The task notes the times of each line and of its answer. No process is started, so that answers are quick.
while IFS= read -r _; do
    printf '{"clock": %s}\n' "${EPOCHREALTIME/,/.}"
done
# end of script
