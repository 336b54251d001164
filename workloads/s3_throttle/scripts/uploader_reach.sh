# Whether S3 answers this host, and what the AWS CLI there is. Arguments: AWS HOST PORT SECONDS
aws=$1
host=$2
port=$3
seconds=$4
timeout "$seconds" bash -c "exec 3<> /dev/tcp/$host/$port" 2> /dev/null \
    || die "S3 does not answer at $host port $port" \
        "see that the security group lets HTTP and HTTPS out, and that the subnet has a way to the internet"
said=$("$aws" --version 2>&1) || die "the AWS CLI does not start ($(tail -n 1 <<< "$said"))" "remove ${aws%/bin/aws} and configure again"
printf '{"aws_cli": "%s"}\n' "$said"
finish
# end of script
