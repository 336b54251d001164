# Checks that S3 answers this host. Arguments: HOST PORT SECONDS
host=$1
port=$2
seconds=$3
timeout "$seconds" bash -c "exec 3<> /dev/tcp/$host/$port" 2> /dev/null \
    || die "S3 does not answer at $host port $port" \
        "see that the security group lets HTTP and HTTPS out, and that the subnet has a way to the internet"
finish
# end of script
