/* Standard input: a command a line, each of which is answered on standard output. */
#ifndef MOUNT_TARGET_INPUT_H
#define MOUNT_TARGET_INPUT_H

#include <stdbool.h>

#include "service.h"

/* Reads lines from now on, and calls `follow` with the model, or NULL, of each that is a command. */
void input_open(void (*follow)(const struct model *model));

/* Standard input has ended; a line without its newline was none. */
bool input_ended(void);

#endif
