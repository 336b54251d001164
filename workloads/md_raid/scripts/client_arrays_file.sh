# Lists the arrays in mdadm's configuration, so that they are assembled at boot. Arguments: ARRAY=UUID...
text=
for pair in "$@"; do
    text+="ARRAY /dev/${pair%%=*} metadata=1.2 UUID=${pair#*=}"$'\n'
done
put /etc/mdadm/mdadm.conf.d/tidemark.conf "${text%$'\n'}"
finish
# end of script
