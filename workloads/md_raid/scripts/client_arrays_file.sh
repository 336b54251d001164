# Lists the arrays in mdadm's configuration, so that they are assembled at boot. Arguments: ARRAY=UUID...
text="AUTO -all"
for pair in "$@"; do
    text+=$'\n'"ARRAY /dev/${pair%%=*} metadata=1.2 UUID=${pair#*=}"
done
put /etc/mdadm/mdadm.conf.d/tidemark.conf "$text"
finish
# end of script
