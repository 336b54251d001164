/* A line of standard input: {"model":null}, or {"model":{…}} with each field of the model once. */
#ifndef MOUNT_TARGET_COMMAND_H
#define MOUNT_TARGET_COMMAND_H

#include <stdbool.h>

#include "service.h"

#define COMMAND_REASON_BYTES 256

struct command {
    bool has_model; /* false: {"model":null} */
    struct model model;
};

/* Returns false with a reason, which has no quotes in it, for a line that is no command. */
bool command_parse(const char *line, struct command *command, char reason[COMMAND_REASON_BYTES]);

/* The answer to it; NULL is no model. */
void command_print_model(const struct model *model);

#endif
