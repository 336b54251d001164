# Says what this host's clock shows, once for each line that comes, until none does. No argument.
# It is spoken with: the time of each question and of its answer is known to whoever asks. No process is started.
while IFS= read -r _; do
    printf '{"clock": %s}\n' "${EPOCHREALTIME/,/.}"
done
# end of script
