#include "arguments.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "refuse.h"

static const char help_text[] =
    "mount-target: the front end of a rehearsed EFS file system, in front of its NFS server\n"
    "\n"
    "  --listen ADDRESS:PORT    where clients connect; may be given many times\n"
    "  --upstream ADDRESS:PORT  the NFS server\n"
    "  --help\n"
    "\n"
    "Addresses are IPv4, in numbers. Standard input takes a JSON document a line, {\"model\":null} or\n"
    "{\"model\":{\"delay_ns\":7000000,\"read_ops_per_s\":3500,\"write_ops_per_s\":3000,\"bytes_per_s\":104857600,\n"
    "\"metering_minimum_bytes\":4096}}, where each of the three limits may be null; its end ends the program.\n"
    "Standard output has a JSON document a line: ready, model or error in answer to a line, and the counts of\n"
    "each second. Exit code: 0; 2 bad arguments; 1 an address can't be listened on, or a failure on the way.\n";

#define REFUSE(flag, reason, ...) refuse(EXIT_BAD_ARGUMENTS, "%s: " reason, flag, __VA_ARGS__)

static bool parse_port(const char *text, in_port_t *port) {
    unsigned value = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || at - text >= 5)
            return false;
        value = value * 10 + (unsigned)(*at - '0');
    }
    *port = htons((in_port_t)value);
    return value >= 1 && value <= 65535;
}

static struct sockaddr_in parse_address(const char *flag, const char *given) {
    struct sockaddr_in parsed = {.sin_family = AF_INET};
    char address[INET_ADDRSTRLEN];
    const char *const colon = strchr(given, ':');
    const size_t length = colon == NULL ? sizeof address : (size_t)(colon - given);
    bool good = length < sizeof address;
    if (good) {
        memcpy(address, given, length);
        address[length] = '\0';
        good = inet_pton(AF_INET, address, &parsed.sin_addr) == 1 && parse_port(colon + 1, &parsed.sin_port);
    }
    if (!good)
        REFUSE(flag, "got \"%s\"; allowed: an IPv4 address and a port from 1 to 65535, as in 10.0.0.1:2049", given);
    return parsed;
}

void arguments_parse(struct arguments *arguments, int argc, char **argv) {
    bool upstream_given = false;
    *arguments = (struct arguments){.listen = calloc((size_t)argc + 1, sizeof *arguments->listen)};
    if (arguments->listen == NULL)
        refuse_no_memory();
    for (int i = 1; i < argc; i += 2) {
        const char *const flag = argv[i];
        if (strcmp(flag, "--help") == 0) {
            fputs(help_text, stdout);
            exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        const bool listens = strcmp(flag, "--listen") == 0;
        if (!listens && strcmp(flag, "--upstream") != 0)
            REFUSE(flag, "no such flag; allowed: %s", "--listen, --upstream, --help");
        if (argv[i + 1] == NULL)
            REFUSE(flag, "got no value; allowed: %s", "ADDRESS:PORT after it");
        const struct sockaddr_in address = parse_address(flag, argv[i + 1]);
        if (listens) {
            arguments->listen[arguments->listen_count++] = address;
            continue;
        }
        if (upstream_given)
            REFUSE(flag, "given twice; allowed: %s", "once");
        upstream_given = true;
        arguments->upstream = address;
    }
    if (arguments->listen_count == 0)
        REFUSE("--listen", "not given; allowed: %s", "ADDRESS:PORT where clients connect");
    if (!upstream_given)
        REFUSE("--upstream", "not given; allowed: %s", "ADDRESS:PORT of the NFS server");
}
