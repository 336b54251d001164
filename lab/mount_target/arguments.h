/* The command line. */
#ifndef MOUNT_TARGET_ARGUMENTS_H
#define MOUNT_TARGET_ARGUMENTS_H

#include <netinet/in.h>
#include <stddef.h>

struct arguments {
    struct sockaddr_in *listen; /* from malloc */
    size_t listen_count;
    struct sockaddr_in upstream;
};

/* Ends the process: 0 for --help, EXIT_BAD_ARGUMENTS with one line for what is not allowed. */
void arguments_parse(struct arguments *arguments, int argc, char **argv);

#endif
